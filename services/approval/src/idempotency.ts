import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/service-kit'
import { Transient } from './transient.ts'

/** Longer than a task lives and a day after it (access request profile, "Access Request Submission"). */
const lifeMs = 34 * 3600 * 1000
/** Of one agent: whoever makes up more loses its own oldest, and nobody else's (V18). */
const keysPerAgent = 1000
const mostKeys = 100_000

/**
 * What was sent under an `Idempotency-Key`, by agent, in this process alone. A restart forgets it, and loses nothing by that:
 * the signed ask itself names its request, so that the same body is the same task with or without its key.
 */
export class Idempotency {
  readonly #kept: Transient<{ bodyHash: string; task: string }>

  constructor(clock: Clock) {
    this.#kept = new Transient({ lifeMs, max: mostKeys, maxEach: keysPerAgent, clock })
  }

  /** The task that this body became under this key. Throws `idempotency_key_reused` when it was another body. */
  find(agentId: string, { key, body }: { key: string; body: unknown }): string | undefined {
    const known = this.#kept.get(`${agentId} ${key}`)
    if (known !== undefined && known.bodyHash !== jcsHash(body)) throw new ServiceError('idempotency_key_reused')
    return known?.task
  }

  keep(agentId: string, { key, body }: { key: string; body: unknown }, task: string): void {
    this.#kept.put(`${agentId} ${key}`, { bodyHash: jcsHash(body), task }, agentId)
  }
}

/** A String of RFC 9651 as the draft has it, or the bare text that most clients send. Throws `request_malformed`. */
export function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const text = typeof header === 'string' ? header : ''
  const key = /^"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"$/.exec(text)?.[1] ?? /^[!#-+\--~]{1,255}$/.exec(text)?.[0]
  if (key === undefined) throw new ServiceError('request_malformed', 'Idempotency-Key')
  return key
}
