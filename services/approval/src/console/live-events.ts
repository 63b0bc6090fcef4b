import { Readable } from 'node:stream'
import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Fact } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import { askerOf, whoCouldAnswer } from '../notify/addressees.ts'
import { Prompts } from '../notify/prompts.ts'
import type { Sessions } from '../people/sessions.ts'

/** Names the data that may have changed. The page then fetches it again with its session; the event never contains it. */
type Subject = 'requests' | 'grants' | 'registry'

const subjects: Readonly<Record<string, Subject>> = {
  'approvals.v1': 'requests',
  'grants.v1': 'grants',
  'revocations.v1': 'grants',
  'decisions.v1': 'grants',
  'registry.v1': 'registry',
}

const gatherMs = 250
const beatMs = 15_000
const mostStreams = 256
const mostOfSession = 4
/** Unread bytes that a page may accumulate before it is cut off. */
const mostUnreadBytes = 65_536

const changeEvent = (changed: readonly Subject[], arrived: number) =>
  `event: change\ndata: ${JSON.stringify({ changed, arrived })}\n\n`

interface Listener {
  cookie: string | undefined
  session: string
  person: string
  out: Readable
}

/**
 * Tells open pages that something changed (server-sent events, WHATWG HTML §9.2), and how many requests arrived that wait for the person
 * there. It tells of them one by one as often as a person may be prompted at all, and of the rest each quarter of an hour.
 */
export class LiveEvents implements Disposable {
  readonly #approval: Approval
  readonly #prompts = new Prompts()
  /** By person: how many requests to announce. */
  readonly #arrived = new Map<string, number>()
  readonly #sessions: Sessions
  readonly #listeners = new Set<Listener>()
  readonly #changed = new Set<Subject>()
  /** ms since the epoch. */
  readonly #changedAt = new Map<Subject, number>()
  readonly #stop: () => void
  readonly #beat: NodeJS.Timeout
  #gathering: NodeJS.Timeout | undefined

  constructor(approval: Approval, sessions: Sessions) {
    this.#approval = approval
    this.#sessions = sessions
    this.#stop = approval.projection.onFact((fact) => this.#note(fact))
    this.#beat = setInterval(() => {
      this.#tellWithheld()
      this.check()
    }, beatMs)
    this.#beat.unref()
  }

  /**
   * A stream for one page, which ends with its session. It begins with what changed since the page was last told, `since` (ms since the
   * epoch), so that the page need not fetch again what it has just fetched. Throws `rate_limited` if there are too many.
   */
  open(cookie: string | undefined, since?: number): Readable {
    const { id: session, me } = this.#sessions.find(cookie)
    const own = [...this.#listeners].filter((listener) => listener.session === session)
    // An abandoned page must not keep its place: the newest tab wins.
    if (own.length >= mostOfSession) this.#end(own[0] as Listener)
    if (this.#listeners.size >= mostStreams) throw new ServiceError('rate_limited', 'too many pages listen')
    const out = new Readable({ read() {} })
    const listener = { cookie, session, person: me.id, out }
    out.once('close', () => this.#listeners.delete(listener))
    this.#listeners.add(listener)
    out.push('retry: 2000\n\n')
    const changed = [...this.#changedAt].flatMap(([subject, at]) =>
      since !== undefined && at >= since ? [subject] : [],
    )
    if (changed.length > 0) out.push(changeEvent(changed, 0))
    return out
  }

  #note({ topic, verdict, event }: Fact): void {
    const subject = subjects[topic]
    if (subject === undefined || verdict !== 'counts') return
    if (topic === 'approvals.v1') {
      try {
        this.#hear(event as DecodedEvent<'approvals.v1'>)
      } catch (error) {
        // A failing listener must not stop the fold.
        this.#approval.logger.warn({ error_code: errorCode(error) }, 'could not tell whom a request waits for')
      }
    }
    this.#tellWithheld()
    this.#gather(subject)
  }

  #gather(subject: Subject): void {
    this.#changedAt.set(subject, this.#approval.clock.now())
    if (this.#listeners.size === 0) return
    this.#changed.add(subject)
    this.#gathering ??= setTimeout(() => this.#tell(), gatherMs)
  }

  #hear({ type, subject }: DecodedEvent<'approvals.v1'>): void {
    const record = this.#approval.projection.ledger.requests.requests.get(subject)
    if (record?.received === undefined) return
    if (record.state !== 'pending') this.#prompts.end(record.id)
    if (type !== 'request.received' || this.#listeners.size === 0) return
    const there = new Set([...this.#listeners].map(({ person }) => person))
    const to = whoCouldAnswer(this.#approval, record.received).filter((person) => there.has(person))
    for (const person of this.#prompts.ask(record.id, to, record.changedAt, askerOf(record.received)))
      this.#arrive(person, 1)
  }

  #arrive(person: string, count: number): void {
    this.#arrived.set(person, (this.#arrived.get(person) ?? 0) + count)
  }

  /** Tells of the requests that were not announced one by one, when that is due. */
  #tellWithheld(): void {
    const digest = this.#prompts.digest(this.#approval.clock.now())
    for (const [person, { withheld }] of digest?.people ?? []) {
      this.#arrive(person, withheld)
      this.#gather('requests')
    }
  }

  #tell(): void {
    this.#gathering = undefined
    const [changed, arrived] = [[...this.#changed], new Map(this.#arrived)]
    this.#changed.clear()
    this.#arrived.clear()
    this.#send(({ person }) => changeEvent(changed, arrived.get(person) ?? 0))
  }

  /** Tells a listener that its session has ended; it gets nothing more. */
  #send(textFor: (listener: Listener) => string): void {
    for (const listener of this.#listeners) {
      if (!this.#lives(listener)) {
        listener.out.push('event: ended\ndata: {}\n\n')
        this.#end(listener)
      } else if (listener.out.readableLength > mostUnreadBytes) listener.out.destroy()
      else listener.out.push(textFor(listener))
    }
  }

  #lives({ cookie }: Listener): boolean {
    try {
      this.#sessions.find(cookie)
      return true
    } catch {
      return false
    }
  }

  #end(listener: Listener): void {
    this.#listeners.delete(listener)
    listener.out.push(null)
  }

  /** Shows that each stream is alive, and closes those that have lost their session. */
  check(): void {
    this.#send(() => ': still here\n\n')
  }

  /** Ends every stream. Otherwise a server that stops would wait for pages that listen. */
  close(): void {
    for (const listener of this.#listeners) this.#end(listener)
  }

  get size(): number {
    return this.#listeners.size
  }

  [Symbol.dispose](): void {
    this.#stop()
    clearInterval(this.#beat)
    clearTimeout(this.#gathering)
    this.close()
  }
}
