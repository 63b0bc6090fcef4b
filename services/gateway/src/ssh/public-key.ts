import { createPublicKey, type KeyObject } from 'node:crypto'
import { encodeBase64url } from '@bailiwick/credentials'
import { SshReader, sshString } from './wire.ts'

export const keyType = 'ssh-ed25519'
const rawLength = 32

/** The blob of a public key (RFC 8709 §4). */
export const publicBlob = (raw: Uint8Array): Buffer => Buffer.concat([sshString(keyType), sshString(raw)])

/** One line, as `known_hosts`, `authorized_keys` and lists of revoked keys have it. */
export const publicLine = (raw: Uint8Array): string => `${keyType} ${publicBlob(raw).toString('base64')}`

/** The 32 bytes of a public key in a line without a comment; undefined for every other text, and for a second spelling of the same key. */
export function readPublicLine(line: string): Buffer | undefined {
  const [, base64 = ''] = /^ssh-ed25519 ([A-Za-z0-9+/]{68})$/.exec(line) ?? []
  const raw = readPublicBlob(Buffer.from(base64, 'base64'))
  return raw !== undefined && publicLine(raw) === line ? raw : undefined
}

export function readPublicBlob(blob: Uint8Array): Buffer | undefined {
  const reader = new SshReader(blob)
  if (reader.text() !== keyType) return undefined
  const raw = reader.string()
  return raw?.length === rawLength && reader.isAtEnd ? raw : undefined
}

export const verifyingKeyOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(raw) }, format: 'jwk' })

/** The 32 bytes of an Ed25519 key. */
export function rawOf(key: KeyObject): Buffer {
  const { x = '' } = createPublicKey(key as never).export({ format: 'jwk' })
  return Buffer.from(x, 'base64url')
}
