import { createHash } from 'node:crypto'
import { readJsonView } from '@bailiwick/kit'
import { readForm } from '../gate/form.ts'
import { fieldOf } from '../gate/headers.ts'
import { hasMethodPart, namesMethod } from '../gate/method-names.ts'
import { readQuery } from '../gate/query.ts'
import { refuse } from '../gate/refuse.ts'
import { splitTarget } from '../gate/target.ts'
import type { Refused, RelayRequest, Upstream } from '../upstream.ts'

/** Fields that describe the wanted answer and the body. They are sent on, and of them only Content-Type is part of the action. */
const neutral: ReadonlySet<string> = new Set(['accept', 'accept-language', 'content-type'])
export const isNeutral = (field: string): boolean => neutral.has(field)

const withoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])

/** What a plain HTTP request says besides its method and path: all that an API can act on. */
export interface HttpArguments {
  readonly query: Readonly<Record<string, string>>
  /** The fields that are sent on because the configuration says so. */
  readonly headers?: Readonly<Record<string, string>>
  readonly content_type?: string
  /** The content of JSON, or of a form, field by field. */
  readonly body?: unknown
  /** In place of any other content. */
  readonly body_sha256?: string
  /** The request may have content that no decision can see. */
  readonly body_unseen?: true
}

/**
 * Reads the arguments of a plain HTTP request, in one way: the query's parameters, the fields of `forward`, the media type, and the body:
 * as JSON, as the fields of a form, or, if it is neither, only its SHA-256. A policy can then bound everything that the upstream can act on.
 * `named`: fields of a form with brackets in their names, such as `issue[subject]`. All others with brackets are refused.
 */
export function httpArguments(
  { method, target, headers, body, isBodyUnseen = false }: RelayRequest,
  forward: ReadonlySet<string>,
  named?: ReadonlySet<string>,
): HttpArguments | Refused {
  const query = readQuery(target)
  if ('refused' in query) return query
  const type = fieldOf(headers, 'content-type')
  if (body.length > 0 && withoutBody.has(method))
    return refuse('request_malformed', 'a body that the method does not have')
  const content = isBodyUnseen && !withoutBody.has(method) ? unseen(type) : readBody(type, body, named)
  if ('refused' in content) return content
  const fields = [...forward].flatMap((field): [string, string][] => {
    const value = fieldOf(headers, field)
    return value === undefined ? [] : [[field, value]]
  })
  return {
    query: query.parameters,
    ...(fields.length === 0 ? {} : { headers: Object.fromEntries(fields) }),
    ...content,
  }
}

/** The action of a plain HTTP request: `http/<METHOD>` on `{ type: 'http', id: <name><path> }`. Its properties are `httpArguments`. */
export function httpAction(name: string, forward: ReadonlySet<string>): Upstream['toAction'] {
  return (request) => {
    const properties = httpArguments(request, forward)
    if ('refused' in properties) return properties
    return {
      name: `http/${request.method}`,
      properties: { ...properties },
      resource: { type: 'http', id: `${name}${splitTarget(request.target).path}` },
    }
  }
}

/** JSON is in UTF-8, and a form has no other encoding here. */
const json = /^application\/(?:[a-z0-9.-]+\+)?json(?: ?; ?charset="?utf-8"?)?$/i
const form = /^application\/x-www-form-urlencoded(?: ?; ?charset="?utf-8"?)?$/i

const unseen = (type: string | undefined): Omit<HttpArguments, 'query'> => ({
  ...(type === undefined ? {} : { content_type: type }),
  body_unseen: true,
})

const anotherMethod = refuse('request_malformed', 'a member that names another method')

function readBody(
  type: string | undefined,
  body: Uint8Array,
  named: ReadonlySet<string> | undefined,
): Omit<HttpArguments, 'query'> | Refused {
  if (body.length === 0) return type === undefined ? {} : { content_type: type }
  if (type === undefined) return refuse('content_type_unsupported', 'a body without a media type')
  if (form.test(type)) {
    const fields = readForm(body, named)
    return 'refused' in fields ? fields : { content_type: type, body: fields.fields }
  }
  if (/^multipart\//i.test(type) && hasMethodPart(body)) return anotherMethod
  if (!json.test(type))
    return { content_type: type, body_sha256: createHash('sha256').update(body).digest('base64url') }
  const view = readJsonView(body)
  if ('refused' in view) return view
  const { value } = view
  const members = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
  return members.some(namesMethod) ? anotherMethod : { content_type: type, body: value }
}
