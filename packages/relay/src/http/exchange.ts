import { Readable } from 'node:stream'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import type { Client, Dispatcher } from 'undici'
import { bodyOf } from '../body.ts'
import type { RawHeaders } from '../upstream.ts'

export interface Sent {
  method: string
  target: string
  /** Names and values alternate. The connection adds `host`, `connection` and `content-length`, and nothing else. */
  headers: RawHeaders
  body: Uint8Array
  /**
   * Bytes that are sent after the body, as they arrive. If it throws, the connection is given up, so that a part does not pass for the whole.
   * Without a `content-length` among the headers, they are sent as chunks.
   */
  following?: AsyncIterable<Uint8Array> | undefined
}

export interface ExchangeLimits {
  /** The time until the head of the answer has arrived, from the first byte sent, or from the last one of `following`. */
  headMs: number
  /** The longest answer, in bytes. */
  mostBytes: number
}

/** The head of an answer, and the answer as it arrives. */
export interface Answered {
  status: number
  /** As received, without the informational answers before it. */
  headers: RawHeaders
  body: AsyncIterableIterator<Uint8Array>
}

/** With this many unread bytes, the upstream is not read any further. */
const mostUnread = 65_536
/** The limit on informational answers: each is a sign of life, and an upstream could send any number of them. */
const mostInformational = 8

/**
 * Sends one request on its own connection, once. `ended` is called once, and says whether the connection may be used again. Rejects with
 * `upstream_unreachable` or `upstream_address_forbidden` if nothing was sent; otherwise with `upstream_timed_out`, `upstream_failed`, or
 * the signal's reason. After the head, `body` fails with the same codes, and with `upstream_too_large`.
 */
export function exchange(
  client: Client,
  { method, target, headers, body, following }: Sent,
  { headMs, mostBytes }: ExchangeLimits,
  signal: AbortSignal,
  ended: (isWhole: boolean) => void,
): Promise<Answered> {
  const call = new Exchange(headMs, mostBytes, signal, ended)
  if (following === undefined) call.sent()
  if (signal.aborted) call.fail(signal.reason)
  else
    client.dispatch(
      {
        method,
        path: target,
        headers: [...headers],
        // The client's own timer would run while `following` is sent.
        ...(following === undefined ? {} : { headersTimeout: 0 }),
        body:
          following === undefined
            ? bytesOf(body)
            : Readable.from(
                joined(body, following, () => call.sent()),
                { objectMode: false },
              ),
      },
      call,
    )
  return call.head
}

const bytesOf = (body: Uint8Array): Buffer | null =>
  body.length === 0 ? null : Buffer.from(body.buffer, body.byteOffset, body.length)

/** Gives `following` up in any case, even if it is given up itself before it was reached. `sent` is called after its last byte. */
async function* joined(
  body: Uint8Array,
  following: AsyncIterable<Uint8Array>,
  sent: () => void,
): AsyncGenerator<Uint8Array> {
  const rest = following[Symbol.asyncIterator]()
  try {
    yield body
    for (;;) {
      const { done, value } = await rest.next()
      if (done) break
      yield value
    }
    sent()
  } finally {
    await rest.return?.()
  }
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #head = withResolvers<Answered>()
  readonly #signal: AbortSignal
  readonly #ended: (isWhole: boolean) => void
  readonly #headMs: number
  readonly #mostBytes: number
  readonly #abort = () => this.fail(this.#signal.reason)
  readonly #unread: Uint8Array[] = []
  #unreadBytes = 0
  #bytes = 0
  #informational = 0
  #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #isSent = false
  #isAnswered = false
  #over: { error?: unknown } | undefined
  /** Resolves when there is something new to read. */
  #more = withResolvers<void>()

  constructor(headMs: number, mostBytes: number, signal: AbortSignal, ended: (isWhole: boolean) => void) {
    this.#headMs = headMs
    this.#mostBytes = mostBytes
    this.#signal = signal
    this.#ended = ended
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  get head(): Promise<Answered> {
    return this.#head.promise
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) {
      controller.abort(new Error('given up'))
      return
    }
    this.#awaitHead()
  }

  /** All of the request is on its way, or will be at once. */
  sent(): void {
    this.#isSent = true
    this.#awaitHead()
  }

  #awaitHead(): void {
    if (this.#controller === undefined || !this.#isSent || this.#isAnswered || this.#over) return
    this.#timer = setTimeout(() => this.fail(new ServiceError('upstream_timed_out')), this.#headMs)
  }

  onRequestUpgrade(): void {
    this.fail(new ServiceError('upstream_failed', 'an upgrade that was not asked for'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 100 || status > 599) {
      // Any three digits can be on the wire. HTTP defines no other classes (RFC 9110 §15), and HTTP/2 cannot carry some of these.
      this.fail(new ServiceError('upstream_failed', 'a status that does not exist'))
      return
    }
    if (status < 200) {
      this.#informational++
      if (this.#informational > mostInformational)
        this.fail(new ServiceError('upstream_failed', 'too many informational answers'))
      return
    }
    clearTimeout(this.#timer)
    this.#isAnswered = true
    this.#head.resolve({ status, headers: rawOf(controller.rawHeaders), body: this.#body() })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#mostBytes) {
      this.fail(new ServiceError('upstream_too_large'))
      return
    }
    this.#unread.push(chunk)
    this.#unreadBytes += chunk.length
    if (this.#unreadBytes >= mostUnread) controller.pause()
    this.#wake()
  }

  onResponseEnd(): void {
    this.#end({}, true)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end({ error: namedError(error, this.#controller !== undefined) }, false)
  }

  /** Gives up the call; a connection with half an answer is not used again. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#end({ error }, false)
    this.#controller?.abort(new Error('given up'))
  }

  #end(over: { error?: unknown }, isWhole: boolean): void {
    if (this.#over) return
    this.#over = over
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#abort)
    if (!this.#isAnswered) this.#head.reject(over.error)
    this.#wake()
    this.#ended(isWhole)
  }

  #wake(): void {
    this.#more.resolve()
    this.#more = withResolvers()
  }

  #body(): AsyncIterableIterator<Uint8Array> {
    return bodyOf(
      () => this.#next(),
      () => this.fail(new ServiceError('upstream_failed', 'the reader has gone')),
    )
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const more = this.#more.promise
      // Once a call is cut, it shows nothing more, not even bytes that have already arrived.
      if (this.#signal.aborted) throw this.#signal.reason
      const chunk = this.#unread.shift()
      if (chunk !== undefined) {
        this.#unreadBytes -= chunk.length
        if (this.#unreadBytes < mostUnread && this.#controller?.paused) this.#controller.resume()
        return { done: false, value: chunk }
      }
      if (this.#over && 'error' in this.#over) throw this.#over.error
      if (this.#over) return { done: true, value: undefined }
      await more
    }
  }
}

/** An error of the library by our codes. `wasSent`: the upstream may have got a part of the request. */
export function namedError(error: Error, wasSent: boolean): unknown {
  if (errorCode(error) === 'upstream_address_forbidden') return error
  // The library's error may hold bytes that the upstream sent, and a secret that they repeat.
  const cause = new Error(`${error.name}: ${error.message}`)
  if (!wasSent) return new ServiceError('upstream_unreachable', undefined, { cause })
  const isLate = 'code' in error && (error.code === 'UND_ERR_HEADERS_TIMEOUT' || error.code === 'UND_ERR_BODY_TIMEOUT')
  return new ServiceError(isLate ? 'upstream_timed_out' : 'upstream_failed', undefined, { cause })
}

function rawOf(headers: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(headers)
    ? headers.map((each) => (typeof each === 'string' ? each : each.toString('latin1')))
    : []
}
