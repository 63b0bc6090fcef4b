import { exportPrivateKey, type SigningKey } from '@bailiwick/credentials'

/**
 * The address at which the person of a recovery makes a new passkey, once its 24 h are over. It holds the recovery's private
 * key as an invitation's does, in the fragment, which a browser does not send.
 */
export function recoveryAddress(publicUrl: string, id: string, key: SigningKey<'invitation'>): string {
  const fragment = Buffer.from(JSON.stringify({ id, ...exportPrivateKey(key) })).toString('base64url')
  return `${publicUrl}/#recovery=${fragment}`
}
