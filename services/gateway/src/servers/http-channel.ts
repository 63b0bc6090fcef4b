import { errorCode, ServiceError } from '@bailiwick/errors'
import { fieldsOf, GatheredBytes } from '@bailiwick/kit'
import { type Era, isObject } from '@bailiwick/mcp'
import type { Answered, Executed, RelayRequest } from '@bailiwick/relay'
import { longestMessage, type Screen, screenEvents, screenJson } from '../protocol/screen.ts'
import { type Channel, type ExchangeOptions, type Rewrite, whole, withSource } from './channel.ts'
import type { HttpSender } from './http-sender.ts'
import { Unanswered } from './unanswered.ts'

/** The fields of a client that an MCP server may read. The gateway drops all others: cookies, keys, and fields that proxies added. */
const passedOn =
  /^(content-type|accept|mcp-protocol-version|mcp-method|mcp-name|mcp-param-.*|last-event-id|traceparent|tracestate|baggage)$/
/** The fields of an answer that a client needs. A challenge of the upstream is not among them: it would send the client elsewhere. */
const passedBack = /^(content-type|mcp-protocol-version|retry-after|x-accel-buffering)$/

/** A session with, or requests to, an MCP server over streamable HTTP. */
export class HttpChannel implements Channel {
  readonly era: Era
  onListChanged: () => void = () => undefined
  mayAsk: Channel['mayAsk'] = () => false
  readonly #unanswered = new Unanswered()
  readonly #sender: Pick<HttpSender, 'send'>
  /** The upstream's own name for the session. The client never learns it. */
  #session: string | undefined
  #isOver = false

  constructor(era: Era, sender: Pick<HttpSender, 'send'>) {
    this.era = era
    this.#sender = sender
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether the upstream keeps sessions. */
  get hasSession(): boolean {
    return this.#session !== undefined
  }

  async exchange(
    request: RelayRequest,
    signal: AbortSignal,
    rewrite?: Rewrite,
    { isDecided = false, isResumable = false }: ExchangeOptions = {},
  ): Promise<Executed> {
    const { id, ...screening } = this.#screen(request, isDecided)
    if (id !== undefined) this.#unanswered.sent(id)
    const answer = await this.#send(request, signal)
    const { status, headers } = answer
    const [session] = fieldsOf(headers, 'mcp-session-id')
    if (session !== undefined && this.#session === undefined && this.era === 'legacy') this.#session = session
    if (status === 404 && this.#session !== undefined) this.#isOver = true
    if (status >= 300 && ![400, 404, 405].includes(status)) {
      await giveUp(answer.body)
      if (status < 400) throw new ServiceError('upstream_redirected')
      throw new ServiceError('upstream_failed', `the upstream answered ${status}`)
    }
    const back = headers.flatMap((name, n) =>
      n % 2 === 0 && passedBack.test(name.toLowerCase()) ? [name, headers[n + 1] ?? ''] : [],
    )
    const [type = ''] = fieldsOf(headers, 'content-type')
    let hasFailed: boolean | undefined = status >= 400
    const screen: Screen = {
      ...screening,
      id,
      onResponse: (text, value) => {
        if (tellsOfFailure(value)) hasFailed = true
        if (id !== undefined) this.#unanswered.answered(id)
        return rewrite?.(text, value) ?? text
      },
    }
    if (/^text\/event-stream\s*(;|$)/i.test(type)) {
      const mayBreakOff = isResumable && this.#mayMove(id, signal)
      const onBrokenOff = () => {
        hasFailed = undefined
      }
      const events = screenEvents(answer.body, { ...screen, ...(mayBreakOff ? { onBrokenOff } : {}) })
      const body = withSource(events, () => giveUp(answer.body))
      return { status, headers: back, body, failed: () => hasFailed }
    }
    const bytes = await readWhole(answer.body)
    if (bytes.length === 0 && screen.id !== undefined && status < 400)
      throw new ServiceError('upstream_failed', 'the answer is empty')
    if (bytes.length === 0) return { status, headers: back, body: whole(bytes), failed: () => hasFailed }
    if (!/^application\/json\s*(;|$)/i.test(type)) {
      // A page of a proxy, or plain text: it says nothing that a client of MCP reads.
      if (status < 400) throw new ServiceError('upstream_failed', 'the answer is neither JSON nor a stream')
      return { status, headers: [], body: whole(new Uint8Array()), failed: () => true }
    }
    return { status, headers: back, body: whole(screenJson(bytes, screen)), failed: () => hasFailed }
  }

  async end(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    const session = this.#session
    if (session === undefined) return
    const signal = AbortSignal.timeout(2000)
    const farewell = { method: 'DELETE', target: '', headers: [], body: new Uint8Array() }
    await this.#send(farewell, signal)
      .then(({ body }) => giveUp(body))
      .catch(() => undefined)
  }

  #send({ method, headers, body }: RelayRequest, signal: AbortSignal): Promise<Answered> {
    const passed = headers.flatMap((name, n) =>
      n % 2 === 0 && passedOn.test(name.toLowerCase()) ? [name, headers[n + 1] ?? ''] : [],
    )
    const session = this.#session === undefined ? [] : ['mcp-session-id', this.#session]
    return this.#sender.send({ method, headers: [...passed, ...session], body }, signal)
  }

  /** Lets the response come on the stream of the session, until the call is withdrawn. That its client goes away withdraws nothing. */
  #mayMove(id: string | number | undefined, signal: AbortSignal): boolean {
    if (this.era !== 'legacy' || id === undefined || !this.#unanswered.mayMove(id)) return false
    const withdraw = () => {
      if (errorCode(signal.reason) === 'stream_cut') this.#unanswered.withdrawn(id)
    }
    if (signal.aborted) withdraw()
    else signal.addEventListener('abort', withdraw, { once: true })
    return true
  }

  #screen({ method, body }: RelayRequest, isDecided: boolean): Screen {
    const message = body.length === 0 ? undefined : JSON.parse(Buffer.from(body).toString('utf8'))
    return {
      // The id in an answer of the client is that of the server's request, and nothing is answered to it.
      id: message?.method === undefined ? undefined : message.id,
      onRequest: (id, method) => {
        const passes = isDecided && this.mayAsk(id, method)
        if (!passes) this.deny(id, method)
        return passes
      },
      isAwaited: (id) => method === 'GET' && this.#unanswered.moved(id),
      onNotification: (method) => {
        if (method.endsWith('/list_changed')) this.onListChanged()
      },
    }
  }

  /** Otherwise the upstream would wait, and so would the client. */
  deny(id: string | number, method: string): void {
    const body = Buffer.from(JSON.stringify(denialOfRequest(id, method)))
    const headers = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream']
    const signal = AbortSignal.timeout(10_000)
    void this.#send({ method: 'POST', target: '', headers, body }, signal)
      .then((answer) => giveUp(answer.body))
      .catch(() => undefined)
  }
}

/** The gateway's answer to a request that an upstream sends to the client: it answers `ping`, and denies everything else. */
export function denialOfRequest(id: string | number, method: string): object {
  if (method === 'ping') return { jsonrpc: '2.0', id, result: {} }
  return { jsonrpc: '2.0', id, error: { code: -32601, message: 'The gateway denies requests of servers to clients' } }
}

/** Whether a response is a JSON-RPC error, or a tool's result that reports a failure. */
export const tellsOfFailure = (response: Readonly<Record<string, unknown>>): boolean =>
  'error' in response || (isObject(response.result) && response.result.isError === true)

async function readWhole(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const gathered = new GatheredBytes()
  for await (const chunk of body) {
    if (gathered.length + chunk.length > longestMessage) throw new ServiceError('upstream_too_large', 'the answer')
    gathered.push(chunk)
  }
  return gathered.bytes()
}

/** Ends an unread answer, and with it its connection. */
async function giveUp(body: AsyncIterable<Uint8Array>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.()
}
