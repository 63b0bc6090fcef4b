import { isObject, type JsonObject } from '@bailiwick/mcp'
import type { Refused } from '@bailiwick/relay'

/** What the members of a request ask a model for, as far as money and reach depend on it. The words of the prompt are not read. */
export interface Asked {
  readonly model: string
  readonly stream: boolean
  /** The most tokens of output that the request states, and the member that states it. */
  readonly output: { readonly member: string; readonly tokens: number } | undefined
  /** Types of declared tools that the client runs itself, in order. */
  readonly tools: readonly string[]
  /** What reaches beyond the model, and how often: tools that the provider runs, files and images that it fetches. */
  readonly outside: ReadonlyMap<string, number>
  /** Where that is: the origins of addresses, and the ids of what the provider keeps, in order. */
  readonly outsideAt: readonly string[]
  /** Images that stand in the request itself, and their length in it. */
  readonly images: number
  readonly imageBytes: number
  /** Whether the provider is asked to write to its cache. */
  readonly cache: boolean
  /** Whether the provider keeps the answer. */
  readonly store: boolean
  /** Whether the client wants the usage in a stream of `/v1/chat/completions`. */
  readonly wantsUsage: boolean
}

/** A rule for the value of a member. It says no by `reading.refuse`. */
export type Rule = (value: unknown, reading: Reading, member: string) => void
export type Rules = Readonly<Record<string, Rule>>

/** Names that may stand in a refusal. Others could be words of a prompt. */
export const isPlainName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)

/** One reading of a request: it collects what is asked for, and keeps the first thing that it must refuse. */
export class Reading {
  model = ''
  stream = false
  output: { member: string; tokens: number } | undefined
  readonly tools = new Set<string>()
  readonly outside = new Map<string, number>()
  readonly #outsideAt = new Set<string>()
  images = 0
  imageBytes = 0
  cache = false
  store = false
  wantsUsage = false
  refused: Refused | undefined

  /** `detail` may name a member, never a value. */
  refuse(refused: 'model_member_refused' | 'model_request_malformed', detail: string): void {
    this.refused ??= { refused, detail }
  }

  /** `at`: where it reaches, as far as the request says so. */
  beyond(kind: string, ...at: readonly unknown[]): void {
    this.outside.set(kind, (this.outside.get(kind) ?? 0) + 1)
    for (const each of at)
      if (typeof each === 'string' && /^[\x21-\x2b\x2d-\x7e]{1,256}$/.test(each)) this.#outsideAt.add(each)
      else if (each !== undefined && each !== null) this.refuse('model_request_malformed', 'an address or an id')
  }

  /** Every member must have a rule: a member that is not known here could cost anything. `null` is a member that is not there. */
  members(object: JsonObject, rules: Rules, within = ''): void {
    for (const [member, value] of Object.entries(object)) {
      const rule = Object.hasOwn(rules, member) ? rules[member] : undefined
      const name = `${within}${isPlainName(member) ? member : 'a member'}`
      if (rule === undefined) this.refuse('model_member_refused', name)
      else if (value !== null) rule(value, this, name)
    }
  }

  get asked(): Asked {
    const { model, stream, output, outside, images, imageBytes, cache, store, wantsUsage } = this
    return {
      ...{ model, stream, output, outside, images, imageBytes, cache, store, wantsUsage },
      tools: [...this.tools].sort(),
      outsideAt: [...this.#outsideAt].sort(),
    }
  }
}

/** Text and numbers whose size is already in the size of the request. */
export const any: Rule = () => undefined
export const no: Rule = (_, reading, member) => reading.refuse('model_member_refused', member)

export const only =
  (...values: readonly unknown[]): Rule =>
  (value, reading, member) => {
    if (!values.includes(value)) reading.refuse('model_member_refused', member)
  }

export const flag =
  (set: (reading: Reading, value: boolean) => void): Rule =>
  (value, reading, member) => {
    if (typeof value === 'boolean') set(reading, value)
    else reading.refuse('model_request_malformed', member)
  }

export const modelName: Rule = (value, reading, member) => {
  if (typeof value === 'string') reading.model = value
  else reading.refuse('model_request_malformed', member)
}

/** A limit of output. Two of them could be read in two ways. */
export const limit: Rule = (value, reading, member) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || reading.output !== undefined)
    reading.refuse('model_request_malformed', member)
  else reading.output = { member, tokens: value }
}

/** A list of objects, each read by `each`. */
export const listOf =
  (each: (item: JsonObject, reading: Reading, member: string) => void): Rule =>
  (value, reading, member) => {
    if (!Array.isArray(value)) return reading.refuse('model_request_malformed', member)
    for (const item of value)
      if (isObject(item)) each(item, reading, member)
      else reading.refuse('model_request_malformed', member)
  }

/** A text, or a list of parts. */
export const textOr =
  (parts: Rule): Rule =>
  (value, reading, member) => {
    if (typeof value !== 'string') parts(value, reading, member)
  }

/** Parts by their `type`: each type has its rule, and others are refused by name. */
export const byType =
  (rules: Readonly<Record<string, (item: JsonObject, reading: Reading, member: string) => void>>) =>
  (item: JsonObject, reading: Reading, member: string): void => {
    const { type } = item
    const rule = typeof type === 'string' && Object.hasOwn(rules, type) ? rules[type] : undefined
    if (rule !== undefined) rule(item, reading, member)
    else
      reading.refuse(
        'model_member_refused',
        typeof type === 'string' && isPlainName(type) ? `${member}: ${type}` : member,
      )
  }

const base64 = /^[A-Za-z0-9+/]*={0,2}$/

/** An image inside the request. Only what is certainly the image's data is left out of the text that could be tokens. */
export function inlineImage(data: unknown, reading: Reading, member: string): void {
  if (typeof data !== 'string' || !base64.test(data)) reading.refuse('model_request_malformed', member)
  else {
    reading.images++
    reading.imageBytes += data.length
  }
}

/** An image by its URL: `data:` is one inside the request, and everything else is fetched by the provider. */
export function imageAt(url: unknown, reading: Reading, member: string): void {
  const text = typeof url === 'string' ? url : 'data:'
  const inline = /^data:image\/[a-z]{1,16};base64,/.exec(text)
  if (inline !== null) inlineImage(text.slice(inline[0].length), reading, member)
  else if (/^data:/i.test(text)) reading.refuse('model_request_malformed', member)
  else reading.beyond('image_url', originOf(text))
}

/** Of several places of one thing, a provider reads one, and counting reads another. */
export function oneOf(object: JsonObject, names: readonly string[], reading: Reading, member: string): void {
  const given = names.filter((name) => object[name] !== undefined && object[name] !== null)
  if (given.length > 1) reading.refuse('model_request_malformed', member)
}

/** The scheme, host and port of an address; the rest of it could be words of a prompt. Text that is no address is none. */
export function originOf(url: unknown): unknown {
  if (typeof url !== 'string') return url
  return URL.canParse(url) && /^https?:/i.test(url) ? new URL(url).origin : false
}

/** Where a tool that the provider runs reaches, in the words of all APIs: a server, a connector, stores of files. */
export function placesOf({ server_url, connector_id, vector_store_ids }: JsonObject): unknown[] {
  return [
    originOf(server_url),
    connector_id,
    ...(Array.isArray(vector_store_ids) ? vector_store_ids : [vector_store_ids]),
  ]
}
