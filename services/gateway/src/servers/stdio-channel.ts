import { ServiceError } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import { type Era, type JsonObject, metaOf, readMessage } from '@bailiwick/mcp'
import { type Executed, type RelayRequest, withoutSecrets } from '@bailiwick/relay'
import { isOfTasks, longestMessage, readUpstreamMessage } from '../protocol/screen.ts'
import { type Channel, type ExchangeOptions, type Rewrite, whole, withSource } from './channel.ts'
import { denialOfRequest, tellsOfFailure } from './http-channel.ts'
import { ServerProcess, type ServerProcessOptions } from './server-process.ts'

export interface StdioChannelOptions extends Omit<ServerProcessOptions, 'onLine' | 'onEnd'> {
  era: Era
  /** How long the server may take to begin its answer to a request. */
  answerMs: number
  /** What the server was given and no client may see. */
  secrets?: readonly string[] | undefined
}

/** Receives what the server writes for one request, or for the stream of a session. */
interface Listener {
  readonly id: string | number | undefined
  readonly token: unknown
  /** Whether a decision allowed the answer. */
  readonly isDecided: boolean
  readonly push: (message: Written) => void
  readonly fail: (error: ServiceError) => void
}

interface Written {
  text: string
  value: JsonObject
  isResponse: boolean
}

const subscription = 'io.modelcontextprotocol/subscriptionId'
/** The longest message that is no response to what waits, in bytes. */
const longestOther = 1024 * 1024
const mostWaiting = 1024
const mostWaitingLength = 2 * longestMessage
/** Requests that the server has not answered, most of which their clients gave up. */
const mostUnanswered = 1024

/**
 * A server that speaks MCP on its standard input and output. Over HTTP each request has its own answer, so what the server writes goes to
 * the request that it names, by id, progress token or subscription. A message that names none goes to the stream of the session.
 */
export class StdioChannel implements Channel {
  readonly era: Era
  onListChanged: () => void = () => undefined
  mayAsk: Channel['mayAsk'] = () => false
  readonly #listeners = new Set<Listener>()
  /** The ids of requests that the server may still answer, also of those that were given up. */
  readonly #unanswered = new Set<string | number>()
  readonly #answerMs: number
  readonly #secrets: readonly string[]
  #process!: ServerProcess

  static async start({ era, answerMs, secrets = [], ...options }: StdioChannelOptions): Promise<StdioChannel> {
    const channel = new StdioChannel(era, answerMs, secrets)
    channel.#process = await ServerProcess.start({
      ...options,
      onLine: (line) => channel.#take(line),
      onEnd: (reason) => channel.#fail(reason),
    })
    return channel
  }

  private constructor(era: Era, answerMs: number, secrets: readonly string[]) {
    this.era = era
    this.#answerMs = answerMs
    this.#secrets = secrets
  }

  get isOver(): boolean {
    return this.#process.isOver
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  async exchange(
    request: RelayRequest,
    signal: AbortSignal,
    rewrite?: Rewrite,
    { isDecided = false }: ExchangeOptions = {},
  ): Promise<Executed> {
    if (request.method === 'GET') return this.#stream(signal, isDecided)
    const message = readMessage(JSON.parse(Buffer.from(request.body).toString('utf8')))
    if ('refused' in message) throw new ServiceError(message.refused, message.detail)
    if (message.kind !== 'request') {
      this.#process.send(request.body)
      return { status: 202, headers: [], body: whole(new Uint8Array()) }
    }
    const { id } = message
    // Two answers with one id could not be told apart, and one caller would get the other's answer.
    if ([...this.#listeners].some((listener) => listener.id === id))
      throw new ServiceError('call_in_progress', 'the id is in use')
    // An answer to a request that was given up would be taken for the answer to this one, under what this one's decision owes.
    if (this.#unanswered.has(id) || this.#unanswered.size >= mostUnanswered) {
      await this.#process.kill()
      throw new ServiceError('upstream_unreachable', 'the server still has a request of this id')
    }
    const inbox = this.#listen({ id, token: metaOf(message.params).progressToken, isDecided }, signal)
    try {
      this.#process.send(request.body)
    } catch (error) {
      inbox.close()
      throw error
    }
    this.#unanswered.add(id)
    try {
      return await this.#shown(answerOf(await this.#firstOf(inbox), inbox, rewrite))
    } catch (error) {
      inbox.close()
      throw error
    }
  }

  /** An answer without the server's secrets. One that is whole is checked as a whole, so that it can be refused with a reason. */
  async #shown(executed: Executed): Promise<Executed> {
    const body = withoutSecrets(executed.body, this.#secrets)
    if (executed.headers === streamHeaders) return { ...executed, body }
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    return { ...executed, body: whole(Buffer.concat(chunks)) }
  }

  async end(): Promise<void> {
    await this.#process.kill()
  }

  /** Notifications that belong to no request (2025-11-25, "Listening for Messages from the Server"). */
  async #stream(signal: AbortSignal, isDecided: boolean): Promise<Executed> {
    const inbox = this.#listen({ id: undefined, token: undefined, isDecided }, signal)
    return this.#shown({
      status: 200,
      headers: streamHeaders,
      body: withSource(eventsOf(undefined, inbox), () => inbox.close()),
    })
  }

  #listen(from: Pick<Listener, 'id' | 'token' | 'isDecided'>, signal: AbortSignal): Inbox {
    const { id } = from
    signal.throwIfAborted()
    const inbox = new Inbox(() => {
      this.#listeners.delete(listener)
      signal.removeEventListener('abort', abort)
    })
    const listener: Listener = { ...from, push: (message) => inbox.push(message), fail: (error) => inbox.fail(error) }
    const abort = () => {
      inbox.fail(signal.reason instanceof ServiceError ? signal.reason : new ServiceError('stream_cut'))
      if (id !== undefined && !this.isOver)
        this.#send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#listeners.add(listener)
    return inbox
  }

  async #firstOf(inbox: Inbox): Promise<Written> {
    const timer = setTimeout(() => inbox.fail(new ServiceError('upstream_timed_out')), this.#answerMs)
    try {
      return await inbox.next()
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether something waits for it. Only a response that is waited for may be long: the gateway does nothing else while it reads one. */
  #take(line: Uint8Array): boolean {
    try {
      if (line.length > longestOther && this.#unanswered.size === 0) throw new ServiceError('upstream_too_large')
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line)
      const { message, value } = readUpstreamMessage(text)
      const isAwaited = message.kind === 'response' && message.id !== undefined && this.#unanswered.has(message.id)
      if (line.length > longestOther && !isAwaited) throw new ServiceError('upstream_too_large')
      if (message.kind === 'request') {
        const listener = this.#whoMayAnswer()
        if (listener !== undefined && this.mayAsk(message.id, message.method))
          listener.push({ text, value, isResponse: false })
        else this.deny(message.id, message.method)
        return listener !== undefined
      }
      if (message.kind === 'response') {
        if (message.id !== undefined) this.#unanswered.delete(message.id)
        for (const { id, push } of this.#listeners)
          if (id !== undefined && id === message.id) push({ text, value, isResponse: true })
        return isAwaited
      }
      if (message.method.endsWith('/list_changed')) this.onListChanged()
      const listeners = isOfTasks(message.method) ? [] : this.#meantFor(message.params)
      for (const { push } of listeners) push({ text, value, isResponse: false })
      return listeners.length > 0
    } catch {
      // A server that writes anything else to its output can no longer be understood.
      void this.#process.kill()
      return false
    }
  }

  deny(id: string | number, method: string): void {
    this.#send(denialOfRequest(id, method))
  }

  /** The one call that a request of the server can be about, or else the stream of the session. What no decision allowed is neither. */
  #whoMayAnswer(): Listener | undefined {
    const all = [...this.#listeners].filter(({ isDecided }) => isDecided)
    const calls = all.filter(({ id }) => id !== undefined)
    return calls.length === 1 ? calls[0] : all.find(({ id }) => id === undefined)
  }

  #meantFor(params: JsonObject): Listener[] {
    const subscribed = metaOf(params)[subscription]
    const all = [...this.#listeners]
    if (subscribed !== undefined) return all.filter(({ id }) => id === subscribed)
    const { progressToken } = params
    if (progressToken !== undefined) return all.filter(({ token }) => token === progressToken).slice(0, 1)
    const streams = all.filter(({ id }) => id === undefined)
    // If there is no stream, what a server says while it handles one request is about that request.
    return streams.length > 0 ? streams : all.length === 1 ? all : []
  }

  #send(message: object): void {
    try {
      this.#process.send(Buffer.from(JSON.stringify(message)))
    } catch {
      // The process is over, and its listeners were told.
    }
  }

  #fail(reason: ServiceError): void {
    for (const { fail } of [...this.#listeners]) fail(reason)
  }
}

const streamHeaders = ['content-type', 'text/event-stream', 'x-accel-buffering', 'no']

/** A response alone is sent as a JSON body. If other messages come before it, the answer is a stream. */
function answerOf(first: Written, inbox: Inbox, rewrite: Rewrite | undefined): Executed {
  if (!first.isResponse)
    return {
      status: 200,
      headers: streamHeaders,
      body: withSource(eventsOf(first, inbox, rewrite), () => inbox.close()),
      failed: () => inbox.hasFailed,
    }
  inbox.close()
  const text = rewrite?.(first.text, first.value) ?? first.text
  const hasFailed = tellsOfFailure(first.value)
  return {
    status: 200,
    headers: ['content-type', 'application/json'],
    body: whole(Buffer.from(text)),
    failed: () => hasFailed,
  }
}

async function* eventsOf(first: Written | undefined, inbox: Inbox, rewrite?: Rewrite): AsyncGenerator<Uint8Array> {
  try {
    for (let message = first ?? (await inbox.next()); ; message = await inbox.next()) {
      const text = message.isResponse ? (rewrite?.(message.text, message.value) ?? message.text) : message.text
      if (message.isResponse) inbox.hasFailed = tellsOfFailure(message.value)
      yield Buffer.from(`event: message\ndata: ${text}\n\n`)
      if (message.isResponse) return
    }
  } finally {
    inbox.close()
  }
}

/** The messages that were written for a listener and not read yet, up to a bound. */
class Inbox {
  hasFailed = false
  readonly #waiting: Written[] = []
  #waitingLength = 0
  readonly #onClose: () => void
  #next: ReturnType<typeof withResolvers<Written>> | undefined
  #failure: ServiceError | undefined

  constructor(onClose: () => void) {
    this.#onClose = onClose
  }

  push(message: Written): void {
    if (this.#next !== undefined) {
      this.#next.resolve(message)
      this.#next = undefined
    } else if (this.#waiting.length < mostWaiting && this.#waitingLength + message.text.length <= mostWaitingLength) {
      this.#waiting.push(message)
      this.#waitingLength += message.text.length
    }
    // A client that does not read loses further notifications, and then its stream.
    else this.fail(new ServiceError('upstream_too_large', 'the client reads too slowly'))
  }

  fail(error: ServiceError): void {
    this.#failure ??= error
    this.#next?.reject(error)
    this.#next = undefined
  }

  async next(): Promise<Written> {
    const message = this.#waiting.shift()
    this.#waitingLength -= message?.text.length ?? 0
    if (message !== undefined) return message
    if (this.#failure !== undefined) throw this.#failure
    this.#next = withResolvers<Written>()
    return this.#next.promise
  }

  close(): void {
    this.#onClose()
  }
}
