import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { errorKinds } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import type { FastifyReply } from 'fastify'
import { type Owed, redactBytes, withheld, withholding } from './answer.ts'
import { cutReasonOf } from './call-life.ts'
import type { Permitted } from './enforcement-point.ts'

/**
 * Stands between a handler's answer and the wire. A whole answer is checked against what is owed before it leaves, and is withheld rather
 * than cut. A stream is cut off at its limit together with its connection, so that the part that arrived is not mistaken for the whole.
 * Output that bypasses fastify (`reply.raw`) meets the same limit, and does not leave at all if fields must be hidden.
 */
export class AnswerGate {
  readonly #raw: ServerResponse
  readonly #owed: Owed
  #isShown: boolean
  /** Our own answer is being sent, which says that the handler's is withheld. */
  #isWithheld = false
  #isPassing = false
  #sent = 0
  /** Resolves when the last byte is handed over: nothing more is sent, however slowly the client reads. */
  readonly #ended = withResolvers<void>()
  #timer: NodeJS.Timeout | undefined
  #isLate = false
  #isAnswering = false
  /** The handler's status, if its answer was withheld. */
  #status: number | undefined
  #cut: string | undefined

  /** The status that the handler answered, even if another one was sent. */
  get status(): number {
    return this.#status ?? this.#raw.statusCode
  }

  /** Bytes of the body. */
  get sent(): number {
    return this.#sent
  }

  /** Why the answer was cut off while it was streamed. */
  get cut(): string | undefined {
    return this.#cut
  }

  /** Call it as soon as the permit is given. `signal` cuts an answer that flows, with its connection; a whole answer leaves at once. */
  constructor(reply: FastifyReply, { owed, signal }: Pick<Permitted, 'owed' | 'signal'>) {
    const { raw } = reply
    this.#raw = raw
    this.#owed = owed
    this.#isShown = owed.redact.length === 0
    const [write, end] = [raw.write.bind(raw), raw.end.bind(raw)] as unknown as Send[]
    raw.write = this.#through(write as Send) as unknown as typeof raw.write
    raw.end = this.#ending(this.#through(end as Send)) as unknown as typeof raw.end
    if (owed.withinMs !== undefined) this.#timer = setTimeout(() => this.#late(), owed.withinMs).unref()
    signal.addEventListener('abort', () => this.#cutOff(signal.reason), { once: true })
    // biome-ignore lint/suspicious/noThenProperty: fastify's own, by which a handler that returns `reply` would wait for the reader.
    reply.then = (fulfilled) => void this.over().then(fulfilled)
  }

  /** Resolves once the last byte is handed over, or the connection is gone. Call it after the handler has answered. */
  async over(): Promise<void> {
    this.#begin()
    const closed = finished(this.#raw, { readable: false }).catch(() => undefined)
    await Promise.race([this.#ended.promise, closed])
    clearTimeout(this.#timer)
  }

  #cutOff(reason: unknown): void {
    if (!this.#raw.headersSent || this.#raw.writableEnded) return
    this.#cut = cutReasonOf(reason)
    this.#raw.destroy()
  }

  /**
   * A client that reads so slowly that the outcome would be late is cut off; if the handler itself was late, the client still gets a moment
   * to read.
   */
  #begin(): void {
    if (this.#isAnswering) return
    this.#isAnswering = true
    if (this.#isLate) this.#timer = setTimeout(() => this.#raw.destroy(), lastMomentMs).unref()
  }

  #late(): void {
    this.#isLate = true
    if (this.#isAnswering) this.#raw.destroy()
  }

  /** Fastify's onSend hook: returns what fastify would send, or a problem document in its place. */
  hold(reply: FastifyReply, payload: unknown): unknown {
    this.#begin()
    if (this.#isWithheld) return payload
    try {
      const shown = withholding(() => this.#show(reply, payload))
      const bytes = lengthOf(shown) ?? announced(reply)
      if (bytes !== undefined && this.#isOver(bytes)) throw withheld('longer than its limit')
      if (shown !== payload) reply.removeHeader('content-length').removeHeader('etag')
      this.#isShown = true
      return shown
    } catch {
      if (payload instanceof Readable) payload.destroy()
      return this.#withhold(reply)
    }
  }

  #show(reply: FastifyReply, payload: unknown): unknown {
    const { redact } = this.#owed
    if (redact.length === 0 || payload === null || payload === undefined || payload === '') return payload
    const isText = typeof payload === 'string' || payload instanceof Uint8Array
    const encoding = reply.getHeader('content-encoding')
    if (!isText || !isJson(reply.getHeader('content-type')) || encoding !== undefined) throw withheld('no plain JSON')
    return redactBytes(payload, redact)
  }

  #withhold(reply: FastifyReply): string {
    this.#isWithheld = true
    this.#status = reply.statusCode
    // Drops what the handler said about the withheld answer: a header can carry as much as a body.
    for (const name of Object.keys(reply.getHeaders())) if (name !== 'bailiwick-decision-id') reply.removeHeader(name)
    const { status, title } = errorKinds.answer_withheld
    reply.code(status).type('application/problem+json').header('cache-control', 'no-store')
    const code = 'answer_withheld'
    return JSON.stringify({ type: `urn:bailiwick:error:${code}`, title, status, code, executed: true })
  }

  #isOver = (bytes: number) => this.#owed.mostBytes !== undefined && this.#sent + bytes > this.#owed.mostBytes

  #ending(end: Send): Send {
    return (...args) => {
      const sent = end(...args)
      clearTimeout(this.#timer)
      this.#ended.resolve()
      return sent
    }
  }

  #through(send: Send): Send {
    return (...args) => {
      this.#begin()
      // HTTP/2 calls write to end.
      if (this.#isPassing) return send(...args)
      const [chunk, encoding] = args
      const bytes = chunk === undefined || chunk === null || typeof chunk === 'function' ? 0 : sizeOf(chunk, encoding)
      if (!this.#isWithheld && bytes > 0 && (!this.#isShown || this.#isOver(bytes))) {
        this.#raw.destroy()
        return false
      }
      if (!this.#isWithheld) this.#sent += bytes
      this.#isPassing = true
      try {
        return send(...args)
      } finally {
        this.#isPassing = false
      }
    }
  }
}

const lastMomentMs = 1000

type Send = (...args: unknown[]) => unknown

const isJson = (type: unknown) => /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(String(type))

/** The length of a payload that is neither text nor bytes is unknown until it has arrived. */
const lengthOf = (payload: unknown) =>
  payload === null || payload === undefined ? 0 : isWhole(payload) ? sizeOf(payload) : undefined

/** The length that a stream's headers announce. */
function announced(reply: FastifyReply): number | undefined {
  const bytes = Number(reply.getHeader('content-length') ?? Number.NaN)
  return Number.isNaN(bytes) ? undefined : bytes
}

const isWhole = (payload: unknown) => typeof payload === 'string' || payload instanceof Uint8Array

function sizeOf(chunk: unknown, encoding?: unknown): number {
  if (typeof chunk !== 'string') return (chunk as Uint8Array).byteLength
  return Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
}
