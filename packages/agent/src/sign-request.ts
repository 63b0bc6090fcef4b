import { misleadingPrefix, parseAuthority } from '@bailiwick/authority'
import { accessRequestsV1, encodeEnvelope, longestText, type Mode, timestampSchema } from '@bailiwick/contracts'
import {
  type Action,
  actionText,
  encodeBase64url,
  type SaltedText,
  type SigningKey,
  saltedHash,
  sha256,
  signAccessRequest,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Denial } from './denial.ts'

/** The access that an agent requests. */
export interface AccessAsk {
  /** A `bailiwick_task` (DESIGN §7.1). */
  authority: unknown
  mode: Mode
  /** How long the grant should live; at most 8 h. */
  expiresInSeconds: number
  /** For mode `per_action`, and for a step-up: the one action. Approvers see all its arguments before they sign. */
  action?: Action
  /** Instead of `action`: only its digest, if the rule says `arguments: digest_only`. Approvers then see only the digest. */
  actionDigest?: string
  /** When the grant should begin: ms since the epoch; default at once. */
  notBefore?: number
  /** `attested`: lets the issuer bind the grant to a new key of the same agent, newly attested. */
  rebind?: 'none' | 'attested'
  /** The agent's own words. Shown in a box, and never in place of the authority; only their salted hash is signed. */
  purpose?: string
  /** The denials that this request answers, in the order of the requested actions; a single one may cover a part of a larger request. */
  answering?: Denial | readonly Denial[]
  /** Step-up: approves one more action, `action`, of this live grant; the request answers that action's denial. */
  grantId?: string
  /** Where the result is sent; the agent's registration says which addresses are permitted. */
  callback?: Callback
  /** How long the signed request may still be submitted: default 10 min, at most an hour. */
  validForSeconds?: number
}

/** A signed request, with the text behind its signed hashes. */
export interface SignedRequest {
  jws: string
  purpose?: SaltedText
  arguments?: SaltedText
  denials?: readonly Denial[]
  callback?: Callback
}

/** As in the access request profile. If `events` is given, only those events are sent; otherwise all. */
export interface Callback {
  endpoint: string
  state?: string
  events?: readonly ('approved' | 'denied' | 'expired' | 'cancelled' | 'failed' | 'partial')[]
}

export interface Signing {
  id: string
  key: SigningKey<'agent'>
  installation: string
  now: () => number
  random: (n: number) => Uint8Array
}

/** Signs the request with the key that will hold the credential. */
export function signRequest({ id, key, installation, now, random }: Signing, ask: AccessAsk): SignedRequest {
  const authority = parseAuthority(ask.authority)
  if (!authority.ok) throw new ServiceError(authority.code, authority.detail)
  const misleading = misleadingPrefix(authority.authority)
  if (misleading !== undefined) throw new ServiceError('prefix_not_a_path', misleading)
  const salted = (text: string | undefined) =>
    text === undefined ? undefined : { salt: encodeBase64url(random(16)), text }
  const purpose = salted(ask.purpose)
  const shown = salted(ask.action && textOf(ask.action))
  const digest = shown ? sha256(shown.text) : ask.actionDigest
  if (ask.actionDigest !== undefined && ask.actionDigest !== digest)
    throw new ServiceError('arguments_mismatch', 'actionDigest: not the digest of `action`')
  const denials = ask.answering === undefined ? [] : [ask.answering].flat()
  const { callback } = ask
  const iat = Math.floor(now() / 1000)
  const jws = signAccessRequest(
    {
      aud: installation,
      sub: id,
      iat,
      exp: iat + (ask.validForSeconds ?? 600),
      jti: encodeBase64url(random(16)),
      authority: { ...authority.authority },
      mode: ask.mode,
      expires_in_seconds: ask.expiresInSeconds,
      ...(ask.notBefore === undefined
        ? {}
        : { not_before: timestampSchema.parse(new Date(ask.notBefore).toISOString()) }),
      ...(ask.rebind ? { rebind: ask.rebind } : {}),
      ...(digest === undefined ? {} : { action_digest: digest }),
      ...(shown ? { arguments: hashed(shown) } : {}),
      ...(ask.grantId === undefined ? {} : { grant_id: ask.grantId }),
      ...(denials.length === 0 ? {} : { binding_token_hash: hashOf(denials) }),
      ...(callback === undefined ? {} : { callback: callback.endpoint }),
      ...(purpose ? { purpose: hashed(purpose) } : {}),
    },
    key,
  )
  return {
    jws,
    ...(purpose ? { purpose } : {}),
    ...(shown ? { arguments: shown } : {}),
    ...(denials.length === 0 ? {} : { denials }),
    ...(callback === undefined ? {} : { callback }),
  }
}

/** The canonical text of the action, which approvers see. Throws `arguments_too_long`, `request_malformed`. */
function textOf(action: Action): string {
  let text: string
  try {
    text = actionText(action)
  } catch (error) {
    throw new ServiceError('request_malformed', 'the arguments have no canonical form', { cause: error })
  }
  if (text.length <= longestText) return text
  throw new ServiceError(
    'arguments_too_long',
    `the action is ${text.length} characters, and ${longestText} is the most`,
  )
}

const hashed = (text: SaltedText) => ({ salted_sha256: saltedHash(text) ?? '' })

/**
 * Hashes the tokens of the denials, joined by a character that no token contains. By signing the hash, the agent shows that it was given
 * these tokens.
 */
function hashOf(denials: readonly Denial[]): string {
  return sha256(denials.map(({ bindingToken }) => bindingToken).join())
}

/** The request's id, derived alike by topic and HTTP: sent both ways, it is one request. */
export function requestIdOf({ jws }: SignedRequest): string {
  return `req_${sha256(jws)}`
}

/** The text whose salted hashes the agent signed; sent next to the signature. */
export const wordsOf = ({ purpose, arguments: shown }: SignedRequest) => ({
  ...(purpose ? { purpose } : {}),
  ...(shown ? { arguments: shown } : {}),
})

/** The event for `access-requests.v1`: keyed by the request, unsigned and unnumbered, because only the signed request inside counts. */
export function requestEvent({ id, now }: Signing, signed: SignedRequest): { key: string; bytes: Uint8Array } {
  const key = requestIdOf(signed)
  const type = 'access-request.submitted' satisfies keyof typeof accessRequestsV1.events
  const bytes = encodeEnvelope({
    specversion: '1.0',
    id: `evt_${sha256(signed.jws)}`,
    source: id,
    type,
    time: new Date(now()).toISOString(),
    subject: key,
    datacontenttype: 'application/json',
    dataschema: `urn:bailiwick:schema:${accessRequestsV1.name}:${type}`,
    partitionkey: key,
    data: { request: signed.jws, ...wordsOf(signed) },
  })
  return { key, bytes }
}
