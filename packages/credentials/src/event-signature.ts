import { maxEventBytes } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { headerProblem, parseHeader, requirePurpose } from './jws.ts'
import { type SigningKey, type VerifyingKey, verifyAside } from './keys.ts'
import { kinds, type PurposeOf } from './kinds.ts'
import { refused, type Verified } from './verified.ts'

export type EventPurpose = PurposeOf<'event'>

/** A signed event split into its parts; nothing in it is verified. */
export interface SplitEvent {
  /** The signed bytes: the event up to `,"jws":`, followed by `}`. */
  readonly unsigned: Uint8Array
  /** The detached JWS: protected header, nothing, signature (RFC 7515 appendix F). */
  readonly jws: string
}

/**
 * Appends a detached JWS to the members of an event (DESIGN §4). `unsigned` are the bytes of a JSON object that has members and no `jws`.
 * They are unchanged in the result, so that verifying needs no serialisation. Throws `invariant_broken` for a key that signs no events,
 * `event_too_large` if the result is over 65,535 bytes.
 */
export function signEvent(unsigned: Uint8Array, key: SigningKey<EventPurpose>): Uint8Array {
  requirePurpose('event', key)
  if (!opensObject(unsigned, unsigned.length - 1) || unsigned.at(-1) !== 0x7d)
    throw new ServiceError('invariant_broken', 'an event to sign is not a JSON object with members')
  const header = encodeBase64url(JSON.stringify({ alg: key.alg, kid: key.kid, typ: kinds.event.typ }))
  const signature = encodeBase64url(key.sign(signingInput(header, unsigned)))
  const event = Buffer.concat([unsigned.subarray(0, -1), Buffer.from(`,"jws":"${header}..${signature}"}`, 'latin1')])
  if (event.length > maxEventBytes) throw new ServiceError('event_too_large', `${event.length} bytes`)
  return event
}

// Without a quote or backslash in between, the three strings of this tail can only be the last member of the outermost object: no earlier
// value can imitate it, and nothing can follow.
const tail = /,"jws":"([A-Za-z0-9_-]{1,400})\.\.([A-Za-z0-9_-]{86})"\}$/
const longestTail = 512

/** Splits a signed event; undefined unless `jws` is its last member, spelled exactly as by `signEvent`. */
export function splitEvent(event: Uint8Array): SplitEvent | undefined {
  const match = matchTail(event)
  return match && { unsigned: match.unsigned, jws: `${match.header}..${match.signature}` }
}

/** The `kid` that an event claims: only good for finding the key with which to verify it. */
export function eventKeyId(event: Uint8Array): string | undefined {
  const [text, header = ''] = tailOf(event) ?? []
  if (text === undefined || !opensObject(event, event.length - text.length)) return undefined
  const kid = parseHeader(header)?.kid
  return typeof kid === 'string' ? kid : undefined
}

/**
 * Verifies an event's signature by this key and returns the signed bytes. The key ring decides whether the key is certified for the topic
 * at that time; `contracts` decides whether the bytes are strict JSON and match a schema.
 */
export function verifyEventSignature(
  event: Uint8Array,
  key: VerifyingKey<EventPurpose>,
): Verified<{ unsigned: Uint8Array }> {
  const split = signatureOf(event, key)
  if (!split.ok) return split
  const { input, signature, unsigned } = split.value
  return key.verify(input, signature)
    ? { ok: true, value: { unsigned } }
    : refused('signature_invalid', 'event: signature')
}

/** Whether `verifyEventSignature` would accept. The signature is verified in a thread of Node's pool. Never rejects. */
export async function verifyEventSignatureAside(event: Uint8Array, key: VerifyingKey<EventPurpose>): Promise<boolean> {
  const split = signatureOf(event, key)
  return split.ok && (await verifyAside(key, split.value.input, split.value.signature))
}

/** All of an event's signature but the arithmetic. */
function signatureOf(
  event: Uint8Array,
  key: VerifyingKey<EventPurpose>,
): Verified<{ unsigned: Uint8Array; input: Uint8Array; signature: Uint8Array }> {
  if (event.length > maxEventBytes) return refused('event_too_large', `${event.length} bytes`)
  const match = matchTail(event)
  const header = match && parseHeader(match.header)
  const signature = match && decodeBase64url(match.signature)
  if (!match || !header || !signature) return refused('event_malformed', 'jws is missing, not last or not detached')
  const problem = headerProblem('event', header, key, {})
  if (problem !== undefined) return problem
  const { unsigned } = match
  return { ok: true, value: { unsigned, input: signingInput(match.header, unsigned), signature } }
}

/** The order of P-256. All event signatures are on that curve. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/**
 * The same event with the other valid signature: for ECDSA's (r, s) it is (r, n - s), and anyone who has one can write the other. Two such
 * texts are one event. undefined for an event without such a signature.
 */
export function otherSpellingOf(event: Uint8Array): Uint8Array | undefined {
  const signature = decodeBase64url(tailOf(event)?.[2] ?? '')
  const s = signature?.length === 64 ? BigInt(`0x${Buffer.from(signature).toString('hex', 32)}`) : 0n
  if (signature === undefined || s === 0n || s >= order) return undefined
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')
  const text = encodeBase64url(Buffer.concat([signature.subarray(0, 32), other]))
  return Buffer.concat([
    event.subarray(0, event.length - text.length - closingTail.length),
    Buffer.from(text),
    closingTail,
  ])
}

const closingTail = Buffer.from('"}')

function tailOf(event: Uint8Array): RegExpExecArray | null {
  const end = Buffer.from(event.buffer, event.byteOffset, event.byteLength).subarray(-longestTail)
  return tail.exec(end.toString('latin1'))
}

function matchTail(event: Uint8Array): { unsigned: Uint8Array; header: string; signature: string } | undefined {
  const [text, header, signature] = tailOf(event) ?? []
  if (text === undefined || header === undefined || signature === undefined) return undefined
  if (!opensObject(event, event.length - text.length)) return undefined
  const unsigned = Buffer.concat([event.subarray(0, event.length - text.length), closing])
  return { unsigned, header, signature }
}

const closing = Buffer.from('}')

/** Whether its first `length` bytes open an object and a member in it. */
function opensObject(bytes: Uint8Array, length: number): boolean {
  return length > 1 && bytes[0] === 0x7b && bytes[1] === 0x22
}

function signingInput(header: string, payload: Uint8Array): Uint8Array {
  return Buffer.from(`${header}.${encodeBase64url(payload)}`, 'latin1')
}
