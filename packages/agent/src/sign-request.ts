import { misleadingPrefix, parseAuthority } from '@bailiwick/authority'
import { accessRequestsV1, encodeEnvelope, type Mode, timestampSchema } from '@bailiwick/contracts'
import { encodeBase64url, type SigningKey, saltedHash, sha256, signAccessRequest } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Denial } from './denial.ts'

/** What an agent wants to be allowed. */
export interface AccessAsk {
  /** A `bailiwick_task` (DESIGN §7.1). */
  authority: unknown
  mode: Mode
  /** How long the grant shall live; at most 8 h. */
  expiresInSeconds: number
  /** `per_action`: the digest of the one action. */
  actionDigest?: string
  /** When the grant shall begin: ms since the epoch; at once unless told. */
  notBefore?: number
  /** `attested`: lets the issuer bind the grant to a new key of the same agent, newly attested. */
  rebind?: 'none' | 'attested'
  /** The agent's own words. Shown boxed, and never in place of the authority; only their salted hash is signed. */
  purpose?: string
  /** The denials that it answers, in the order of what is asked; a single one may be of part of a larger ask. */
  answering?: Denial | readonly Denial[]
  /** Step-up: one more action of this living grant, the one of `actionDigest`, whose denial is answered. */
  grantId?: string
  /** Where the end of it is told; the agent's registration says where it may be. */
  callback?: Callback
  /** How long the signed ask may still be handed in: 10 min unless told, at most an hour. */
  validForSeconds?: number
}

/** An ask, signed; with the words that the signed hash stands for. */
export interface SignedRequest {
  jws: string
  purpose?: { salt: string; text: string }
  denials?: readonly Denial[]
  callback?: Callback
}

/** As the access request profile has it; of `events` only those are told, all of them unless some are named. */
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

/** Signs the ask with the key that will hold the credential. */
export function signRequest({ id, key, installation, now, random }: Signing, ask: AccessAsk): SignedRequest {
  const authority = parseAuthority(ask.authority)
  if (!authority.ok) throw new ServiceError(authority.code, authority.detail)
  const misleading = misleadingPrefix(authority.authority)
  if (misleading !== undefined) throw new ServiceError('prefix_not_a_path', misleading)
  const purpose = ask.purpose === undefined ? undefined : { salt: encodeBase64url(random(16)), text: ask.purpose }
  const purposeHash = purpose && saltedHash(purpose)
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
      ...(ask.actionDigest === undefined ? {} : { action_digest: ask.actionDigest }),
      ...(ask.grantId === undefined ? {} : { grant_id: ask.grantId }),
      ...(denials.length === 0 ? {} : { binding_token_hash: hashOf(denials) }),
      ...(callback === undefined ? {} : { callback: callback.endpoint }),
      ...(purposeHash ? { purpose: { salted_sha256: purposeHash } } : {}),
    },
    key,
  )
  return {
    jws,
    ...(purpose ? { purpose } : {}),
    ...(denials.length === 0 ? {} : { denials }),
    ...(callback === undefined ? {} : { callback }),
  }
}

/** Of their tokens, joined by what no token contains: who signs it shows that these were given to him. */
function hashOf(denials: readonly Denial[]): string {
  return sha256(denials.map(({ bindingToken }) => bindingToken).join())
}

/** The request's id, which topic and HTTP derive alike: sent both ways, it is one request. */
export function requestIdOf({ jws }: SignedRequest): string {
  return `req_${sha256(jws)}`
}

/** The event for `access-requests.v1`: keyed by the request, unsigned and unnumbered, since the ask inside is what counts. */
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
    data: { request: signed.jws, ...(signed.purpose ? { purpose: signed.purpose } : {}) },
  })
  return { key, bytes }
}
