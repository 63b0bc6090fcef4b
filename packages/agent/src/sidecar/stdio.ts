import { errorKinds } from '@bailiwick/errors'
import { after, readStrictJson } from '@bailiwick/kit'
import {
  fieldsOfRequest,
  isId,
  isObject,
  type JsonObject,
  legacyVersions,
  metaOf,
  modernVersion,
  readEvents,
} from '@bailiwick/mcp'
import { type ClientAnswer, errorMessage, isStream, longestMessage, parsed, wholeOf } from './answers.ts'
import type { Sidecar } from './sidecar.ts'

/** What is served: a sidecar of this process, or one elsewhere on this machine. */
export type ServedSidecar = Pick<Sidecar, 'exchange' | 'describedTool' | 'onToolsChanged'>

export interface StdioOptions {
  input: AsyncIterable<Uint8Array>
  /** Writes one message, without a line end in it. */
  write: (line: string) => void
  /** Ends the conversation. */
  signal: AbortSignal
}

/** Longest line of a client. */
const mostBytes = 4 * 1024 * 1024
/** How long open requests are still answered after the input ended. */
const lastMs = 1000

/**
 * Serves a sidecar to the program that started it: one message a line, in and out. Resolves when the input ends or `signal` is aborted. At
 * the end of the input open requests are still answered for a moment: a client may have written all that it has to say at once.
 */
export async function serveStdio(sidecar: ServedSidecar, { input, write, signal }: StdioOptions): Promise<void> {
  const client = new StdioClient(sidecar, write)
  const iterator = input[Symbol.asyncIterator]()
  const stopped = new Promise<undefined>((resolve) =>
    signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  )
  let rest = Buffer.alloc(0)
  try {
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), stopped])
      if (next === undefined) return
      if (next.done) return await client.finish()
      rest = Buffer.concat([rest, next.value])
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        client.take(rest.subarray(0, end))
        rest = rest.subarray(end + 1)
      }
      if (rest.length > mostBytes) return write(JSON.stringify(errorMessage(null, -32600, 'A line that is too long')))
    }
  } finally {
    client.end()
    // A read that waits would keep the process alive.
    if ('destroy' in input && typeof input.destroy === 'function') input.destroy()
  }
}

class StdioClient {
  readonly #sidecar: ServedSidecar
  readonly #write: (line: string) => void
  readonly #open = new Map<string | number, AbortController>()
  readonly #handling = new Set<Promise<void>>()
  /** `initialize` answers with the session and the revision that later requests name. */
  #session: string | undefined
  #version: string | undefined
  /** A client that has not read the list need not hear that it changed, and may not expect a notification yet. */
  #hasListed = false

  constructor(sidecar: ServedSidecar, write: (line: string) => void) {
    this.#sidecar = sidecar
    this.#write = write
    sidecar.onToolsChanged = () => {
      if (this.#hasListed) this.#say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    }
  }

  /** Answers come in any order, as their servers give them. */
  take(line: Buffer): void {
    if (line.length === 0 || line.toString('latin1').trim() === '') return
    const json = readStrictJson(line, { maxBytes: mostBytes, maxDepth: 64, exactNumbers: false })
    if (json.ok && isObject(json.value)) {
      const handling = this.#handle(line, json.value).finally(() => this.#handling.delete(handling))
      this.#handling.add(handling)
    } else this.#say(errorMessage(null, -32700, 'Not one message in strict JSON'))
  }

  async #handle(line: Buffer, message: JsonObject): Promise<void> {
    const { id, method } = message
    const params = isObject(message.params) ? message.params : {}
    if (method === 'notifications/cancelled' && isId(params.requestId)) this.#open.get(params.requestId)?.abort()
    if (method === 'tools/list') this.#hasListed = true
    const cut = new AbortController()
    // A server counts its requests too: the id of an answer to one is not the id of a request of the client.
    const asked = method !== undefined && isId(id) ? id : undefined
    if (asked !== undefined) this.#open.set(asked, cut)
    try {
      const request = { method: 'POST', headers: this.#headers(message, params), body: Buffer.from(line) }
      const answer = await this.#sidecar.exchange(request, cut.signal)
      if (method === 'initialize') await this.#begin(answer)
      else if (asked === undefined && wantsNoAnswer(message)) await wholeOf(answer.body)
      else await this.#pass(answer, cut.signal, asked)
    } catch {
      if (!cut.signal.aborted && asked !== undefined) this.#say(cutMessage(asked))
    } finally {
      if (asked !== undefined) this.#open.delete(asked)
    }
  }

  async #begin(answer: ClientAnswer): Promise<void> {
    const at = answer.headers.findIndex((name, n) => n % 2 === 0 && name.toLowerCase() === 'mcp-session-id')
    this.#session = at < 0 ? undefined : answer.headers[at + 1]
    for await (const text of textsOf(answer)) {
      const result = parsed(text)?.result
      const version = isObject(result) ? result.protocolVersion : undefined
      if (typeof version === 'string' && legacyVersions.includes(version)) this.#version = version
      this.#write(text)
    }
  }

  /** A stream may end before the response, for clients that open it again. This client cannot, and would wait for ever. */
  async #pass(answer: ClientAnswer, signal: AbortSignal, asked: string | number | undefined): Promise<void> {
    let isAnswered = false
    for await (const text of textsOf(answer)) {
      if (signal.aborted) return
      const { id, method } = parsed(text) ?? {}
      isAnswered ||= method === undefined && (id === asked || id === null)
      this.#write(text)
    }
    if (!isAnswered && asked !== undefined && !signal.aborted) this.#say(cutMessage(asked))
  }

  /** What a client of streamable HTTP would say in header fields. */
  #headers({ method }: JsonObject, params: JsonObject): string[] {
    const isModern = metaOf(params)['io.modelcontextprotocol/protocolVersion'] === modernVersion
    const common = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream']
    if (!isModern || typeof method !== 'string') {
      const version =
        method === 'initialize' || this.#version === undefined ? [] : ['mcp-protocol-version', this.#version]
      const session = method === 'initialize' || this.#session === undefined ? [] : ['mcp-session-id', this.#session]
      return [...common, ...version, ...session]
    }
    const tool = method === 'tools/call' ? this.#sidecar.describedTool(String(params.name)) : undefined
    return [...common, ...fieldsOfRequest(method, params, tool)]
  }

  #say(message: object): void {
    this.#write(JSON.stringify(message))
  }

  /** Waits for the open requests, for a moment. */
  async finish(): Promise<void> {
    const over = new AbortController()
    await Promise.race([Promise.all(this.#handling), after(lastMs, over.signal).catch(() => undefined)])
    over.abort()
  }

  end(): void {
    this.#sidecar.onToolsChanged = undefined
    for (const each of this.#open.values()) each.abort()
  }
}

/** The messages of an answer, each on one line. A line end in JSON stands between values alone. */
async function* textsOf(answer: ClientAnswer): AsyncGenerator<string> {
  if (!isStream(answer) || answer.body instanceof Uint8Array) {
    const text = (await wholeOf(answer.body)).toString('utf8')
    if (text !== '') yield oneLine(text)
    return
  }
  for await (const { data } of readEvents(answer.body, longestMessage))
    if (data !== undefined && data !== '') yield oneLine(data)
}

const cutMessage = (id: string | number) =>
  errorMessage(id, -32603, errorKinds.stream_cut.title, { code: 'stream_cut' })

/** Notifications and answers to servers have no answer in JSON-RPC. */
const wantsNoAnswer = ({ id, method, ...others }: JsonObject): boolean =>
  method === undefined ? 'result' in others || 'error' in others : id === undefined

const oneLine = (text: string): string => text.replaceAll(/[\r\n]+/g, ' ')
