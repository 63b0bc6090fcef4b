import { createHash } from 'node:crypto'
import { readJsonView } from '@bailiwick/kit'
import { fieldOf } from '../gate/headers.ts'
import { readQuery } from '../gate/query.ts'
import { refuse } from '../gate/refuse.ts'
import { splitTarget } from '../gate/target.ts'
import type { Upstream } from '../upstream.ts'

/** Fields that describe the wanted answer and the body. They are sent on, and of them only Content-Type is part of the action. */
const neutral: ReadonlySet<string> = new Set(['accept', 'accept-language', 'content-type'])
export const isNeutral = (field: string): boolean => neutral.has(field)

const withoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])

/**
 * The action of a plain HTTP request: `http/<METHOD>` on `{ type: 'http', id: <name><path> }`. Its properties are the query's parameters,
 * the fields of `forward`, the media type, and the body: as JSON, or, if it is not JSON, only its SHA-256. A policy can then bound
 * everything that the upstream can act on.
 */
export function httpAction(name: string, forward: ReadonlySet<string>): Upstream['toAction'] {
  return ({ method, target, headers, body }) => {
    const query = readQuery(target)
    if ('refused' in query) return query
    const type = fieldOf(headers, 'content-type')
    if (body.length > 0 && withoutBody.has(method))
      return refuse('request_malformed', 'a body that the method does not have')
    const content = readBody(type, body)
    if ('refused' in content) return content
    const fields = [...forward].flatMap((field): [string, string][] => {
      const value = fieldOf(headers, field)
      return value === undefined ? [] : [[field, value]]
    })
    return {
      name: `http/${method}`,
      properties: {
        query: query.parameters,
        ...(fields.length === 0 ? {} : { headers: Object.fromEntries(fields) }),
        ...content,
      },
      resource: { type: 'http', id: `${name}${splitTarget(target).path}` },
    }
  }
}

function readBody(type: string | undefined, body: Uint8Array) {
  if (body.length === 0) return type === undefined ? {} : { content_type: type }
  if (type === undefined) return refuse('content_type_unsupported', 'a body without a media type')
  if (!/^application\/(?:[a-z0-9.-]+\+)?json(?: ?; ?charset="?utf-8"?)?$/i.test(type))
    return { content_type: type, body_sha256: createHash('sha256').update(body).digest('base64url') }
  const view = readJsonView(body)
  return 'refused' in view ? view : { content_type: type, body: view.value }
}
