import { memberSpan } from '@bailiwick/mcp'
import { affordable, type Micros } from '../models/prices.ts'
import { type Endpoint, isChat, outputMember } from './endpoints.ts'
import type { ModelRequest } from './model-request.ts'

/** The most bytes that `withLimit` adds. */
const added = 128
/** Fewer tokens are no answer: with less than this left, the call is asked for as it is, and denied. */
const leastOutput = 16

/** The limit of output that a call gets: what it asks for or the table's default, at most what the table allows and the budget pays. */
export function outputFor({ asked, price, bound }: ModelRequest, left: Micros): number {
  const { most_output, default_output = most_output } = price
  const wanted = Math.min(asked.output?.tokens ?? default_output, most_output)
  const paid = affordable(price, { ...bound, input: bound.input + added }, left)
  return paid < Math.min(wanted, leastOutput) ? wanted : Math.min(wanted, paid)
}

/**
 * The body with this limit of output, and, for a stream of chat completions, with its usage asked for. Every other byte stays as it is.
 * Returns the very body if nothing is to change.
 */
export function withLimit(body: Uint8Array, { endpoint, asked, price }: ModelRequest, output: number): Uint8Array {
  let text = Buffer.from(body).toString('utf8')
  const before = text
  if (asked.output?.tokens !== output)
    text = setMember(text, [asked.output?.member ?? outputMember(endpoint, price.output_member)], String(output))
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
