import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { exportPrivateKey, readKeyFile } from '@bailiwick/credentials'
import { paths } from './paths.ts'
import { readInstallation } from './read-installation.ts'

/**
 * The address at which the first approver enrols. It holds the invitation's private key, in the fragment, which a browser
 * does not send: whoever has the address can be the first approver, once. Throws `config_invalid` when the key is gone.
 */
export function invitationAddress(data: string): string {
  const key = readKeyFile(paths(data).keys('invitation'), 'invitation', 'invitation')
  const fragment = Buffer.from(JSON.stringify(exportPrivateKey(key))).toString('base64url')
  return `${readInstallation(data).trust.public_url}/#invitation=${fragment}`
}

/**
 * Where a person finds the invitation. On a terminal it is shown; every other output may be kept, as a container's log is, and others may read
 * that: then the address goes into a file for its owner alone, and that is named.
 */
export function invitationFor(
  data: string,
  { terminal }: { terminal: boolean },
): { address: string } | { file: string } {
  const address = invitationAddress(data)
  if (terminal) return { address }
  const file = paths(data).invitation
  rmSync(`${file}.new`, { force: true })
  writeFileSync(`${file}.new`, `${address}\n`, { mode: 0o600, flag: 'wx', flush: true })
  renameSync(`${file}.new`, file)
  return { file }
}
