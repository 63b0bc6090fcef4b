import { parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { frozen } from './frozen.ts'
import { statedAlgorithms } from './jwk.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { type Kind, kinds, mayBeSignedFor, type PurposeOf } from './kinds.ts'
import type { Signer } from './signer.ts'
import { type Refused, refused, schemaDetail, type Verified } from './verified.ts'

/** A compact JWS split into its parts; nothing in it is verified. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Uint8Array
  /** The signed bytes: the first two segments as received. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/** The longest compact JWS that is parsed. It must fit in an event, and in an HTTP header. */
const maxJwsCharacters = 32_768

/**
 * Parses a compact JWS (RFC 7515 §7.1) strictly: three segments, each in its only base64url spelling, and a header that is one strict JSON
 * object. undefined for everything else.
 */
export function parseCompact(jws: string): CompactJws | undefined {
  if (typeof jws !== 'string' || jws.length > maxJwsCharacters) return undefined
  const [first, second, third, ...more] = jws.split('.')
  if (first === undefined || second === undefined || third === undefined || more.length > 0) return undefined
  const header = parseHeader(first)
  const payload = decodeBase64url(second)
  const signature = decodeBase64url(third)
  if (header === undefined || payload === undefined || signature === undefined) return undefined
  return { header, payload, signed: Buffer.from(`${first}.${second}`, 'latin1'), signature }
}

/**
 * The header's segment as an object; undefined unless it is strict base64url of one strict JSON object. Everything signed by a key has the
 * same header, so each header is parsed once. Entries are named by the full segment; the oldest goes first. Pure: a memo, not state.
 */
export function parseHeader(segment: string): Readonly<Record<string, unknown>> | undefined {
  const known = readHeaders.get(segment)
  if (known !== undefined) return known
  const bytes = decodeBase64url(segment)
  const header = bytes && parseObject(bytes)
  if (header === undefined || segment.length > longestRemembered) return header
  readHeaders.set(segment, frozen(header))
  if (readHeaders.size > rememberedHeaders) readHeaders.delete(readHeaders.keys().next().value ?? segment)
  return header
}

const readHeaders = new Map<string, Readonly<Record<string, unknown>>>()
const rememberedHeaders = 4096
/** Characters. A header contains at most one key; longer headers from a hostile sender must not fill the memory. */
const longestRemembered = 512

/** Strict JSON that is an object, otherwise undefined. */
function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = parseStrictJson(bytes)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/**
 * Signs claims as a compact JWS of this kind. Throws `invariant_broken` if the key has another purpose, or if no reader would accept the
 * result: the claims do not match the kind's schema, or the result is too long.
 */
export function signCompact<K extends Kind, C>(
  kind: K,
  schema: z.ZodType<C>,
  claims: C,
  key: SigningKey<PurposeOf<K>>,
): string {
  return signUnder(kind, { alg: key.alg, kid: key.kid, typ: kinds[kind].typ }, schema, claims, key)
}

/** Like `signCompact`, with a signer that may be remote. */
export async function signCompactBy<K extends Kind, C>(
  kind: K,
  schema: z.ZodType<C>,
  claims: C,
  signer: Signer<PurposeOf<K>>,
): Promise<string> {
  const header = { alg: signer.alg, kid: signer.kid, typ: kinds[kind].typ }
  const input = signingInput(kind, header, schema, claims, signer)
  return withSignature(kind, input, await signer.sign(Buffer.from(input, 'latin1')))
}

/** Like `signCompact`, with the caller's own header. */
export function signUnder<C>(kind: Kind, header: object, schema: z.ZodType<C>, claims: C, key: SigningKey): string {
  const input = signingInput(kind, header, schema, claims, key)
  return withSignature(kind, input, key.sign(Buffer.from(input, 'latin1')))
}

function signingInput<C>(
  kind: Kind,
  header: object,
  schema: z.ZodType<C>,
  claims: C,
  key: Pick<SigningKey, 'purpose'>,
): string {
  requirePurpose(kind, key)
  const checked = schema.safeParse(claims)
  if (!checked.success) throw new ServiceError('invariant_broken', `${kind}: ${schemaDetail(checked.error)}`)
  return `${encodeBase64url(JSON.stringify(header))}.${encodeBase64url(JSON.stringify(checked.data))}`
}

function withSignature(kind: Kind, input: string, signature: Uint8Array): string {
  const jws = `${input}.${encodeBase64url(signature)}`
  if (jws.length > maxJwsCharacters) throw new ServiceError('invariant_broken', `${kind}: ${jws.length} characters`)
  return jws
}

/** Throws `invariant_broken` unless the key's purpose may sign this kind (V12). */
export function requirePurpose(kind: Kind, key: Pick<SigningKey, 'purpose'>): void {
  if (mayBeSignedFor(kind, key.purpose)) return
  throw new ServiceError('invariant_broken', `a ${key.purpose} key was asked to sign a ${kind}`)
}

/** How strictly a header is read: our own headers have exactly `alg`, `typ` and `kid`, or `jwk` instead of `kid`. */
export interface HeaderRules {
  /** Made by other vendors' software: members that change nothing are allowed, and `kid` may be absent. */
  readonly foreign?: boolean
  /** Accepted values of `typ` besides the kind's; undefined: `typ` may be absent. */
  readonly otherTyps?: readonly (string | undefined)[]
  /** The key is in the header (RFC 9449 §4.2): `jwk` belongs there, and `kid` is ignored. */
  readonly embeddedKey?: boolean
}

/** Verifies a compact JWS of this kind by this key, and then parses its claims. The payload is not read before. */
export function verifyCompact<K extends Kind, C>(
  kind: K,
  schema: z.ZodType<C>,
  jws: string,
  key: VerifyingKey<PurposeOf<K>>,
  rules: HeaderRules = {},
): Verified<C> {
  return verifyParsed(kind, schema, parseCompact(jws), key, rules)
}

/** Like `verifyCompact`, for the result of `parseCompact`. */
export function verifyParsed<K extends Kind, C>(
  kind: K,
  schema: z.ZodType<C>,
  parsed: CompactJws | undefined,
  key: VerifyingKey<PurposeOf<K>>,
  rules: HeaderRules = {},
): Verified<C> {
  if (parsed === undefined) return refused('token_malformed', 'not a compact JWS')
  const problem = headerProblem(kind, parsed.header, key, rules)
  if (problem !== undefined) return problem
  if (!key.verify(parsed.signed, parsed.signature)) return refused('signature_invalid', `${kind}: signature`)
  const claims = schema.safeParse(parseObject(parsed.payload))
  return claims.success
    ? { ok: true, value: claims.data }
    : refused('token_malformed', `${kind}: ${schemaDetail(claims.error)}`)
}

/** Members that carry a key, fetch one, or change what is signed or how it is read. They are never followed. */
const forbiddenMembers = ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c']
const ownMembers = ['alg', 'kid', 'typ']
const keyedMembers = ['alg', 'jwk', 'typ']

/** Why this header is not valid for this kind and key. The key record determines the algorithm; the header only repeats it. */
export function headerProblem(
  kind: Kind,
  header: Readonly<Record<string, unknown>>,
  key: VerifyingKey,
  { foreign = false, otherTyps = [], embeddedKey = false }: HeaderRules,
): Refused | undefined {
  const { alg, kid, typ } = header
  if (!mayBeSignedFor(kind, key.purpose)) return refused('key_purpose_wrong', `${kind}: a key for ${key.purpose}`)
  const members = embeddedKey ? keyedMembers : ownMembers
  const allowed = (member: string) => members.includes(member) || (foreign && !forbiddenMembers.includes(member))
  if (!Object.keys(header).every(allowed)) return refused('token_malformed', `${kind}: header member`)
  if (![kinds[kind].typ, ...otherTyps].some((t) => t === typ)) return refused('token_malformed', `${kind}: typ`)
  if (!statedAlgorithms[key.alg].some((a) => a === alg)) return refused('token_malformed', `${kind}: alg`)
  const named = kid === key.kid || embeddedKey || (foreign && kid === undefined)
  return named ? undefined : refused('key_unknown', `${kind}: kid is not the key's thumbprint`)
}

/** The `kid` that a JWS claims: only good for finding the key with which to verify it. */
export function claimedKeyId(jws: string): string | undefined {
  const kid = parseCompact(jws)?.header.kid
  return typeof kid === 'string' ? kid : undefined
}

/** The `iss` that a JWT claims: only good for finding the key with which to verify it. */
export function claimedIssuer(jwt: string): string | undefined {
  return claimed(jwt, 'iss')
}

/** The `sub` that a JWT claims: only good for finding the key with which to verify it. */
export function claimedSubject(jwt: string): string | undefined {
  return claimed(jwt, 'sub')
}

function claimed(jwt: string, member: 'iss' | 'sub'): string | undefined {
  const payload = parseCompact(jwt)?.payload
  const value = payload && parseObject(payload)?.[member]
  return typeof value === 'string' ? value : undefined
}
