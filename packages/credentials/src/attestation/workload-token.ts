import { parseStrictJson } from '@bailiwick/contracts'
import { compactVerify, importJWK } from 'jose'
import { z } from 'zod'
import { claimedKeyId, parseCompact } from '../jws.ts'
import { numericDateSchema } from '../lifetime.ts'
import { type Refused, refused, type Verified } from '../verified.ts'
import type { AuthorityKey } from './authority-keys.ts'

/** Members that carry a key, fetch one, or change what is signed or how it is read. They are never followed. */
const forbiddenMembers = ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c']

const claimsSchema = z.looseObject({
  iss: z.string().max(2048).optional(),
  sub: z.string().min(1).max(2048),
  aud: z.union([z.string().min(1).max(2048), z.array(z.string().min(1).max(2048)).min(1).max(64)]),
  exp: numericDateSchema,
  iat: numericDateSchema.optional(),
  nbf: numericDateSchema.optional(),
})
export type WorkloadClaims = z.infer<typeof claimsSchema>

/** The longest life of a workload's token: a longer one does not prove what is running now. */
const longestMs = 24 * 3600 * 1000
const leewayMs = 5000

/**
 * Verifies a JWT that another authority made for a workload (SPIFFE JWT-SVID §4, OpenID Connect Core §2). The algorithm is that of the key
 * record; `kid` names the key and is required; `exp` is required. There must be only one audience, because each recipient of a token with
 * several could pass it on. `find` returns the authority's key with that `kid`.
 */
export async function verifyWorkloadToken(
  token: string,
  options: {
    find: (kid: string) => Promise<AuthorityKey | Refused>
    typs: readonly (string | undefined)[]
    audiences: readonly string[]
    now: number
  },
): Promise<Verified<WorkloadClaims>> {
  const parsed = parseCompact(token)
  const kid = claimedKeyId(token)
  if (parsed === undefined || kid === undefined) return refused('token_malformed', 'workload token: no JWS with a kid')
  const { header, payload } = parsed
  if (Object.keys(header).some((member) => forbiddenMembers.includes(member)))
    return refused('token_malformed', 'workload token: header member')
  if (!options.typs.some((typ) => typ === header.typ)) return refused('token_malformed', 'workload token: typ')
  const key = await options.find(kid)
  if ('ok' in key) return key
  if (header.alg !== key.alg) return refused('token_malformed', 'workload token: alg')
  try {
    await compactVerify(token, await importJWK(key.jwk, key.alg), { algorithms: [key.alg] })
  } catch {
    return refused('signature_invalid', 'workload token: signature')
  }
  const claims = claimsSchema.safeParse(claimsIn(payload))
  if (!claims.success) return refused('token_malformed', 'workload token: claims')
  return problemOf(claims.data, options) ?? { ok: true, value: claims.data }
}

function problemOf(
  claims: WorkloadClaims,
  { audiences, now }: { audiences: readonly string[]; now: number },
): Refused | undefined {
  const [aud, ...others] = [claims.aud].flat()
  if (aud === undefined || others.length > 0 || !audiences.includes(aud))
    return refused('token_audience_wrong', 'workload token: aud')
  const since = Math.max(claims.iat ?? 0, claims.nbf ?? 0) * 1000
  if (!(since - leewayMs <= now)) return refused('token_expired', 'workload token: not valid yet')
  if (!(now < claims.exp * 1000)) return refused('token_expired', 'workload token: expired')
  if (!(claims.exp * 1000 <= now + longestMs))
    return refused('token_life_too_long', 'workload token: exp is over a day away')
  return undefined
}

function claimsIn(payload: Uint8Array): unknown {
  try {
    return parseStrictJson(payload)
  } catch {
    return undefined
  }
}
