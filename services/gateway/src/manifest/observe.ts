import { ServiceError } from '@bailiwick/errors'
import { readStrictJson } from '@bailiwick/kit'
import { type Era, isObject, type JsonObject, readEvents } from '@bailiwick/mcp'
import type { Executed } from '@bailiwick/relay'
import { ownInitialize, ownRequest } from '../protocol/outgoing.ts'
import { longestMessage } from '../protocol/screen.ts'
import type { Channel } from '../servers/channel.ts'
import { type Hello, type Manifest, manifestHash, readManifest, type ServerIdentity } from './manifest.ts'

/** How long the gateway waits for one answer while it reads a server. */
const readMs = 30_000

/** What a server was found to say of itself. */
export interface Observation {
  readonly manifest: Manifest
  readonly hash: string
  readonly capabilities: JsonObject
}

/** An observation, and the era of the conversation in which it was made. */
export interface Reading extends Observation {
  readonly era: Era
}

/**
 * What a server says of itself, as read over this very channel: a server could describe itself differently to each conversation. `hello`
 * is what it said when a client of the legacy era began; a server of the modern era is asked.
 */
export async function observe(
  channel: Channel,
  { identity, hello, newId }: { identity: ServerIdentity; hello: Hello | undefined; newId: () => string },
): Promise<Observation> {
  const request = (method: string, params: JsonObject) => ask(channel, newId(), method, params)
  const own = await channel.hello?.()
  const said = own ?? hello ?? (channel.era === 'modern' ? helloOf(await request('server/discover', {})) : undefined)
  if (said === undefined) throw new ServiceError('mcp_session_unknown', 'the session was not initialised')
  const manifest = await readManifest({ request }, identity, said)
  return { manifest, hash: manifestHash(manifest), capabilities: said.capabilities }
}

/** Begins a conversation of the legacy era for the gateway itself. */
export async function initialize(channel: Channel, newId: () => string): Promise<Hello> {
  const said = helloOf(await ask(channel, newId(), 'initialize', ownInitialize))
  if (said === undefined) throw new ServiceError('upstream_failed', 'the server does not begin')
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  const { headers } = ownRequest(channel.era, '', 'notifications/initialized', {}, '')
  const answer = await channel.exchange({ method: 'POST', target: '', headers, body }, AbortSignal.timeout(readMs))
  // Nothing is asked for, and a server could go on answering for ever.
  await answer.body[Symbol.asyncIterator]().return?.()
  return said
}

/** From the result of `initialize` or of `server/discover`. */
export function helloOf(result: JsonObject | undefined): Hello | undefined {
  if (result === undefined) return undefined
  const meta = isObject(result._meta) ? result._meta : {}
  return {
    serverInfo: result.serverInfo ?? meta['io.modelcontextprotocol/serverInfo'],
    instructions: result.instructions,
    capabilities: isObject(result.capabilities) ? result.capabilities : {},
    protocolVersion: result.protocolVersion,
  }
}

/** The result of one of the gateway's own requests; undefined if the server answered with an error. */
export async function ask(
  channel: Channel,
  id: string,
  method: string,
  params: JsonObject,
): Promise<JsonObject | undefined> {
  const executed = await channel.exchange(ownRequest(channel.era, id, method, params, ''), AbortSignal.timeout(readMs))
  const response = await responseIn(executed)
  return isObject(response?.result) ? response.result : undefined
}

/** The response in an answer: as JSON, or as the event of a stream that has an id. */
async function responseIn(executed: Executed): Promise<JsonObject | undefined> {
  const type =
    executed.headers.find((_, n) => n % 2 === 1 && executed.headers[n - 1]?.toLowerCase() === 'content-type') ?? ''
  if (!/^text\/event-stream/i.test(type)) return parse(await readAll(executed))
  for await (const { data } of readEvents(executed.body, longestMessage)) {
    const message = data === undefined ? undefined : parse(Buffer.from(data))
    if (message !== undefined && ('result' in message || 'error' in message)) return message
  }
  return undefined
}

function parse(bytes: Uint8Array): JsonObject | undefined {
  const json = readStrictJson(bytes, { maxBytes: longestMessage, maxDepth: 64, exactNumbers: false })
  return json.ok && isObject(json.value) ? json.value : undefined
}

async function readAll({ body }: Executed): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > longestMessage) throw new ServiceError('upstream_too_large', 'the answer')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
