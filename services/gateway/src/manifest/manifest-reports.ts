import { longestManifestText, type ToolServer } from '@bailiwick/contracts'
import { type ErrorCode, errorCode } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { Clock } from '@bailiwick/kit'
import { draftServer } from '../add/draft-server.ts'
import { manifestText } from './manifest.ts'
import type { Reading } from './observe.ts'
import type { Pin } from './pins.ts'

/** What the gateway tells approval of one server: first its hash alone. */
export interface ManifestReport {
  server: string
  hash: string
  manifests?: string[]
  guesses?: ToolServer['tools']
}

/** What approval says of it. */
export interface ManifestAnswer {
  state: 'approved' | 'waiting' | 'denied' | 'later'
  request_id: string | null
  /** Hashes of manifests whose texts approval does not have. */
  wanted: string[]
}

export interface ManifestReportsOptions {
  send: (report: ManifestReport, stopping: AbortSignal) => Promise<ManifestAnswer>
  /** What the gateway has as approved of a server. */
  pinOf: (name: string) => Pin | undefined
  /** Called when people approved what a server says of itself now. */
  onApproved: (name: string, pin: Pin) => Promise<void>
  clock: Pick<Clock, 'monotonic'>
  logger: Pick<Logger, 'info' | 'warn'>
  /** How often due reports are looked for, in ms. */
  everyMs?: number
}

/** What was read last of one server, and how its report stands. */
interface Subject {
  server: string
  reading: Reading
  state: ManifestAnswer['state'] | 'unasked' | ErrorCode
  /** When it is asked next, in monotonic ms. */
  dueAt: number
  askedAt: number
}

/** A server that describes itself otherwise each moment costs approval one report in this time. */
const gapMs = 2000
/** When the same manifest is asked about again, by the last answer. */
const againMs = { approved: Number.POSITIVE_INFINITY, waiting: 5000, later: 30_000, denied: 600_000 } as const
const afterFailureMs = 15_000
/** An approved manifest that is still read is asked about after this time: the registry may have changed. */
const recheckMs = 300_000

/**
 * Tells approval what servers say of themselves, so that people are asked about what is new. Only the newest reading of a server counts. Nothing
 * becomes usable by a report: the decision point allows the manifest that people signed.
 */
export class ManifestReports implements AsyncDisposable {
  readonly #options: ManifestReportsOptions
  readonly #subjects = new Map<string, Subject>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #timer: NodeJS.Timeout
  readonly #stopping = new AbortController()

  constructor(options: ManifestReportsOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#look(), options.everyMs ?? 500).unref()
  }

  /** A server was read. `name`: in the file; `server`: in the registry. */
  saw(name: string, server: string, reading: Reading): void {
    const now = this.#options.clock.monotonic()
    const known = this.#subjects.get(name)
    if (known?.server === server && known.reading.hash === reading.hash) {
      if (known.state === 'approved' && now - known.askedAt > recheckMs) known.dueAt = now
      return
    }
    const askedAt = known?.askedAt ?? Number.NEGATIVE_INFINITY
    this.#subjects.set(name, { server, reading, state: 'unasked', askedAt, dueAt: Math.max(now, askedAt + gapMs) })
  }

  /** The file was read again: its pins may be older than what people approved, and servers may be gone. */
  again(names: readonly string[]): void {
    for (const [name, subject] of this.#subjects)
      if (!names.includes(name)) this.#subjects.delete(name)
      else if (subject.state === 'approved') subject.dueAt = subject.askedAt + gapMs
  }

  #look(): void {
    const now = this.#options.clock.monotonic()
    for (const [name, subject] of this.#subjects) {
      if (subject.dueAt > now || this.#running.has(name)) continue
      subject.askedAt = now
      const work = this.#report(name, subject).finally(() => this.#running.delete(name))
      this.#running.set(name, work)
    }
  }

  async #report(name: string, subject: Subject): Promise<void> {
    const { clock, onApproved } = this.#options
    const { manifest, hash } = subject.reading
    try {
      const answer = await this.#ask(name, subject)
      subject.dueAt = clock.monotonic() + againMs[answer.state]
      this.#tell(name, subject, answer.state, answer.request_id)
      if (answer.state === 'approved' && this.#subjects.get(name) === subject)
        await onApproved(name, { manifest, hash })
    } catch (error) {
      subject.dueAt = clock.monotonic() + afterFailureMs
      this.#tell(name, subject, errorCode(error), null)
    }
  }

  async #ask(name: string, { server, reading }: Subject): Promise<ManifestAnswer> {
    const { send, pinOf } = this.#options
    const { signal } = this.#stopping
    const first = await send({ server, hash: reading.hash }, signal)
    if (first.wanted.length === 0) return first
    const pin = pinOf(name)
    const manifests = [reading, ...(pin === undefined || pin.hash === reading.hash ? [] : [pin])]
      .filter(({ hash }) => first.wanted.includes(hash))
      .map(({ manifest }) => manifestText(manifest))
      .filter(({ length }) => length <= longestManifestText)
    if (manifests.length === 0) return first
    const guesses = draftServer(server, 'http://localhost/', reading, undefined).entry.tools
    return send({ server, hash: reading.hash, manifests, guesses }, signal)
  }

  /** Once for each new state. */
  #tell(server: string, subject: Subject, state: Subject['state'], request_id: string | null): void {
    const { logger } = this.#options
    if (subject.state === state) return
    subject.state = state
    const fields = { server, manifest: subject.reading.hash, state, ...(request_id === null ? {} : { request_id }) }
    if (state === 'approved') logger.info(fields, 'people approved what the server says of itself')
    else if (state === 'waiting') logger.warn(fields, 'A SERVER SAYS SOMETHING ELSE OF ITSELF: PEOPLE ARE ASKED')
    else if (state === 'denied') logger.warn(fields, 'people denied what the server says of itself')
    else if (state === 'later') logger.warn(fields, 'people are not asked yet about what the server says of itself')
    else logger.warn(fields, 'what the server says of itself could not be reported')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping.abort()
    await Promise.all(this.#running.values())
  }
}
