import { errorCode, ServiceError } from '@bailiwick/errors'
import { GatheredBytes, withResolvers } from '@bailiwick/kit'
import { cutReasonOf, type Effect, type Owed, redactBytes } from '@bailiwick/pep'
import { redactEvents } from './event-stream.ts'
import { fieldOf } from './gate/headers.ts'
import type { Executed, RawHeaders } from './upstream.ts'

export interface AnswerOptions {
  owed: Owed
  /** Aborted if the call must end, or if the client has gone. */
  signal: AbortSignal
  /** The longest answer, in bytes. */
  mostBytes: number
  /** The longest answer that is held as a whole because fields must be hidden, in bytes. */
  mostHeldBytes: number
}

/** An answer on its way to the client, or why it may not leave, and its report once it is over. */
export type Answer = ({ executed: Executed } | { withheld: unknown }) & {
  /** Resolves once nothing more is sent: the answer is whole, was cut, or has no reader any more. Never rejects. */
  over: Promise<Effect>
}

/**
 * Fulfils the decision's obligations while the answer streams, without relying on the adapter: hides fields, counts and limits bytes, and
 * ends the answer when the signal is aborted, even if the upstream then says nothing more.
 *
 * Never rejects. An answer in which fields must be hidden is held until it is whole, and withheld if it cannot be read for certain; a
 * stream of events is held event by event. Any other answer passes unchanged and unbuffered, and is cut off at its limit.
 */
export async function answerOf(executed: Executed, options: AnswerOptions): Promise<Answer> {
  const { owed, mostBytes } = options
  const limit = Math.min(owed.mostBytes ?? mostBytes, mostBytes)
  const flow = new Flow(executed, options, limit)
  try {
    const announced = Number(fieldOf(executed.headers, 'content-length') ?? 0)
    if (announced > limit) throw limitError(owed)
    if (owed.redact.length === 0) return { executed: { ...executed, body: flow }, over: flow.over }
    const headers = withoutLength(executed.headers)
    if (executed.writable !== undefined) throw withheld('fields must be hidden, and a WebSocket has none')
    if (isEncoded(executed.headers)) throw withheld('the answer is encoded')
    if (isEventStream(executed.headers)) {
      flow.through(redactEvents(owed.redact).push)
      return { executed: { ...executed, headers, body: flow }, over: flow.over }
    }
    const whole = await readWhole(flow.source(), options.mostHeldBytes)
    const shown = whole.length === 0 ? whole : hidden(executed.headers, whole, owed.redact)
    flow.replace(shown)
    return { executed: { ...executed, headers, body: flow }, over: flow.over }
  } catch (error) {
    flow.fail(error)
    return { withheld: error, over: flow.over }
  }
}

function hidden(headers: RawHeaders, whole: Uint8Array, fields: readonly string[]): Uint8Array {
  if (!isJson(headers)) throw withheld('no plain JSON')
  try {
    return redactBytes(whole, fields)
  } catch {
    throw withheld('it cannot be read for certain')
  }
}

async function readWhole(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer> {
  const gathered = new GatheredBytes()
  for await (const chunk of body) {
    if (gathered.length + chunk.length > most) throw withheld('longer than can be held')
    gathered.push(chunk)
  }
  return gathered.bytes()
}

/** Takes the bytes from the upstream to the client. */
class Flow implements AsyncIterableIterator<Uint8Array> {
  readonly #executed: Executed
  readonly #signal: AbortSignal
  readonly #limit: number
  readonly #owed: Owed
  #upstream: AsyncIterator<Uint8Array>
  #through: (chunk: Uint8Array) => Uint8Array = (chunk) => chunk
  #sent = 0
  #isOver = false
  readonly #over = withResolvers<Effect>()
  /** Rejects the read that waits for the upstream. */
  #cutRead: (reason: unknown) => void = () => undefined
  readonly #abort = () => {
    this.#cutRead(this.#signal.reason)
    this.#end({ status: 'unknown', ...cutOf(this.#signal.reason) })
  }

  constructor(executed: Executed, { owed, signal }: AnswerOptions, limit: number) {
    this.#executed = executed
    this.#upstream = executed.body[Symbol.asyncIterator]()
    this.#signal = signal
    this.#owed = owed
    this.#limit = limit
    if (signal.aborted) this.#abort()
    else signal.addEventListener('abort', this.#abort, { once: true })
  }

  get over(): Promise<Effect> {
    return this.#over.promise
  }

  through(change: (chunk: Uint8Array) => Uint8Array): void {
    this.#through = change
  }

  /** The upstream's own bytes, up to the abort. */
  source(): AsyncIterable<Uint8Array> {
    const next = () => this.#fromUpstream()
    return { [Symbol.asyncIterator]: () => ({ next }) }
  }

  /** The bytes that the client gets in place of those that the upstream sent. */
  replace(whole: Uint8Array): void {
    const parts = whole.length === 0 ? [] : [whole]
    this.#upstream = (async function* () {
      yield* parts
    })()
  }

  #fromUpstream(): Promise<IteratorResult<Uint8Array>> {
    if (this.#signal.aborted) return Promise.reject(this.#signal.reason)
    const { promise, resolve, reject } = withResolvers<IteratorResult<Uint8Array>>()
    this.#cutRead = reject
    this.#upstream.next().then(resolve, reject)
    return promise
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      for (;;) {
        if (this.#isOver && !this.#signal.aborted) return { done: true, value: undefined }
        const { done, value } = await this.#fromUpstream()
        if (done) {
          this.#end({ status: this.#status(), ...this.#executed.used?.() })
          return { done: true, value: undefined }
        }
        const shown = this.#through(value)
        if (shown.length === 0) continue
        if (this.#sent + shown.length > this.#limit) throw limitError(this.#owed)
        this.#sent += shown.length
        return { done: false, value: shown }
      }
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  /** The reader has gone: it may have seen a part. */
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#end({ status: 'unknown' })
    return { done: true, value: undefined }
  }

  fail(error: unknown): void {
    // The upstream has acted; only its answer is withheld.
    const isOurs = errorCode(error) === 'answer_withheld'
    const status = isOurs ? (this.#executed.status < 400 ? 'succeeded' : 'failed') : 'unknown'
    this.#end({ status, ...cutOf(error) })
  }

  #status(): NonNullable<Effect['status']> {
    const { status, failed } = this.#executed
    const hasFailed = status >= 400 || (failed === undefined ? false : failed())
    return hasFailed === undefined ? 'unknown' : hasFailed ? 'failed' : 'succeeded'
  }

  /** Not awaited: an upstream that hangs must not hold up the outcome. */
  #end(effect: Pick<Effect, 'cut' | 'cost' | 'tokens'> & { status: NonNullable<Effect['status']> }): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal.removeEventListener('abort', this.#abort)
    const { status, detailHash } = this.#executed
    const detail = detailHash === undefined ? {} : { detail_hash: detailHash() }
    this.#over.resolve({ ...effect, ...detail, http_status: status, egress_bytes: this.#sent })
    void this.#upstream.return?.().catch(() => undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

const cutOf = (error: unknown): Pick<Effect, 'cut'> => {
  const cut = cutReasonOf(error)
  return cut === undefined ? {} : { cut }
}

const withheld = (detail: string) => new ServiceError('answer_withheld', detail)
const limitError = ({ mostBytes }: Owed) =>
  mostBytes === undefined ? new ServiceError('upstream_too_large') : withheld('longer than its limit')

const isEncoded = (headers: RawHeaders) =>
  (fieldOf(headers, 'content-encoding') ?? 'identity').toLowerCase() !== 'identity'
const isJson = (headers: RawHeaders) =>
  /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(fieldOf(headers, 'content-type') ?? '')
const isEventStream = (headers: RawHeaders) =>
  /^text\/event-stream\s*(;|$)/i.test(fieldOf(headers, 'content-type') ?? '')

/** Fields that describe the bytes as the upstream sent them are wrong for the bytes that the client gets. */
const described = new Set(['content-length', 'content-md5', 'content-digest', 'repr-digest', 'digest', 'etag'])
const withoutLength = (headers: RawHeaders): RawHeaders =>
  headers.filter((_, at) => !described.has((headers[at - (at % 2)] ?? '').toLowerCase()))
