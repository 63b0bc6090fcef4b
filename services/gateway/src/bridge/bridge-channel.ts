import { ServiceError } from '@bailiwick/errors'
import {
  type Era,
  fieldsOfRequest,
  isObject,
  type JsonObject,
  legacyVersions,
  type Message,
  modernVersion,
  readMessage,
} from '@bailiwick/mcp'
import type { Executed, RawHeaders, RelayRequest } from '@bailiwick/relay'
import type { Hello } from '../manifest/manifest.ts'
import { ask, helloOf, initialize } from '../manifest/observe.ts'
import { type Channel, type Rewrite, whole } from '../servers/channel.ts'
import { requestToLegacy, requestToModern, responseToLegacy, responseToModern } from './map-messages.ts'

/** Both eras have these names in common. How they are used, and which lists change, differs, so the bridge promises no more. */
const capabilitiesInBoth = ['tools', 'resources', 'prompts', 'completions']

/** Requests under way, and tools of a server, that are remembered: what is more is forgotten, the oldest first. */
const [mostUnderWay, mostTools] = [256, 4096]

/**
 * A client of one era before a server of the other. A message without a counterpart does not come here (`unbridgeable`). Beginnings are the
 * gateway's own on both sides: it begins with the server as itself, and tells the client what the server said.
 */
export class BridgeChannel implements Channel {
  readonly era: Era
  readonly #inner: Channel
  readonly #newId: () => string
  /** The beginning with the server, shared by requests that come at once. */
  #hello: Promise<Hello> | undefined
  #clientInfo: unknown
  /** The tools as the server described them last: their schemas say which arguments header fields repeat. */
  readonly #tools = new Map<string, JsonObject>()
  readonly #underWay = new Map<string | number, AbortController>()

  constructor(inner: Channel, newId: () => string) {
    this.#inner = inner
    this.#newId = newId
    this.era = inner.era === 'modern' ? 'legacy' : 'modern'
  }

  get isOver(): boolean {
    return this.#inner.isOver
  }

  /** In the other era a server asks in another way, or not at all. */
  mayAsk: Channel['mayAsk'] = () => false

  deny(id: string | number, method: string): void {
    this.#inner.deny(id, method)
  }

  get onListChanged(): () => void {
    return this.#inner.onListChanged
  }

  set onListChanged(heard: () => void) {
    this.#inner.onListChanged = heard
  }

  /** What the server itself said. Its client hears a part of it. */
  hello(): Promise<Hello> {
    return this.#begun()
  }

  async exchange(request: RelayRequest, signal: AbortSignal, rewrite?: Rewrite): Promise<Executed> {
    const text = Buffer.from(request.body).toString('utf8')
    const message = request.method === 'POST' ? readMessage(JSON.parse(text)) : undefined
    if (message === undefined || 'refused' in message || message.kind === 'response')
      throw new ServiceError('invariant_broken', 'a message without a counterpart')
    if (message.kind === 'notification') return this.#notified(message)
    if (message.method === 'ping') return answerOf(message.id, {}, rewrite)
    const hello = await this.#begun()
    if (message.method === 'initialize') return answerOf(message.id, this.#initialized(message.params, hello), rewrite)
    if (message.method === 'server/discover') return answerOf(message.id, discovered(hello), rewrite)
    const executed = await this.#sent(text, message, hello, { request, signal, rewrite })
    // A status over 400 ends sessions in the legacy era, and the modern one uses it for errors of single requests.
    const status = this.era === 'legacy' && executed.status >= 400 ? 200 : executed.status
    return {
      ...executed,
      status,
      headers: executed.headers.filter((_, n, all) => !/^mcp-/i.test(all[n - (n % 2)] ?? '')),
    }
  }

  async #sent(
    text: string,
    message: Extract<Message, { kind: 'request' }>,
    hello: Hello,
    { request, signal, rewrite }: { request: RelayRequest; signal: AbortSignal; rewrite: Rewrite | undefined },
  ): Promise<Executed> {
    const { id, method } = message
    const givenUp = new AbortController()
    keep(this.#underWay, mostUnderWay, id, givenUp)
    const either = AbortSignal.any([signal, givenUp.signal])
    either.addEventListener('abort', () => this.#cancel(id), { once: true })
    try {
      const mapped = { ...request, ...this.#mapped(text, message, hello, request.headers) }
      return await this.#inner.exchange(mapped, either, (answer, value) =>
        this.#answered(answer, value, method, rewrite),
      )
    } catch (error) {
      this.#underWay.delete(id)
      throw error
    }
  }

  /** A server of the legacy era gets a notification; one of the modern era sees that its stream is closed. */
  #cancel(requestId: string | number): void {
    if (!this.#underWay.delete(requestId) || this.#inner.era !== 'legacy' || this.isOver) return
    const body = Buffer.from(
      JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }),
    )
    const headers = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream']
    void this.#inner
      .exchange({ method: 'POST', target: '', headers, body }, AbortSignal.timeout(5000))
      .then((answer) => answer.body[Symbol.asyncIterator]().return?.())
      .catch(() => undefined)
  }

  end(): Promise<void> {
    return this.#inner.end()
  }

  /** The one notification that a server must hear is that a request was given up. */
  #notified({ method, params }: Extract<Message, { kind: 'notification' }>): Executed {
    const { requestId } = params
    if (method === 'notifications/cancelled' && (typeof requestId === 'string' || typeof requestId === 'number'))
      this.#underWay.get(requestId)?.abort(new ServiceError('stream_cut', 'the client gave the request up'))
    return { status: 202, headers: [], body: whole(new Uint8Array()) }
  }

  #begun(): Promise<Hello> {
    this.#hello ??= this.#begin().catch((error: unknown) => {
      this.#hello = undefined
      throw error
    })
    return this.#hello
  }

  async #begin(): Promise<Hello> {
    if (this.#inner.era === 'legacy') return initialize(this.#inner, this.#newId)
    const said = helloOf(await ask(this.#inner, this.#newId(), 'server/discover', {}))
    if (said === undefined) throw new ServiceError('upstream_failed', 'the server does not begin')
    return said
  }

  #initialized({ protocolVersion, clientInfo }: JsonObject, hello: Hello): JsonObject {
    this.#clientInfo = clientInfo
    const asked = String(protocolVersion)
    const version = legacyVersions.includes(asked) ? asked : legacyVersions.at(-1)
    return { protocolVersion: version, ...saidBy(hello), serverInfo: hello.serverInfo ?? { name: '', version: '' } }
  }

  #mapped(
    text: string,
    { method, params }: Extract<Message, { kind: 'request' }>,
    hello: Hello,
    given: RawHeaders,
  ): Pick<RelayRequest, 'headers' | 'body'> {
    const others = given.filter((_, n) => !/^mcp-/i.test(given[n - (n % 2)] ?? ''))
    if (this.era === 'legacy') {
      const tool = method === 'tools/call' ? this.#tools.get(String(params.name)) : undefined
      const body = Buffer.from(requestToModern(text, this.#clientInfo))
      return { headers: [...others, ...fieldsOfRequest(method, params, tool)], body }
    }
    const { protocolVersion } = hello
    const version = typeof protocolVersion === 'string' ? ['mcp-protocol-version', protocolVersion] : []
    return { headers: [...others, ...version], body: Buffer.from(requestToLegacy(text)) }
  }

  #answered(text: string, value: JsonObject, method: string, rewrite: Rewrite | undefined): string {
    if (typeof value.id === 'string' || typeof value.id === 'number') this.#underWay.delete(value.id)
    const { tools } = isObject(value.result) ? value.result : {}
    if (method === 'tools/list' && Array.isArray(tools))
      for (const tool of tools) if (isObject(tool)) keep(this.#tools, mostTools, String(tool.name), tool)
    const mapped = this.era === 'legacy' ? responseToLegacy(text, value) : responseToModern(text, value, method)
    return rewrite?.(mapped, JSON.parse(mapped)) ?? mapped
  }
}

function keep<K, V>(all: Map<K, V>, most: number, key: K, value: V): void {
  all.delete(key)
  all.set(key, value)
  for (const oldest of all.keys()) if (all.size > most) all.delete(oldest)
}

function saidBy({ capabilities, instructions }: Hello): JsonObject {
  const kept = capabilitiesInBoth.filter((name) => isObject(capabilities[name]))
  return {
    capabilities: Object.fromEntries(kept.map((name) => [name, {}])),
    ...(instructions === undefined ? {} : { instructions }),
  }
}

const discovered = (hello: Hello): JsonObject => ({
  resultType: 'complete',
  supportedVersions: [modernVersion],
  ...saidBy(hello),
  ...(hello.serverInfo === undefined ? {} : { _meta: { 'io.modelcontextprotocol/serverInfo': hello.serverInfo } }),
  ttlMs: 0,
  cacheScope: 'private',
})

function answerOf(id: string | number, result: JsonObject, rewrite: Rewrite | undefined): Executed {
  const value = { jsonrpc: '2.0', id, result }
  const text = JSON.stringify(value)
  return {
    status: 200,
    headers: ['content-type', 'application/json'],
    body: whole(Buffer.from(rewrite?.(text, value) ?? text)),
  }
}
