import { ServiceError } from '@bailiwick/errors'
import type { Executed, Upstream } from '@bailiwick/relay'
import type { Held } from './conversations.ts'
import { followed } from './flowing.ts'

/** What one agent may have at the same time: all of its instances, under all grants, at all servers, APIs and providers. */
export interface Share {
  /** Answers that are made or flow, streams among them. */
  readonly streams: number
  /** Processes of servers. */
  readonly processes: number
  /** Conversations with servers over HTTP. */
  readonly sessions: number
}

/** Counts what each agent has, so that one agent cannot take everything that the gateway has (V18). */
export class Shares {
  /** What agents have of servers with a command, over all servers. */
  readonly processes: Held = new Set()
  /** What agents have of servers over HTTP, over all servers. */
  readonly sessions: Held = new Set()
  readonly #most: () => Share
  readonly #streams = new Map<string, number>()

  /** `most` may change while the gateway runs. What there is then stays. */
  constructor(most: () => Share) {
    this.#most = most
  }

  /** Throws `queue_full` if no further answer to this agent may begin. */
  checkStreams(agent: string): void {
    if (this.#isFull(agent)) throw new ServiceError('queue_full', 'the agent has too many answers under way')
  }

  /** Throws `queue_full` if the agent may have no further one of these. */
  checkHeld(kind: 'processes' | 'sessions', agent: string): void {
    const own = [...this[kind]].filter(({ owner }) => owner.agent === agent)
    if (own.length >= this.#most()[kind]) throw new ServiceError('queue_full', `the agent has too many ${kind}`)
  }

  /**
   * Counts an answer until its body was read to its end or given up, or `signal` is aborted. Call it for an agent that was verified: what a
   * credential merely claims must not use up another agent's share. Throws `call_not_begun` if there is no room.
   */
  async of(agent: string, signal: AbortSignal, make: () => Promise<Executed>): Promise<Executed> {
    if (this.#isFull(agent)) throw new ServiceError('call_not_begun', 'the agent has too many answers under way')
    this.#streams.set(agent, (this.#streams.get(agent) ?? 0) + 1)
    let isOver = false
    const leave = () => {
      if (isOver) return
      isOver = true
      signal.removeEventListener('abort', leave)
      const left = (this.#streams.get(agent) ?? 1) - 1
      if (left > 0) this.#streams.set(agent, left)
      else this.#streams.delete(agent)
    }
    signal.addEventListener('abort', leave, { once: true })
    try {
      const executed = await make()
      return { ...executed, body: followed(executed.body, leave) }
    } catch (error) {
      leave()
      throw error
    }
  }

  /** The upstream, with its answers counted as an agent's. It is reached only under a permit, and so for a verified agent. */
  inShare(upstream: Upstream, agent: string): Upstream {
    return {
      toAction: (request) => upstream.toAction(request),
      execute: (permitted, request) => this.of(agent, permitted.signal, () => upstream.execute(permitted, request)),
      [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
    }
  }

  #isFull(agent: string): boolean {
    return (this.#streams.get(agent) ?? 0) >= this.#most().streams
  }
}
