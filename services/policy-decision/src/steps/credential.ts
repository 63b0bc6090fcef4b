import type { EnforcementPoint } from '@bailiwick/contracts'
import { type AccessToken, claimedKeyId, verifyAccessToken } from '@bailiwick/credentials'
import type { DenialReason, ErrorCode } from '@bailiwick/errors'
import { maxHeadSkewMs } from '@bailiwick/projection'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, State } from '../ports.ts'
import { refuse, type Verdict } from './steps.ts'

type Ports = Pick<Clocked, 'clock'> & Pick<State, 'keyRing' | 'trust'>

export interface Credential {
  token: AccessToken
  /** The id of the credential key that signed the token. */
  kid: string
}

/** The credential verifies, here and now. */
export function credential(
  { point, request }: { point: EnforcementPoint; request: EvaluationRequest },
  ports: Ports,
): Verdict<Credential> {
  const shown = request.observed.credential
  if (shown === undefined) return refuse('credential_missing')
  const read = readToken(ports, point, shown)
  return typeof read === 'string' ? refuse(read) : read
}

/** Reads the credential by itself, for callers that only look up what it is about. It allows nothing. */
export function readToken(
  { clock, keyRing, trust }: Ports,
  point: Pick<EnforcementPoint, 'base_urls'>,
  credential: string,
): Credential | DenialReason {
  const now = clock.now()
  const kid = claimedKeyId(credential)
  if (kid === undefined) return 'credential_malformed'
  const key = keyRing.find(kid, 'credential', now)
  if (!key.ok) return 'credential_invalid'
  // If an issuer's clock is further ahead than this, all its events are ignored, and nothing is fresh.
  const options = { token: credential, key: key.value, issuer: trust.public_url, now, leewayMs: maxHeadSkewMs }
  let code: ErrorCode = 'token_audience_wrong'
  for (const audience of [trust.public_url, ...point.base_urls]) {
    const verified = verifyAccessToken({ ...options, audience })
    if (verified.ok) return { token: verified.value, kid }
    code = verified.code
    if (code !== 'token_audience_wrong') break
  }
  return tokenReasons[code] ?? 'credential_invalid'
}

const tokenReasons: Partial<Record<ErrorCode, DenialReason>> = {
  token_audience_wrong: 'credential_audience_wrong',
  token_expired: 'credential_expired',
  token_malformed: 'credential_malformed',
}
