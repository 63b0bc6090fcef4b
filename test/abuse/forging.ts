import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { exportPrivateKey, type RotatingKey, type SigningKey } from '@bailiwick/credentials'

export const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
export const seconds = () => Math.floor(Date.now() / 1000)
export const decoded = (text = '') => JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>
export const es256 = (input: string, key: KeyObject) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
export const signed = (header: object, claims: object, key: KeyObject) => {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${es256(input, key)}`
}
export const privateKey = (key: SigningKey | RotatingKey) =>
  createPrivateKey({ key: exportPrivateKey('current' in key ? key.current : key) as never, format: 'jwk' })

/** The same six bits except the last one, which a signature of 64 bytes does not use. */
export const sibling = (letter: string) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[alphabet.indexOf(letter) ^ 1]
}
