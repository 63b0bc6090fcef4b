import { exportPrivateKey, readKeyFile } from '@bailiwick/credentials'
import { paths } from './paths.ts'
import { readInstallation } from './read-installation.ts'
import { type ShownAddress, showAddress } from './shown-address.ts'

/**
 * The address at which the first approver enrols. It contains the invitation's private key, in the fragment, which a browser does not send.
 * Anyone who has the address can become the first approver, once. Throws `config_invalid` if the key is gone.
 */
export function invitationAddress(data: string): string {
  const key = readKeyFile(paths(data).keys('invitation'), 'invitation', 'invitation')
  const fragment = Buffer.from(JSON.stringify(exportPrivateKey(key))).toString('base64url')
  return `${readInstallation(data).trust.public_url}/#invitation=${fragment}`
}

/** The invitation address on a terminal; elsewhere the file that contains it. */
export function invitationFor(data: string, output: { terminal: boolean }): ShownAddress {
  return showAddress(invitationAddress(data), paths(data).invitation, output)
}
