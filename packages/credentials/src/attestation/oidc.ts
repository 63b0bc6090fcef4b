import type { Attestor as Registered } from '@bailiwick/contracts'
import { sha256 } from '../base64url.ts'
import { type Refused, refused } from '../verified.ts'
import type { Attestor } from './attestor.ts'
import { instanceOf } from './instance-name.ts'
import type { KeySource } from './key-source.ts'
import { OneKeyEach } from './one-key-each.ts'
import { verifyWorkloadToken, type WorkloadClaims } from './workload-token.ts'

type Oidc = Extract<Registered, { kind: 'oidc' }>

/** Kubernetes' keys state `sig`, others nothing (RFC 7517 §4.2). */
export const oidcUses = ['sig', undefined] as const

/**
 * A workload token of an OpenID provider (Kubernetes service account, CI job). Issuer and audience are exactly those in the agent's
 * registration, each claim that the registration names has one of its values, and another claim names the instance.
 */
export function oidcAttestor(registered: Oidc, keys: KeySource): Attestor {
  const shown = new OneKeyEach()
  return {
    async attest(token, { agent, audiences, now, key }) {
      const find = (kid: string) => keys.find(kid)
      const verified = await verifyWorkloadToken(token, { find, typs: ['JWT', undefined], audiences, now })
      if (!verified.ok) return verified
      const problem = claimsProblem(registered, verified.value)
      if (problem !== undefined) return problem
      const instance = instanceOf(agent.id, claimAt(verified.value, registered.instance_claim))
      if (instance === undefined) return refused('token_malformed', 'oidc: instance_claim names no instance')
      const expiresAt = verified.value.exp * 1000
      const tokenHash = sha256(token)
      if (!shown.with(token, key, expiresAt, now)) return refused('token_replayed', 'oidc: shown with another key')
      return { ok: true, agent: agent.id, instance, kind: 'oidc', tokenHash, expiresAt, once: undefined }
    },
  }
}

function claimsProblem({ issuer, claims }: Oidc, given: WorkloadClaims): Refused | undefined {
  if (given.iss !== issuer) return refused('key_unknown', 'oidc: another issuer')
  for (const [pointer, allowed] of Object.entries(claims)) {
    const value = claimAt(given, pointer)
    if (![allowed].flat().some((each) => each === value)) return refused('caller_forbidden', 'oidc: a required claim')
  }
  return undefined
}

/** RFC 6901, through objects only, and only through their own members. */
function claimAt(claims: object, pointer: string): unknown {
  let at: unknown = claims
  for (const part of pointer.slice(1).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}
