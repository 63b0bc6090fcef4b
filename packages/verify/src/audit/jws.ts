import { createPublicKey, verify, type webcrypto } from 'node:crypto'

// Written a second time, with only node:crypto: the auditor must not share a mistake with the code that it audits.

type Jwk = webcrypto.JsonWebKey | { kty: string }

export interface Signed {
  header: Record<string, unknown>
  payload: Uint8Array
}

function checkSignature(jwk: Jwk, signed: string, signature: string): boolean {
  try {
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    const hash = key.asymmetricKeyType === 'ec' ? 'sha256' : null
    return verify(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
  } catch {
    return false // an invalid key signed nothing
  }
}

/** A forger's unchecked event must not stop the audit: undefined for anything that is not a JSON object. */
export function objectIn(json: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Splits a compact JWS without verifying it; undefined when it is not one. */
export function openCompact(jws: string): Signed | undefined {
  const [first = '', payload = '', ...rest] = jws.split('.')
  const header = objectIn(Buffer.from(first, 'base64url'))
  return rest.length === 1 && header ? { header, payload: Buffer.from(payload, 'base64url') } : undefined
}

/** The JSON that this key signed as a JWS of this `typ`; undefined when it did not. */
export function verifiedClaims(jws: string, jwk: Jwk, typ: string): Record<string, unknown> | undefined {
  const opened = openCompact(jws)
  if (opened?.header.typ !== typ) return undefined
  const cut = jws.lastIndexOf('.')
  if (!checkSignature(jwk, jws.slice(0, cut), jws.slice(cut + 1))) return undefined
  return objectIn(opened.payload)
}

const separator = Buffer.from(',"jws":"')

/** An event's own signature, separated: the bytes before `,"jws":`, closed again, are what was signed (DESIGN §4). */
export function openEvent(
  bytes: Uint8Array,
): { kid: string; typ: unknown; verifies: (jwk: Jwk) => boolean } | undefined {
  const event = Buffer.from(bytes)
  const at = event.lastIndexOf(separator)
  const jws = event.subarray(at + separator.length, -2).toString('latin1')
  const [header = '', nothing, signature = ''] = jws.split('.')
  if (at < 0 || nothing !== '' || event.subarray(-2).toString('latin1') !== '"}') return undefined
  const unsigned = Buffer.concat([event.subarray(0, at), Buffer.from('}')])
  try {
    const { kid, typ } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
    const signed = `${header}.${unsigned.toString('base64url')}`
    return { kid: String(kid), typ, verifies: (jwk) => checkSignature(jwk, signed, signature) }
  } catch {
    return undefined
  }
}
