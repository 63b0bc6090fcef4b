import { grantIdOf } from '@bailiwick/approval-statement'
import { agentIdOf, type DecodedEvent } from '@bailiwick/contracts'
import { type SigningKey, sha256, signNotification } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import type { Metrics, SafePost } from '@bailiwick/host'
import { after, Semaphore, SerialQueue, unlessAborted } from '@bailiwick/kit'
import type { Fact, RequestRecord } from '@bailiwick/projection'
import { taskOf } from '../asks/task.ts'
import type { Approval } from '../context.ts'
import { taskIdOf } from '../requests.ts'
import { Transient } from '../transient.ts'
import { refuseCallback } from './callback-target.ts'

export interface CallbackOptions {
  post: SafePost
  key: SigningKey<'notification'>
  metrics: Metrics
  /** ms before each attempt after the first. */
  pausesMs?: readonly number[]
}

/** The result of one callback. `forbidden` is never retried. */
type Told = 'delivered' | 'failed' | 'forbidden' | 'dropped'

const atOnce = 16
/** A start repeats callbacks for tasks that ended up to this long ago. It exceeds the time of all attempts of one delivery. */
const lookBackMs = 15 * 60 * 1000
const rememberMs = 9 * 3600 * 1000

/**
 * Tells agents that asked for it how their tasks ended (access request profile, "Callback Completion"). A callback is signed, goes only
 * where the registration still allows at sending time, and is retried a bounded number of times with growing pauses. It carries no result:
 * the recipient asks for the status. Delivery is best effort, at least once. The log says which tasks ended, so a start
 * repeats the last quarter of an hour under the same delivery ids. Nothing waits for any of it.
 */
export class Callbacks implements AsyncDisposable {
  readonly #approval: Approval
  readonly #options: Required<CallbackOptions>
  readonly #told: (result: Told) => void
  readonly #known: Transient<true>
  /** If one agent's targets answer slowly, only that agent's news is held up (V18). */
  readonly #lanes = new SerialQueue({ maxPerKey: 64, max: 1000 })
  readonly #turns = new Semaphore(atOnce, 1000)
  readonly #stop = new AbortController()
  readonly #open = new Set<Promise<void>>()
  readonly #unsubscribe: () => void

  constructor(approval: Approval, options: CallbackOptions) {
    this.#approval = approval
    this.#options = { pausesMs: [1000, 10_000, 60_000, 300_000], ...options }
    this.#known = new Transient({ lifeMs: rememberMs, max: 100_000, clock: approval.clock })
    const total = options.metrics.counter('callbacks_total', 'Callbacks to agents, by what became of them', ['result'])
    this.#told = (result) => total.inc({ result })
    const { projection, clock } = approval
    const since = clock.now() - lookBackMs
    for (const record of projection.ledger.requests.requests.values())
      if (record.changedAt >= since) this.#consider(taskIdOf(record))
    this.#unsubscribe = projection.onFact((fact) => {
      const record = this.#recordOf(fact)
      if (record) this.#consider(taskIdOf(record))
    })
  }

  #consider(taskId: string): void {
    const [first, ...others] = this.#approval.projection.ledger.requests.ofTask(taskId)
    const url = first && callbackOf(first)
    if (first === undefined || url === undefined || this.#stop.signal.aborted) return
    const { task } = taskOf(this.#approval, [first, ...others])
    const { status } = task
    const wishes = this.#approval.callbackWishes.get(taskId)
    if (status === 'pending' || (wishes?.events && !wishes.events.includes(status))) return
    const id = `dlv_${sha256(`${taskId} ${status} ${url}`)}`
    if (this.#known.get(id)) return
    this.#known.put(id, true, agentOf(first))
    const { status_endpoint } = task
    const state = wishes?.state === undefined ? {} : { state: wishes.state }
    const body = JSON.stringify({ ...state, task: { id: taskId, status, status_endpoint } })
    const news = { id, url, body, agent: agentOf(first), taskId, status }
    const telling = this.#tell(news).finally(() => this.#open.delete(telling))
    this.#open.add(telling)
  }

  async #tell(news: News): Promise<void> {
    const told = await this.#attempts(news).catch((error: unknown): Told | undefined => {
      if (this.#stop.signal.aborted) return undefined
      return errorCode(error) === 'queue_full' ? 'dropped' : 'failed'
    })
    if (told === undefined) return // stopped, and the next start sends it; or it no longer holds
    this.#told(told)
    if (told !== 'delivered')
      this.#approval.logger.warn(
        { agent: news.agent, delivery_id: news.id, result: told },
        'a callback was not delivered',
      )
  }

  async #attempts(news: News): Promise<Told | undefined> {
    const { signal } = this.#stop
    // If the issuer refused because something changed meanwhile, the request is asked again at once, and so has not ended.
    const first = news.status === 'failed' ? 2000 : 0
    for (const pauseMs of [first, ...this.#options.pausesMs]) {
      if (pauseMs > 0) await after(pauseMs, signal).catch(() => undefined)
      if (signal.aborted || !this.#isTrue(news)) return undefined
      const told = await this.#lanes.serially(news.agent, () => this.#turns.run(() => this.#attempt(news)))
      if (told !== 'failed') return told
    }
    return signal.aborted ? undefined : 'failed'
  }

  #isTrue({ taskId, status }: News): boolean {
    const [first, ...others] = this.#approval.projection.ledger.requests.ofTask(taskId)
    return first !== undefined && taskOf(this.#approval, [first, ...others]).task.status === status
  }

  /** The request that a fact may have ended: it was answered, granted, or refused by the issuer. */
  #recordOf({ topic, verdict, event }: Fact): RequestRecord | undefined {
    if (verdict !== 'counts') return undefined
    const { ledger } = this.#approval.projection
    if (topic === 'approvals.v1') {
      const { data } = event as DecodedEvent<'approvals.v1'>
      return 'request_id' in data ? ledger.requests.requests.get(data.request_id) : undefined
    }
    if (topic !== 'grants.v1') return undefined
    const { type, data } = event as DecodedEvent<'grants.v1'>
    if (type === 'grant.created') return ledger.requests.requests.get(data.grant.request_id)
    if (type !== 'credential.refused') return undefined
    const own = this.#approval.own.of(agentIdOf(data.agent))
    return own.find(({ approved }) => approved && grantIdOf(approved.statement_hash) === data.grant_id)
  }

  async #attempt({ id, url, body, agent }: News): Promise<Told> {
    const { projection, trust, clock } = this.#approval
    try {
      // Checked against the current registration: a prefix that was removed gets no more callbacks.
      refuseCallback(projection.ledger.registry.get('agent', agent) ?? {}, url)
    } catch {
      return 'forbidden'
    }
    const iat = Math.floor(clock.now() / 1000)
    const claims = { iss: trust.installation, aud: url, iat, jti: id, body_sha256: sha256(body) }
    const signature = signNotification(claims, this.#options.key)
    const headers = {
      'content-type': 'application/json',
      'bailiwick-signature': signature,
      'user-agent': 'bailiwick',
    }
    // A stop does not wait for a foreign server, even if the port below does.
    const { signal } = this.#stop
    return (await unlessAborted(this.#options.post({ url, headers, body }, signal), signal)).outcome
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe()
    this.#stop.abort()
    await Promise.all(this.#open)
  }
}

interface News {
  taskId: string
  status: string
  /** The same at each attempt and after each start. */
  id: string
  url: string
  body: string
  agent: string
}

function callbackOf({ received }: RequestRecord): string | undefined {
  return received === undefined || received.kind === 'registry' ? undefined : received.callback
}

function agentOf({ received }: RequestRecord): string {
  return received === undefined || received.kind === 'registry' ? '' : agentIdOf(received.agent)
}
