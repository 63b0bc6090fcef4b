import { type ErrorCode, errorKinds, type Refused } from '@bailiwick/errors'
import type { RawHeaders } from '@bailiwick/kit'
import { type Era, eventWith, isObject, type JsonObject, readEvents, refusalOf } from '@bailiwick/mcp'

/** What goes back to the client, as an answer of streamable HTTP. */
export interface ClientAnswer {
  readonly status: number
  readonly headers: RawHeaders
  /** Whole, or a stream that is passed on as it comes. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

export type Id = string | number | null

/** The longest message that is read whole, in bytes. */
export const longestMessage = 16 * 1024 * 1024

export function jsonAnswer(status: number, value: object, headers: RawHeaders = []): ClientAnswer {
  return { status, headers: ['content-type', 'application/json', ...headers], body: Buffer.from(JSON.stringify(value)) }
}

/** A problem document (RFC 9457), for a client that does not speak MCP. */
export function problemAnswer(code: ErrorCode, detail?: string, headers: RawHeaders = []): ClientAnswer {
  const { status, title } = errorKinds[code]
  const body = { status, code, title, ...(detail === undefined ? {} : { detail }) }
  return {
    status,
    headers: ['content-type', 'application/problem+json', ...headers],
    body: Buffer.from(JSON.stringify(body)),
  }
}

export const emptyAnswer = (status: number): ClientAnswer => ({ status, headers: [], body: Buffer.alloc(0) })

export const errorMessage = (id: Id, code: number, message: string, data?: object) => ({
  jsonrpc: '2.0',
  id,
  error: { code, message, ...(data === undefined ? {} : { data }) },
})

export const errorAnswer = (status: number, id: Id, code: number, message: string, data?: object): ClientAnswer =>
  jsonAnswer(status, errorMessage(id, code, message, data))

/** The client sent something that is not an MCP message. The sidecar does not pass it on: the gateway would refuse it too. */
export function refusedAnswer(refused: Refused, { id, era }: { id: Id; era: Era }): ClientAnswer {
  const { status, error } = refusalOf(refused, { era, isAnswer: id !== null })
  return jsonAnswer(status, { jsonrpc: '2.0', id, error })
}

/** A result in the form of the client's revision. */
export const resultMessage = (id: Id, era: Era, result: JsonObject) => ({
  jsonrpc: '2.0',
  id,
  result: era === 'modern' ? { resultType: 'complete', ...result } : result,
})

/** A result of a tool, as text and as members. Some clients show the model only one of them, so the text is among the members too. */
export const toolResult = (text: string, structured: JsonObject, isError = false): JsonObject => ({
  content: [{ type: 'text', text }],
  structuredContent: { message: text, ...structured },
  isError,
})

export async function wholeOf(body: ClientAnswer['body']): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > longestMessage) throw new RangeError('an answer that is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const typeOf = ({ headers }: ClientAnswer): string =>
  headers.find((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === 'content-type') ?? ''
export const isJson = (answer: ClientAnswer): boolean => typeOf(answer).startsWith('application/json')
export const isStream = (answer: ClientAnswer): boolean => typeOf(answer).startsWith('text/event-stream')

/** One message as an event. A line end in JSON stands between values alone, so that it may be a space. */
export const eventOf = (text: string): Uint8Array => Buffer.from(`data: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`)

/** The events of any answer, for a stream that began already. */
export async function* eventsOf(answer: ClientAnswer): AsyncGenerator<Uint8Array> {
  if (isStream(answer) && !(answer.body instanceof Uint8Array)) yield* answer.body
  else yield eventOf((await wholeOf(answer.body)).toString('utf8'))
}

/** The answer, with its response rewritten: in JSON, or in the event that holds it. */
export async function rewritten(
  answer: ClientAnswer,
  rewrite: (text: string, value: JsonObject) => string,
): Promise<ClientAnswer> {
  if (isJson(answer)) {
    const text = (await wholeOf(answer.body)).toString('utf8')
    return { ...answer, body: Buffer.from(rewriteText(text, rewrite)) }
  }
  if (!isStream(answer) || answer.body instanceof Uint8Array) return answer
  return { ...answer, body: rewriteEvents(answer.body, rewrite) }
}

async function* rewriteEvents(
  body: AsyncIterable<Uint8Array>,
  rewrite: (text: string, value: JsonObject) => string,
): AsyncGenerator<Uint8Array> {
  for await (const event of readEvents(body, longestMessage)) {
    const { data } = event
    const text = data === undefined ? undefined : rewriteText(data, rewrite)
    yield text === undefined || text === data ? event.raw : eventWith(event, text)
  }
}

function rewriteText(text: string, rewrite: (text: string, value: JsonObject) => string): string {
  const value = parsed(text)
  return value !== undefined && isObject(value.result) ? rewrite(text, value) : text
}

/** The message in a text; undefined if there is none. */
export function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
