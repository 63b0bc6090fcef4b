import { Readable } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import type { Fact } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import type { Sessions } from '../sessions.ts'

/** What may have changed, so that the page asks again for what it shows. Never what it is: that is asked for with the session. */
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
/** What one page may leave unread before it is cut off. */
const mostUnreadBytes = 65_536

interface Listener {
  cookie: string | undefined
  session: string
  out: Readable
}

/** Tells the pages that are open that something changed (server-sent events, WHATWG HTML §9.2). */
export class LiveEvents implements Disposable {
  readonly #sessions: Sessions
  readonly #listeners = new Set<Listener>()
  readonly #changed = new Set<Subject>()
  readonly #arrived: string[] = []
  readonly #stop: () => void
  readonly #beat: NodeJS.Timeout
  #gathering: NodeJS.Timeout | undefined

  constructor(approval: Approval, sessions: Sessions) {
    this.#sessions = sessions
    this.#stop = approval.projection.onFact((fact) => this.#note(fact))
    this.#beat = setInterval(() => this.#send(': still here\n\n'), beatMs)
    this.#beat.unref()
  }

  /** A stream for one page, which ends with its session. Throws `rate_limited` when there are too many. */
  open(cookie: string | undefined): Readable {
    const { id: session } = this.#sessions.find(cookie)
    const own = [...this.#listeners].filter((listener) => listener.session === session)
    // A page that was left behind holds a place for nobody: the newest tab counts.
    if (own.length >= mostOfSession) this.#end(own[0] as Listener)
    if (this.#listeners.size >= mostStreams) throw new ServiceError('rate_limited', 'too many pages listen')
    const out = new Readable({ read() {} })
    const listener = { cookie, session, out }
    out.once('close', () => this.#listeners.delete(listener))
    this.#listeners.add(listener)
    out.push('retry: 2000\n\n')
    return out
  }

  #note({ topic, verdict, event }: Fact): void {
    const subject = subjects[topic]
    if (subject === undefined || verdict !== 'counts' || this.#listeners.size === 0) return
    this.#changed.add(subject)
    if (event.type === 'request.received' && this.#arrived.length < 20) this.#arrived.push(event.subject ?? '')
    this.#gathering ??= setTimeout(() => this.#tell(), gatherMs)
  }

  #tell(): void {
    this.#gathering = undefined
    const data = JSON.stringify({ changed: [...this.#changed], arrived: this.#arrived.splice(0) })
    this.#changed.clear()
    this.#send(`event: change\ndata: ${data}\n\n`)
  }

  /** Whose session has ended is told so, and nothing more. */
  #send(text: string): void {
    for (const listener of this.#listeners) {
      if (!this.#lives(listener)) {
        listener.out.push('event: ended\ndata: {}\n\n')
        this.#end(listener)
      } else if (listener.out.readableLength > mostUnreadBytes) listener.out.destroy()
      else listener.out.push(text)
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

  /** Closes what has just lost its session, without waiting for the next event. */
  check(): void {
    this.#send(': still here\n\n')
  }

  /** Ends every stream: else a server that stops would wait for pages that listen. */
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
