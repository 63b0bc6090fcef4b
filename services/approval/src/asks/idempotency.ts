import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import { Transient } from '../transient.ts'

/** Longer than a task's life plus a day (access request profile, "Access Request Submission"). */
const lifeMs = 34 * 3600 * 1000
/** Per agent: an agent that uses more loses its own oldest keys, and no other agent's (V18). */
const keysPerAgent = 1000
const mostKeys = 100_000

/**
 * Remembers bodies by agent and `Idempotency-Key`, in this process alone. A restart forgets them without loss: the signed ask itself
 * names its request, so the same body is the same task with or without its key.
 */
export class Idempotency {
  readonly #kept: Transient<{ bodyHash: string; task: string }>

  constructor(clock: Clock) {
    this.#kept = new Transient({ lifeMs, max: mostKeys, maxEach: keysPerAgent, clock })
  }

  /** The task that this body became under this key. Throws `idempotency_key_reused` if the key came with another body. */
  find(agentId: string, { key, body }: { key: string; body: unknown }): string | undefined {
    const known = this.#kept.get(`${agentId} ${key}`)
    if (known !== undefined && known.bodyHash !== jcsHash(body)) throw new ServiceError('idempotency_key_reused')
    return known?.task
  }

  keep(agentId: string, { key, body }: { key: string; body: unknown }, task: string): void {
    this.#kept.put(`${agentId} ${key}`, { bodyHash: jcsHash(body), task }, agentId)
  }
}

/** A String of RFC 9651, as in the draft, or the bare text that most clients send. Throws `request_malformed`. */
export function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const text = typeof header === 'string' ? header : ''
  const key = /^"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"$/.exec(text)?.[1] ?? /^[!#-+\--~]{1,255}$/.exec(text)?.[0]
  if (key === undefined) throw new ServiceError('request_malformed', 'Idempotency-Key')
  return key
}
