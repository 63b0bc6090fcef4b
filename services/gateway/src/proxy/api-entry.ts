import { fold } from '@bailiwick/kit'
import { checkPath, sharesValue } from '@bailiwick/relay'
import { z } from 'zod'
import { address, fieldName, injectedHeaders, serverId } from '../file-members.ts'

/** The name of a tool in the registry. */
export const operationName = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'expected a name of letters, digits, _, . and -')

/** Members of the action besides the arguments of the operation: an argument of this name would hide one. */
export const ownArguments: ReadonlySet<string> = new Set([
  'headers',
  'content_type',
  'body_sha256',
  'body_unseen',
  '__proto__',
])
const argument = z
  .string()
  .min(1)
  .max(100)
  .refine((name) => !ownArguments.has(name), 'this name has a meaning of its own')
const argumentNames = z.array(argument).max(64)

/** One segment of a template: a value by name, or text as it is sent. */
export type Segment = { readonly value: string } | { readonly text: string }

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

const line = z
  .string()
  .max(1024)
  .transform((text, context) => {
    const [, method = '', path = ''] = /^([A-Z]+) (\/\S*)$/.exec(text) ?? []
    const segments = path.split('/').slice(1).map(segmentOf)
    const known = methods.find((each) => each === method)
    // Leaves out the places of values, so that the rest can be judged as a path.
    const plain = path.replaceAll(/\{[^{}]*\}/g, 'x')
    if (known !== undefined && checkPath(plain) === undefined && !/[?{}]/.test(plain) && segments.every(isSegment))
      return { text, method: known, segments }
    context.addIssue('expected a method and a path, such as GET /invoices/{invoice}')
    return z.NEVER
  })

function segmentOf(text: string): Segment | undefined {
  const [, value] = /^\{([A-Za-z_][A-Za-z0-9_]{0,63})\}$/.exec(text) ?? []
  if (value !== undefined) return ownArguments.has(value) ? undefined : { value }
  return /[{}]/.test(text) ? undefined : { text }
}

const isSegment = (segment: Segment | undefined): segment is Segment => segment !== undefined

const someOrAny = z.union([argumentNames, z.literal('any')])
const body = z.union([
  /** Members of a JSON object: these, or any. Each is an argument. */
  z.strictObject({ json: someOrAny }),
  /** Fields of a form. */
  z.strictObject({ form: someOrAny }),
  /** Content of these media types, of which the action holds the SHA-256 alone. */
  z.strictObject({
    opaque: z
      .array(z.string().regex(/^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/, 'expected a media type in lower case'))
      .min(1)
      .max(16),
  }),
])
export type OperationBody = z.output<typeof body>

/** One operation of an API: a tool in the registry. */
export const operation = z
  .strictObject({
    /** Method and path below `url`: `GET /invoices/{invoice}`. */
    request: line,
    /** The parameters that the query may have. Each is an argument. */
    query: argumentNames.default([]),
    /** The body; without this member the operation has none. */
    body: body.optional(),
    /** Whether the request opens a WebSocket, and nothing else: then it is decided once, and what either side says is not. */
    websocket: z.boolean().default(false),
  })
  .superRefine(({ request, query, body: content, websocket }, context) => {
    if (websocket && request.method !== 'GET') context.addIssue('a WebSocket is opened with GET')
    const named = [
      ...request.segments.flatMap((segment) => ('value' in segment ? [segment.value] : [])),
      ...query,
      ...(content === undefined ? [] : Object.values(content).flatMap((names) => (Array.isArray(names) ? names : []))),
    ]
    if (new Set(named.map(fold)).size < named.length) context.addIssue('two arguments have one name')
    // Many servers build a list or an object of `a[b]`, and one value of `a` and `a[b]`.
    const clash = named.some((a, n) => a.includes('[') && named.some((b, m) => m !== n && sharesValue(a, b)))
    if (clash) context.addIssue('two arguments lead to one value')
    if (content !== undefined && !withBody.has(request.method)) context.addIssue('a body that the method does not have')
  })
export type OperationEntry = z.output<typeof operation>

/** Fields of answers about caches, cookies, browsers and the connection, and those that the gateway itself writes. */
const ownAnswer =
  /^(age|alt-svc|cache-control|clear-site-data|connection|content-encoding|content-security-policy.*|cross-origin-.*|date|dpop-nonce|expires|location|pragma|refresh|set-cookie2?|strict-transport-security|transfer-encoding|upgrade|www-authenticate|x-frame-options|x-request-id|(access-control|bailiwick|proxy)-.*)$/

/** A table has operations, each with a method and path of its own. */
export function checkShapes(operations: Readonly<Record<string, OperationEntry>>, context: z.RefinementCtx): void {
  const shapes = Object.values(operations).map(({ request: { method, segments } }) =>
    JSON.stringify([method, segments.map((segment) => ('value' in segment ? {} : segment))]),
  )
  if (shapes.length === 0) context.addIssue('expected at least one operation')
  if (new Set(shapes).size < shapes.length) context.addIssue('two operations have one method and path')
}

/** What a request to an API means, no matter who sends it on. */
export const apiMeaning = {
  /** Requests go below it. It also names the API in grants, unless there are `operations`. */
  url: address.refine((url) => !url.includes('?'), 'expected a URL without a query'),
  /** Fields of requests that are sent on, besides Accept, Accept-Language and Content-Type. They are arguments. */
  forward: z.array(fieldName).max(32).default([]),
  /** The tool server's name in the registry; the name of this entry if left out. */
  server: serverId.optional(),
  /** The tools of this server: a request that is none of them is refused. Without it, a request is decided by its method and URL. */
  operations: z.record(operationName, operation).superRefine(checkShapes).optional(),
}

/** An HTTP API behind the gateway, at `/http/<name>/`. */
export const apiEntry = z.strictObject({
  ...apiMeaning,
  /** The host that agents call, in place of `/http/<name>` at the gateway's own: all of its paths are the API's. */
  host: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, 'expected a host name in lower case')
    .max(253)
    .optional(),
  /** Whether the name in the address may lead to private addresses, as in a cluster. An address itself may. */
  private: z.boolean().default(false),
  inject: injectedHeaders,
  /** Fields of answers that are passed on, besides the usual ones. */
  answer: z
    .array(fieldName.refine((name) => !ownAnswer.test(name), 'this field is made by the gateway, or never passed on'))
    .max(32)
    .default([]),
})
export type ApiEntry = z.output<typeof apiEntry>

/** The part of an entry that its action is read by. */
export type ApiMeaning = Pick<ApiEntry, keyof typeof apiMeaning>
