import { addElements, isObject, type JsonObject, memberSpan } from '@bailiwick/mcp'
import { type ClientAnswer, eventsOf, isJson, isStream, parsed, wholeOf } from './answers.ts'
import { denialCodeIn } from './denied.ts'
import type { Call } from './held.ts'

const mostPages = 64

/** What names an item of a list: tools and prompts, resources, and templates of them. */
const nameOf = ({ uri, uriTemplate, name }: JsonObject): unknown => uri ?? uriTemplate ?? name

/** All items of a list, page by page. A page that cannot be had ends it: the client has the list of its first grant. */
export async function itemsOf(
  call: Call,
  member: string,
  send: (call: Call) => Promise<ClientAnswer>,
): Promise<JsonObject[]> {
  const items: JsonObject[] = []
  let cursor: unknown
  for (let pages = 0; pages < mostPages; pages++) {
    const result = await resultIn(await send(cursor === undefined ? call : at(call, cursor)))
    const listed = result?.[member]
    if (!Array.isArray(listed)) break
    items.push(...listed.filter(isObject))
    cursor = result?.nextCursor
    if (typeof cursor !== 'string') break
  }
  return items
}

/** The text of an answer with more items in its list, each name once. */
export function withMore(
  text: string,
  value: JsonObject,
  { member, more }: { member: string; more: readonly JsonObject[] },
): string {
  const span = memberSpan(text, ['result', member])
  const listed = isObject(value.result) ? value.result[member] : undefined
  if (span === undefined || !Array.isArray(listed)) return text
  const names = new Set(listed.filter(isObject).map(nameOf))
  const added = more.filter((item) => !names.has(nameOf(item)) && names.add(nameOf(item)))
  return addElements(text, span, added)
}

function at(call: Call, cursor: unknown): Call {
  const { message } = call
  const params = { ...message.params, cursor }
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, method: message.method, params }))
  return { ...call, message: { ...message, params }, request: { ...call.request, body } }
}

async function resultIn(answer: ClientAnswer): Promise<JsonObject | undefined> {
  if (denialCodeIn(answer) !== undefined || answer.status >= 300) return undefined
  if (isJson(answer)) return resultOf((await wholeOf(answer.body)).toString('utf8'))
  if (!isStream(answer)) return undefined
  const text = await wholeOf(eventsOf(answer))
  return text
    .toString('utf8')
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => resultOf(line.slice('data:'.length)))
    .find((result) => result !== undefined)
}

function resultOf(text: string): JsonObject | undefined {
  const { result } = parsed(text) ?? {}
  return isObject(result) ? result : undefined
}
