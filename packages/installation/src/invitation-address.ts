import { exportPrivateKey, readKeyFile } from '@bailiwick/credentials'
import { paths } from './paths.ts'
import { readInstallation } from './read-installation.ts'
import { type ShownAddress, showAddress } from './shown-address.ts'

/**
 * The address at which the first approver enrols. It holds the invitation's private key, in the fragment, which a browser
 * does not send: whoever has the address can be the first approver, once. Throws `config_invalid` when the key is gone.
 */
export function invitationAddress(data: string): string {
  const key = readKeyFile(paths(data).keys('invitation'), 'invitation', 'invitation')
  const fragment = Buffer.from(JSON.stringify(exportPrivateKey(key))).toString('base64url')
  return `${readInstallation(data).trust.public_url}/#invitation=${fragment}`
}

/** The invitation on a terminal; elsewhere the file that holds it. */
export function invitationFor(data: string, output: { terminal: boolean }): ShownAddress {
  return showAddress(invitationAddress(data), paths(data).invitation, output)
}
