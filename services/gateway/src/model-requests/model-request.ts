import type { Action } from '@bailiwick/credentials'
import { sha256 } from '@bailiwick/credentials'
import { readJsonView } from '@bailiwick/kit'
import { isObject } from '@bailiwick/mcp'
import { fieldOf, type Refused, type RelayRequest } from '@bailiwick/relay'
import type { ModelsEntry } from '../models/models-entry.ts'
import { type Bound, type ModelPrice, microsOf, mostCost, priceOf, spellMicros } from '../models/prices.ts'
import { type Endpoint, endpointOf, outputMember } from './endpoints.ts'
import { type Asked, isPlainName, Reading } from './reading.ts'

/** A request to a provider that can be priced. */
export interface ModelRequest {
  readonly endpoint: Endpoint
  readonly asked: Asked
  readonly price: ModelPrice
  readonly bound: Bound
}

/** The tokens that a provider adds to what was sent: its own instructions for tools and formats. */
const addedTokens = 2048

interface Known extends Pick<RelayRequest, 'method' | 'target' | 'headers'> {
  readonly entry: ModelsEntry
  readonly read: ModelRequest | Refused
}

/** Readings by the bytes that were read: the same bytes are asked about before a decision, in it, and when they are sent. */
const known = new WeakMap<Uint8Array, Known>()

/** As `read`, once for the same bytes. No one writes to these: a decision is over a copy of its own, which was not read before. */
export function readModelRequest(entry: ModelsEntry, request: RelayRequest): ModelRequest | Refused {
  const { method, target, headers, body } = request
  const before = known.get(body)
  if (before?.entry === entry && before.method === method && before.target === target && before.headers === headers)
    return before.read
  const made = read(entry, request)
  known.set(body, { entry, method, target, headers, read: made })
  return made
}

/** Quotation marks, commas and the beginnings of objects and lists: what takes time to read. No model reads a text with as many. */
const mostMarks = 500_000
function isDense(body: Uint8Array): boolean {
  let count = 0
  for (const byte of body) if (byte === 0x22 || byte === 0x2c || byte === 0x5b || byte === 0x7b) count++
  return count > mostMarks
}

/**
 * Reads a request from the bytes that are sent on. Pure. The body's length bounds its tokens: no tokenizer makes more tokens than there are
 * bytes, and JSON only makes a text longer. An image counts by its own price, not by its length.
 */
function read(entry: ModelsEntry, request: RelayRequest): ModelRequest | Refused {
  const { method, target, headers, body } = request
  const endpoint = endpointOf(entry.api, method, target)
  if (endpoint === undefined) return { refused: 'model_endpoint_unknown', detail: 'the method and path' }
  const reading = new Reading()
  reading.store = endpoint.keeps === true
  const beta = fieldOf(headers, 'anthropic-beta')
  for (const each of beta === undefined ? [] : beta.split(/ *, */))
    if (!entry.betas.includes(each)) return { refused: 'model_member_refused', detail: 'anthropic-beta' }
  if (endpoint.does === 'list') {
    if (body.length > 0) return { refused: 'model_request_malformed', detail: 'a body' }
    return { endpoint, asked: reading.asked, price: listed, bound: { input: 0, outside: 0n } }
  }
  if (!/^application\/json( ?; ?charset="?utf-8"?)?$/i.test(fieldOf(headers, 'content-type') ?? ''))
    return { refused: 'content_type_unsupported', detail: 'application/json' }
  if (isDense(body)) return { refused: 'body_too_large', detail: `more than ${mostMarks} members, elements and texts` }
  const json = readJsonView(body)
  if ('refused' in json) return json
  if (!isObject(json.value)) return { refused: 'model_request_malformed', detail: 'no object' }
  reading.members(json.value, endpoint.rules)
  if (reading.refused !== undefined) return reading.refused
  const price = priceOf(entry.prices, reading.model)
  if (price === undefined) return { refused: 'model_unknown', detail: 'model' }
  // A model has one kind of price: for vectors, or for what it writes.
  if ((endpoint.does === 'embed') !== (price.embeddings === true))
    return { refused: 'model_endpoint_unknown', detail: 'the method and path, for this model' }
  const unpriced = unpricedIn(reading.asked, price)
  if (unpriced !== undefined) return { refused: 'model_outside_unpriced', detail: unpriced }
  const { images, imageBytes, outside } = reading.asked
  // Counting is free and bounded by calls alone, and some providers fetch what they count.
  if (endpoint.does === 'count' && outside.size > 0)
    return {
      refused: 'model_member_refused',
      detail: `count_tokens: ${[...outside.keys()].find(isPlainName) ?? 'a kind'}`,
    }
  const input = body.length - imageBytes + images * (price.image_tokens ?? 0) + addedTokens
  const fees = [...outside].reduce(
    (sum, [kind, times]) => sum + microsOf(price.outside[kind] ?? '0') * BigInt(times),
    0n,
  )
  return { endpoint, asked: reading.asked, price, bound: { input, outside: fees } }
}

const listed: ModelPrice = {
  input: '0',
  output: '0',
  most_output: 1,
  outside: {},
  labels: [],
  output_member: 'max_tokens',
}

/** What the request asks for and the table has no price for. */
function unpricedIn({ images, outside, cache }: Asked, price: ModelPrice): string | undefined {
  if (images > 0 && price.image_tokens === undefined) return 'an image'
  if (cache && price.cache_write === undefined) return 'cache_control'
  const kind = [...outside.keys()].find((each) => !Object.hasOwn(price.outside, each))
  return kind === undefined || isPlainName(kind) ? kind : 'a kind'
}

/**
 * The action of these bytes, or why there is none. Pure. Its digest binds the whole body; its arguments are what a permission can bound.
 * Without a limit of its own, a request has no action: its cost would have no bound.
 */
export function modelAction(name: string, entry: ModelsEntry, request: RelayRequest): Action | Refused {
  const read = readModelRequest(entry, request)
  return 'refused' in read ? read : actionOf(name, entry, request, read)
}

export function actionOf(
  name: string,
  entry: ModelsEntry,
  request: RelayRequest,
  read: ModelRequest,
): Action | Refused {
  const { endpoint, asked, price, bound } = read
  const { version, currency } = entry.prices
  const free = {
    cost: { amount: '0', currency },
    prices: version,
    body_sha256: sha256(request.body),
    ...betasOf(request),
  }
  if (endpoint.does === 'list')
    return { name: 'model/list', properties: free, resource: { type: 'model', id: `${name}/*` } }
  const { model, stream, output, tools, outside, outsideAt, images, store } = asked
  const resource = { type: 'model', id: `${name}/${model}` }
  const reach = { tools: tools.join(','), outside: [...outside.keys()].sort().join(','), images }
  if (endpoint.does === 'count') return { name: 'model/count', properties: { model, ...reach, ...free }, resource }
  const tokens = endpoint.does === 'embed' ? 0 : output?.tokens
  // A limit in another member than the table's is none: the provider may not know that member, and then answers without a limit.
  if (tokens === undefined || (tokens > 0 && output?.member !== outputMember(endpoint, price.output_member)))
    return { refused: 'model_request_malformed', detail: 'no limit of output' }
  const cost = { amount: spellMicros(mostCost(price, bound, tokens)), currency }
  const places = outside.size === 0 ? {} : { outside_at: outsideAt.join(',') }
  return {
    // What reaches beyond the model is another action, so that a grant for the model does not allow it.
    name: outside.size === 0 ? 'model/invoke' : 'model/invoke-outside',
    properties: { model, max_output_tokens: tokens, stream, store, ...reach, ...places, ...free, cost },
    resource,
  }
}

const betasOf = ({ headers }: RelayRequest) => {
  const beta = fieldOf(headers, 'anthropic-beta')
  const version = fieldOf(headers, 'anthropic-version')
  return { ...(beta === undefined ? {} : { beta }), ...(version === undefined ? {} : { version }) }
}
