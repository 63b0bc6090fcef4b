import type { Agent, Attestation, PublicJwk } from '@bailiwick/contracts'
import { jcsHash, parsePublicJwk, thumbprint } from '@bailiwick/credentials'
import { Attestors, audiencesOf } from '@bailiwick/credentials/attestation'
import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import { Transient } from '../transient.ts'

/** A workload's addition to its signed ask: a token that says which instance it is, and its own key. */
export interface ShownAttestation {
  token: string
  jwk: PublicJwk
}

/** The key of an instance, and how the instance proved that the key is its own. */
export interface ShownKey {
  jwk: PublicJwk
  attestation: Attestation
}

/** No grant lives longer. A binding that was attested for less time ends earlier by itself. */
const longestMs = 8 * 3600 * 1000

/**
 * Finds the key of an instance: the registered one, or one that its workload attested here. The latter is kept in memory: a key that was
 * bound over HTTP may sign for the topic until its token expires, or this process ends.
 */
export class Workloads {
  readonly attestors: Attestors
  readonly #clock: Clock
  readonly #publicUrl: string
  readonly #bound: Transient<ShownKey & { until: number }>

  constructor(options: { clock: Clock; publicUrl: string; fetch?: typeof globalThis.fetch }) {
    this.#clock = options.clock
    this.#publicUrl = options.publicUrl
    this.attestors = new Attestors(options)
    this.#bound = new Transient({ lifeMs: longestMs, max: 100_000, clock: options.clock })
  }

  /**
   * The key that this ask must be signed with; that alone proves nothing. `keyId` is the one that the ask's header claims. Throws
   * `agent_unknown` for an instance without a key here, `caller_unauthenticated` while it has attested none.
   */
  keyFor(
    { agent, jwk }: { agent: Agent; jwk: PublicJwk | undefined },
    instance: string,
    keyId: string | undefined,
    shown: ShownAttestation | undefined,
  ): PublicJwk {
    if (agent.attestor.kind === 'registered_key') {
      if (shown !== undefined)
        throw new ServiceError('request_malformed', 'attestation: the key of this agent is registered')
      if (jwk === undefined) throw new ServiceError('agent_unknown')
      return jwk
    }
    const key = shown === undefined ? this.boundKey(agent, instance, keyId)?.jwk : parsePublicJwk(shown.jwk)
    if (key === undefined) throw new ServiceError('caller_unauthenticated', 'attestation: missing')
    return key
  }

  /** Proves that the key that verified the ask belongs to the instance, and returns how. Throws the reason if it does not. */
  async attest(
    agent: Agent,
    instance: string,
    jwk: PublicJwk,
    shown: ShownAttestation | undefined,
  ): Promise<Attestation> {
    const now = this.#clock.now()
    const { kind } = agent.attestor
    const attested_at = new Date(now).toISOString()
    if (kind === 'registered_key') return { kind, attested_at }
    const key = thumbprint(jwk)
    if (shown === undefined) {
      const bound = this.boundKey(agent, instance, key)
      if (bound === undefined) throw new ServiceError('caller_unauthenticated', 'attestation: missing')
      return bound.attestation
    }
    const audiences = audiencesOf(agent, this.#publicUrl, 'access-requests')
    const attested = await this.attestors.attest(shown.token, { agent, audiences, now, key })
    if (!attested.ok) throw new ServiceError(attested.code, attested.detail)
    if (attested.instance !== instance) throw new ServiceError('key_unknown', 'attestation: of another instance')
    const attestation = {
      kind,
      ...(attested.tokenHash === undefined ? {} : { token_hash: attested.tokenHash }),
      jwk,
      attested_at,
    }
    this.#bound.put(nameOf(agent, instance, key), { jwk, attestation, until: attested.expiresAt }, agent.id)
    return attestation
  }

  /** A key that this instance bound over HTTP, while the token that bound it is still valid. */
  boundKey(agent: Agent, instance: string, key: string | undefined): ShownKey | undefined {
    const bound = key === undefined ? undefined : this.#bound.get(nameOf(agent, instance, key))
    return bound !== undefined && this.#clock.now() < bound.until ? bound : undefined
  }
}

/** The attestor is part of the name: a change in how an agent attests, or to which authority, ends earlier bindings. */
const nameOf = ({ attestor }: Agent, instance: string, key: string) => `${jcsHash(attestor)} ${instance} ${key}`
