import { agentIdOf, parseStrictJson } from '@bailiwick/contracts'
import { decodeBase64url } from '@bailiwick/credentials'
import { z } from 'zod'

const claimsSchema = z.object({
  jti: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .catch(''),
  sub: z.string().min(1).max(2048),
  client_id: z.string().min(1).max(2048),
  aud: z.union([z.string(), z.array(z.string()).max(8)]),
  exp: z.number(),
  authorization_details: z
    .array(
      z.object({
        permissions: z.array(z.object({ resource: z.object({ type: z.string(), id: z.string().optional() }) })),
      }),
    )
    .catch([]),
  grant: z.object({ root: z.string().max(100), delegation: z.string().max(100).optional() }),
})

/** The owner of a conversation with an upstream. Nothing of one owner is shown to another. */
export interface Owner {
  /** The grant whose withdrawal ends the conversation. */
  readonly grant: string
  /** Grant, delegation and acting instance, as one text. */
  readonly key: string
  /** The agent of that instance. */
  readonly agent: string
}

export interface Claims {
  /** `expiresAt`: in seconds since the epoch. */
  readonly credential: { readonly id: string; readonly expiresAt: number }
  readonly owner: Owner
  readonly audiences: readonly string[]
  /** The claims that a tool's declared mapping may read. */
  readonly token: { readonly sub: string; readonly client_id: string }
  /** The ids of the tools that its authority names. A permission cannot name several tools by a prefix. */
  readonly tools: readonly string[]
}

/**
 * Why a credential cannot serve at what has these addresses; undefined if it can, or if there is none. The decision point knows the addresses
 * of its point, but not which of them a path means: a credential for one must not work at another.
 */
export function audienceFault(
  credential: string | undefined,
  meant: readonly string[],
): 'credential_malformed' | 'credential_audience_wrong' | undefined {
  if (credential === undefined) return undefined // the decision point says where to ask
  const claims = readClaims(credential)
  if (claims === undefined) return 'credential_malformed'
  const isMeant = claims.audiences.some((audience) => meant.includes(audience.replace(/\/$/, '')))
  return isMeant ? undefined : 'credential_audience_wrong'
}

/**
 * What a credential claims. It proves nothing: the decision point verifies the credential before anything is done for it, and these claims
 * only find the conversation that is meant.
 */
export function readClaims(credential: string | undefined): Claims | undefined {
  const payload = decodeBase64url(credential?.split('.')[1] ?? '')
  if (payload === undefined) return undefined
  try {
    const { jti, exp, sub, client_id, aud, grant, authorization_details } = claimsSchema.parse(parseStrictJson(payload))
    const key = JSON.stringify([grant.root, grant.delegation ?? null, client_id])
    const named = authorization_details.flatMap(({ permissions }) => permissions.map(({ resource }) => resource))
    const tools = named.flatMap(({ type, id }) => (type === 'tool' && id !== undefined ? [id] : []))
    return {
      credential: { id: jti, expiresAt: exp },
      owner: { grant: grant.root, key, agent: agentIdOf(client_id) },
      audiences: [aud].flat(),
      token: { sub, client_id },
      tools,
    }
  } catch {
    return undefined
  }
}
