import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import type { Metrics } from '@bailiwick/host'
import type { Fact, RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { type Ask, askerOf, whoCouldAnswer } from './addressees.ts'
import { alarmNotice } from './alarm-notices.ts'
import { Deliveries, type DeliveriesOptions } from './deliveries.ts'
import { type Notice, plainLines } from './notice.ts'
import { digestEveryMs, Prompts } from './prompts.ts'
import { endNotice, waitingNotice } from './request-notices.ts'
import type { NotificationSink } from './sink.ts'

export interface NotifierOptions extends Pick<DeliveriesOptions, 'pausesMs' | 'most'> {
  sink: NotificationSink
  metrics: Metrics
}

const tickMs = 1000

/**
 * Tells people what waits for them and how it ended. It follows the facts as they are folded, and no request waits for it. It tells only
 * of what happens from now on: a start does not repeat earlier notices. The hourly limit counts each prompt at the time of its event.
 */
export class Notifier implements AsyncDisposable {
  readonly #approval: Approval
  readonly #prompts = new Prompts()
  readonly #deliveries: Deliveries
  readonly #since: number
  readonly #count: (kind: string, result: string) => void
  readonly #release: () => void

  constructor(approval: Approval, options: NotifierOptions) {
    const { metrics, ...more } = options
    this.#approval = approval
    this.#since = approval.clock.now()
    const counter = metrics.counter('notifications_total', 'What became of notifications, by kind', ['kind', 'result'])
    this.#count = (kind, result) => counter.inc({ kind, result })
    this.#deliveries = new Deliveries({
      ...more,
      logger: approval.logger,
      stillTrue: ({ kind, requestId = '' }) => kind !== 'request_waiting' || this.#prompts.waits(requestId),
      onDelivered: ({ kind }, result) => this.#count(kind, result),
    })
    this.#remember()
    const stop = approval.projection.onFact((fact) => {
      try {
        this.#hear(fact)
      } catch (error) {
        // A failing listener must not stop the fold.
        approval.logger.warn({ error_code: errorCode(error) }, 'could not make a notification')
      }
    })
    const timer = setInterval(() => this.tick(), tickMs)
    this.#release = () => {
      stop()
      clearInterval(timer)
    }
  }

  /** Sends the digest if one is due. */
  tick(): void {
    const { clock, publicUrl } = this.#approval
    const digest = this.#prompts.digest(clock.now())
    if (digest === undefined || digest.people.size === 0) return
    const people = [...digest.people].sort(([a], [b]) => (a < b ? -1 : 1))
    const lines = people.map(
      ([person, { waiting, withheld }]) =>
        `${person}: ${waiting} ${waiting === 1 ? 'request waits' : 'requests wait'}, ${withheld} of them not announced one by one`,
    )
    this.#deliveries.add({
      id: `ntf_digest-${digest.quarter}`,
      kind: 'digest',
      at: (digest.quarter + 1) * digestEveryMs,
      to: people.map(([person]) => person),
      subject: 'More requests wait than are announced one by one',
      lines: plainLines(lines),
      url: `${publicUrl}/console`,
    })
  }

  /** Remembers what waits already: the people who could answer were told, as far as the hourly limit allowed. */
  #remember(): void {
    const { requests } = this.#approval.projection.ledger.requests
    for (const { id, state, received, receivedAt = 0 } of requests.values())
      if (state === 'pending' && received !== undefined)
        this.#prompts.ask(id, whoCouldAnswer(this.#approval, received), receivedAt, askerOf(received))
    this.#prompts.forgetWithheld()
  }

  #hear({ topic, event, verdict }: Fact): void {
    if (verdict !== 'counts') return
    const fresh = Date.parse(event.time) >= this.#since
    if (topic === 'approvals.v1') this.#hearRequest(event as DecodedEvent<'approvals.v1'>, fresh)
    this.#tell(fresh ? alarmNotice(this.#approval, topic, event) : undefined)
  }

  #hearRequest(event: DecodedEvent<'approvals.v1'>, fresh: boolean): void {
    const record = this.#approval.projection.ledger.requests.requests.get(event.subject)
    if (!isOfAsk(record)) return
    if (event.type === 'request.received') {
      const to = whoCouldAnswer(this.#approval, record.received)
      const told = this.#prompts.ask(record.id, to, record.changedAt, askerOf(record.received))
      for (let withheld = told.length; withheld < to.length; withheld++) this.#count('request_waiting', 'digested')
      if (told.length > 0 && fresh) this.#tell(waitingNotice(this.#approval, event, record.received, told))
    } else if (record.state !== 'pending') {
      const knew = this.#prompts.end(record.id)
      if (knew !== undefined && knew.length > 0 && fresh) this.#tell(endNotice(this.#approval, event, record, knew))
    }
  }

  #tell(notice: Notice | undefined): void {
    if (notice !== undefined) this.#deliveries.add(notice)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release()
    await this.#deliveries[Symbol.asyncDispose]()
  }
}

const isOfAsk = (record: RequestRecord | undefined): record is RequestRecord & { received: Ask } =>
  record?.received !== undefined
