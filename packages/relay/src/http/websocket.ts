import type { Duplex } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import type { Client, Dispatcher } from 'undici'
import { bodyOf } from '../body.ts'
import { acceptOf } from '../gate/handshake.ts'
import type { Relayed } from '../relay.ts'
import type { RawHeaders } from '../upstream.ts'
import { namedError } from './exchange.ts'
import { pour } from './send.ts'

/** A WebSocket to the upstream, which is open. */
export interface Opened {
  /** What the upstream sends, as it arrives. Giving it up closes the connection. */
  body: AsyncIterableIterator<Uint8Array>
  /** Takes what the client sends. */
  socket: Duplex
  /** The subprotocol that the upstream chose, if it chose one. */
  protocol: string | undefined
}

/**
 * Opens a WebSocket on a connection of its own. `key`: 16 random bytes in base64. Rejects as `exchange` does, and with `upstream_failed` for
 * any answer that does not open it. `ended` is called once, when the connection is over.
 */
export function openWebSocket(
  client: Client,
  { target, headers, key }: { target: string; headers: RawHeaders; key: string },
  headMs: number,
  signal: AbortSignal,
  ended: () => void,
): Promise<Opened> {
  const opening = new Opening(key, headMs, signal, ended)
  if (signal.aborted) opening.fail(signal.reason)
  else
    client.dispatch(
      {
        ...{ method: 'GET', path: target, upgrade: 'websocket', body: null },
        headers: [...headers, 'sec-websocket-key', key, 'sec-websocket-version', '13'],
      },
      opening,
    )
  return opening.opened
}

class Opening implements Dispatcher.DispatchHandler {
  readonly #opened = withResolvers<Opened>()
  readonly #key: string
  readonly #headMs: number
  readonly #signal: AbortSignal
  readonly #ended: () => void
  readonly #abort = () => this.fail(this.#signal.reason)
  #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #isOver = false

  constructor(key: string, headMs: number, signal: AbortSignal, ended: () => void) {
    this.#key = key
    this.#headMs = headMs
    this.#signal = signal
    this.#ended = ended
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  get opened(): Promise<Opened> {
    return this.#opened.promise
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) return void controller.abort(new Error('given up'))
    this.#timer = setTimeout(() => this.fail(new ServiceError('upstream_timed_out')), this.#headMs)
  }

  onRequestUpgrade(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    socket: Duplex,
  ): void {
    socket.on('error', () => undefined)
    const { upgrade, 'sec-websocket-accept': accept, 'sec-websocket-protocol': protocol } = headers
    const isOpen = status === 101 && String(upgrade).toLowerCase() === 'websocket' && accept === acceptOf(this.#key)
    // An extension that no one offered would change what the frames mean.
    if (this.#isOver || !isOpen || headers['sec-websocket-extensions'] !== undefined) {
      socket.destroy()
      this.fail(new ServiceError('upstream_failed', 'it did not open the WebSocket'))
      return
    }
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#abort)
    socket.once('close', this.#ended)
    const body = bytesOf(socket, this.#signal)
    this.#opened.resolve({ body, socket, protocol: typeof protocol === 'string' ? protocol : undefined })
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.fail(new ServiceError('upstream_failed', 'it did not open the WebSocket'))
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    this.fail(new ServiceError('upstream_failed'))
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.fail(namedError(error, this.#controller !== undefined))
  }

  fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#abort)
    this.#opened.reject(error)
    this.#controller?.abort(new Error('given up'))
    this.#ended()
  }
}

/** What arrives on a connection. Once the call is cut, it shows nothing more, and the connection is closed. */
function bytesOf(socket: Duplex, signal: AbortSignal): AsyncIterableIterator<Uint8Array> {
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>
  const cut = () => socket.destroy()
  signal.addEventListener('abort', cut, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', cut))
  const next = async () => {
    const next = await chunks.next().catch((cause: unknown) => {
      throw signal.aborted ? signal.reason : new ServiceError('upstream_failed', undefined, { cause })
    })
    if (signal.aborted) throw signal.reason
    return next
  }
  return bodyOf(next, () => socket.destroy())
}

/** How long a client may take to read the last bytes, and to close its side. */
const lastBytesMs = 10_000

/** Opens the WebSocket to the client: `sendUpgraded`, with what its key asks for. */
export const sendWebSocket = (socket: Duplex, relayed: UpgradedCall, key: string, closeMs?: number): Promise<void> =>
  sendUpgraded(socket, relayed, ['upgrade', 'websocket', 'sec-websocket-accept', acceptOf(key)], closeMs)

type UpgradedCall = Pick<Relayed, 'decisionId' | 'executed' | 'over'>

/**
 * Takes the client’s connection out of HTTP, and passes on what either side sends, until one of them or the call ends. Then both connections
 * are closed, at the latest after `closeMs`. `own`: the fields that say to which protocol. Never rejects.
 */
export async function sendUpgraded(
  socket: Duplex,
  { decisionId, executed, over }: UpgradedCall,
  own: RawHeaders,
  closeMs = lastBytesMs,
): Promise<void> {
  const { headers, body, writable } = executed
  const all = ['connection', 'Upgrade', ...own, ...headers, 'bailiwick-decision-id', decisionId]
  const fields = all.flatMap((text, at) => (at % 2 === 0 ? [`${text}: ${all[at + 1]}`] : []))
  try {
    socket.write(`${['HTTP/1.1 101 Switching Protocols', ...fields].join('\r\n')}\r\n\r\n`)
    if (writable !== undefined) socket.pipe(writable)
    await pour(socket, body, over)
    close(socket, closeMs)
  } catch {
    socket.destroy()
  } finally {
    writable?.destroy()
  }
}

/**
 * Sends the last bytes, and closes the connection once the client has closed its side, or does not in time. What the client still sends is
 * thrown away: unread, it would hide that the client has closed, and the descriptor would be held for good.
 */
function close(socket: Duplex, closeMs: number): void {
  const timer = setTimeout(() => socket.destroy(), closeMs)
  socket.once('close', () => clearTimeout(timer))
  socket.unpipe().resume()
  socket.end()
}
