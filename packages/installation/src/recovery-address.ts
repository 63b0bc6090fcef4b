import { exportPrivateKey, type SigningKey } from '@bailiwick/credentials'
import { paths } from './paths.ts'
import { readInstallation } from './read-installation.ts'
import { type ShownAddress, showAddress } from './shown-address.ts'

/**
 * The address at which the person of a recovery makes a new passkey, after its 24 h. It contains the recovery's private key, like an
 * invitation, in the fragment, which a browser does not send.
 */
export function recoveryAddress(publicUrl: string, id: string, key: SigningKey<'invitation'>): string {
  const fragment = Buffer.from(JSON.stringify({ id, ...exportPrivateKey(key) })).toString('base64url')
  return `${publicUrl}/#recovery=${fragment}`
}

/** The recovery's address on a terminal; elsewhere the file that contains it. */
export function recoveryFor(
  data: string,
  { id, key }: { id: string; key: SigningKey<'invitation'> },
  output: { terminal: boolean },
): ShownAddress {
  const address = recoveryAddress(readInstallation(data).trust.public_url, id, key)
  return showAddress(address, paths(data).recovery(id), output)
}
