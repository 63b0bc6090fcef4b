import type { Action } from '@bailiwick/credentials'
import { fold } from '@bailiwick/kit'
import { isObject } from '@bailiwick/mcp'
import {
  type HttpArguments,
  httpArguments,
  isHandshake,
  type Refused,
  type RelayRequest,
  splitTarget,
} from '@bailiwick/relay'
import {
  type ApiEntry,
  type ApiMeaning,
  type OperationBody,
  type OperationEntry,
  ownArguments,
  type Segment,
} from './api-entry.ts'

/** Reads the action from a request below the API's URL. */
export type ToAction = (request: RelayRequest) => Action | Refused

/** As the entry of this name says. */
export const toActionOf = (name: string, { url, forward, operations, server = name }: ApiMeaning): ToAction =>
  operations === undefined ? actionByUrl({ url, forward }) : actionByOperation(server, operations, forward)

/**
 * Without a table of operations: the method on the URL that is called, `GET` on `{ type: 'api', id: 'https://erp.example/v1/invoices/4711' }`.
 * The properties are `httpArguments`.
 */
export function actionByUrl({ url, forward }: Pick<ApiEntry, 'url' | 'forward'>): ToAction {
  const base = url.replace(/\/$/, '')
  const fields = new Set(forward)
  return (request) => {
    // What is said on it would be part of no action. A table can say that people want it all the same.
    if (isHandshake(request)) return { refused: 'header_forbidden', detail: 'upgrade' }
    const properties = httpArguments(request, fields)
    if ('refused' in properties) return properties
    const id = `${base}${splitTarget(request.target).path}`
    return { name: request.method, properties: { ...properties }, resource: { type: 'api', id } }
  }
}

/**
 * With one: a call of the tool `<server>/<operation>`, so that labels, costs, the manifest and every policy about tools hold for it. Its
 * arguments are the values in the path, the parameters of the query, and the members of the body, side by side.
 */
export function actionByOperation(
  server: string,
  operations: NonNullable<ApiEntry['operations']>,
  forward: ApiEntry['forward'],
): ToAction {
  const fields = new Set(forward)
  const ordered = Object.entries(operations).sort(([, a], [, b]) => moreExact(a, b))
  return (request) => {
    const found = operationOf(
      ordered.filter(([, { websocket }]) => websocket === isHandshake(request)),
      request,
    )
    if ('refused' in found) return found
    const given = httpArguments(request, fields, bracketedIn(found.operation))
    if ('refused' in given) return given
    const args = argumentsOf(found.operation, found.values, given)
    if ('refused' in args) return args
    return { name: 'tools/call', properties: args.args, resource: { type: 'tool', id: `${server}/${found.name}` } }
  }
}

function bracketedIn({ body }: OperationEntry): ReadonlySet<string> {
  const names = body !== undefined && 'form' in body && body.form !== 'any' ? body.form : []
  return new Set(names.filter((name) => name.includes('[')))
}

interface Found {
  readonly name: string
  readonly operation: OperationEntry
  readonly values: ReadonlyMap<string, string>
}

/** Text comes before a value, from left to right: `/users/me` is not the user `me`. */
function moreExact({ request: a }: OperationEntry, { request: b }: OperationEntry): number {
  const weights = ({ segments }: OperationEntry['request']) =>
    segments.map((each) => ('text' in each ? '0' : '1')).join('')
  return weights(a) < weights(b) ? -1 : 1
}

/**
 * The operation that the method and the path as sent stand for. A path that another server would take for a different operation, because
 * it ignores case or normalises characters, is refused.
 */
function operationOf(
  ordered: readonly (readonly [string, OperationEntry])[],
  { method, target }: RelayRequest,
): Found | Refused {
  const sent = splitTarget(target).path.split('/').slice(1)
  const find = (isSame: (text: string, segment: string) => boolean) =>
    ordered.find(([, { request }]) => request.method === method && fits(request.segments, sent, isSame))
  const found = find((text, segment) => text === segment)
  if (found === undefined) return { refused: 'operation_unmapped', detail: 'the method and path' }
  if (find((text, segment) => alike(text) === alike(segment)) !== found)
    return { refused: 'operation_ambiguous', detail: 'the path' }
  const [name, operation] = found
  const values = new Map<string, string>()
  for (const [n, segment] of operation.request.segments.entries()) {
    if ('text' in segment) continue
    const text = sent[n] ?? ''
    const value = decodeURIComponent(text)
    // `:cancel` at the end of a value is a method of its own for some servers.
    if (encodeURIComponent(value) !== text) return { refused: 'operation_argument_spelling', detail: 'the path' }
    values.set(segment.value, value)
  }
  return { name, operation, values }
}

const fits = (
  segments: readonly Segment[],
  sent: readonly string[],
  isSame: (text: string, segment: string) => boolean,
): boolean =>
  segments.length === sent.length &&
  segments.every((segment, n) => ('text' in segment ? isSame(segment.text, sent[n] ?? '') : sent[n] !== ''))

const alike = (segment: string): string => fold(decodeURIComponent(segment))

function argumentsOf(
  { query, body }: OperationEntry,
  values: ReadonlyMap<string, string>,
  given: HttpArguments,
): { args: Record<string, unknown> } | Refused {
  const unmapped = (detail: string): Refused => ({ refused: 'operation_member_unmapped', detail })
  const args = new Map<string, unknown>(values)
  for (const [name, value] of Object.entries(given.query)) {
    if (!query.includes(name)) return unmapped('a parameter of the query')
    args.set(name, value)
  }
  const content = given.body_unseen
    ? unseenContentOf(body, given.content_type, values.size > 0 || query.length > 0)
    : contentOf(body, given)
  if ('refused' in content) return content
  // A value elsewhere must not be replaced by one in the body, although the API reads both. Some do so without regard to case.
  const taken = new Set([...values.keys(), ...query, ...ownArguments].map(fold))
  for (const [name, value] of Object.entries(content.members)) {
    if (taken.has(fold(name))) return unmapped('a member of the body that is named like another argument')
    args.set(name, value)
  }
  if (content.opaque !== undefined) for (const [name, value] of Object.entries(content.opaque)) args.set(name, value)
  if (given.headers !== undefined) args.set('headers', given.headers)
  return { args: Object.fromEntries(args) }
}

const mediaTypes = { json: 'application/json', form: 'application/x-www-form-urlencoded' } as const
const usual: ReadonlySet<string> = new Set(Object.values(mediaTypes))

interface Content {
  readonly members: object
  readonly opaque?: object
}

/** The members of a body that are arguments. The media type is the operation's own, so it needs no argument, except for opaque content. */
function contentOf(body: OperationBody | undefined, given: HttpArguments): Content | Refused {
  const { content_type: type, body_sha256: hash, body: content } = given
  if (hash === undefined && content === undefined) {
    // Many clients send a usual type with every request. Any other could choose what the API does, and is no argument.
    if (type !== undefined && !usual.has(type.toLowerCase()))
      return { refused: 'operation_member_unmapped', detail: 'a media type without a body' }
    return { members: {} }
  }
  if (body === undefined) return { refused: 'operation_member_unmapped', detail: 'a body' }
  const sent = (type?.split(';')[0] ?? '').trim().toLowerCase()
  if ('opaque' in body) {
    if (hash === undefined || !body.opaque.includes(sent)) return unsupported(body.opaque)
    return { members: {}, opaque: { content_type: type, body_sha256: hash } }
  }
  const [kind, names] = 'json' in body ? (['json', body.json] as const) : (['form', body.form] as const)
  if (sent !== mediaTypes[kind]) return unsupported([mediaTypes[kind]])
  if (!isObject(content)) return { refused: 'operation_member_unmapped', detail: 'a body that is no object' }
  if (names !== 'any' && !Object.keys(content).every((name) => names.includes(name)))
    return { refused: 'operation_member_unmapped', detail: 'a member of the body' }
  return { members: content }
}

/**
 * Of a body that nothing here can see. People signed the table, so nothing is let through that could break it: members that it does not
 * name, or that are named like an argument in the path or the query.
 */
function unseenContentOf(
  body: OperationBody | undefined,
  type: string | undefined,
  hasArguments: boolean,
): Content | Refused {
  const notShown = (detail: string): Refused => ({ refused: 'body_not_shown', detail })
  if (body === undefined) return notShown('this operation has no body')
  const sent = (type?.split(';')[0] ?? '').trim().toLowerCase()
  if ('opaque' in body) {
    if (!body.opaque.includes(sent)) return unsupported(body.opaque)
    return { members: {}, opaque: { content_type: type, body_unseen: true } }
  }
  const [kind, names] = 'json' in body ? (['json', body.json] as const) : (['form', body.form] as const)
  if (names !== 'any') return notShown('this operation names the members of its body')
  if (hasArguments) return notShown('a member could be named like another argument of this operation')
  if (sent !== mediaTypes[kind]) return unsupported([mediaTypes[kind]])
  return { members: {}, opaque: { body_unseen: true } }
}

const unsupported = (types: readonly string[]): Refused => ({
  refused: 'content_type_unsupported',
  detail: `this operation takes ${types.join(', ')}`,
})
