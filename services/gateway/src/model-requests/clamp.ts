import { memberSpan } from '@bailiwick/mcp'
import { affordable, type Micros } from '../models/prices.ts'
import { type Endpoint, isChat, outputMember } from './endpoints.ts'
import type { ModelRequest } from './model-request.ts'

/** The most bytes that `withLimit` adds. */
const added = 128
/** Fewer tokens are no answer: with less than this left, the call is asked for as it is, and denied. */
const leastOutput = 16

/** The limit of output that a call gets: what it asks for or the table's default, at most what the table allows and the budget pays. */
export function outputFor({ endpoint, asked, price, bound }: ModelRequest, left: Micros): number {
  if (endpoint.does === 'embed') return 0
  const { most_output, default_output = most_output } = price
  const wanted = Math.min(asked.output?.tokens ?? default_output, most_output)
  const paid = affordable(price, { ...bound, input: bound.input + added }, left)
  return paid < Math.min(wanted, leastOutput) ? wanted : Math.min(wanted, paid)
}

/**
 * The body with this limit of output, in the member that the table names, and, for a stream of chat completions, with its usage asked for.
 * Every other byte stays as it is.
 * Returns the very body if nothing is to change.
 */
export function withLimit(body: Uint8Array, { endpoint, asked, price }: ModelRequest, output: number): Uint8Array {
  if (endpoint.does === 'embed') return body
  let text = Buffer.from(body).toString('utf8')
  const before = text
  const member = outputMember(endpoint, price.output_member)
  if (asked.output !== undefined && asked.output.member !== member) text = renamed(text, asked.output.member, member)
  if (asked.output?.tokens !== output) text = setMember(text, [member], String(output))
  if (needsUsage(endpoint, asked)) text = askUsage(text)
  return text === before ? body : Buffer.from(text)
}

/** Whether its usage comes only because the gateway asks for it. The client then does not see it. */
export const needsUsage = (endpoint: Endpoint, asked: ModelRequest['asked']): boolean =>
  isChat(endpoint) && asked.stream && !asked.wantsUsage

function askUsage(text: string): string {
  const options = memberSpan(text, ['stream_options'])
  if (options === undefined || text.slice(options.start, options.end) === 'null')
    return setMember(text, ['stream_options'], '{"include_usage":true}')
  return setMember(text, ['stream_options', 'include_usage'], 'true')
}

/** The limit under the name that the provider knows, in its place. */
function renamed(text: string, from: string, to: string): string {
  const own = memberSpan(text, [from])
  if (own === undefined) return text
  // A member of that name is there, and is nothing: two of one name would have two readings.
  if (memberSpan(text, [to]) !== undefined)
    return setMember(setMember(text, [from], 'null'), [to], text.slice(own.start, own.end))
  // Neither name has a quotation mark in it, so the two before the value are those around the name.
  const end = text.lastIndexOf('"', own.start - 1)
  const start = text.lastIndexOf('"', end - 1)
  return `${text.slice(0, start)}${JSON.stringify(to)}${text.slice(end + 1)}`
}

/** Puts a value in the place of the member's own, or at the beginning of its object. */
function setMember(text: string, path: readonly string[], value: string): string {
  const own = memberSpan(text, path)
  if (own !== undefined) return text.slice(0, own.start) + value + text.slice(own.end)
  const name = JSON.stringify(path.at(-1))
  const object = memberSpan(text, path.slice(0, -1))
  const at = (object?.start ?? 0) + 1
  const isEmpty = /^\s*\}/.test(text.slice(at))
  return `${text.slice(0, at)}${name}:${value}${isEmpty ? '' : ','}${text.slice(at)}`
}
