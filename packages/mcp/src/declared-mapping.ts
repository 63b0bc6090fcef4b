import type { Refused } from '@bailiwick/errors'
import { isObject, type JsonObject } from './message.ts'

/** An action on a resource that a tool's declared mapping makes of a call: it must be granted beside the call itself. */
export interface Mapped {
  readonly name: string
  readonly resource: { readonly type: string; readonly id: string }
}

/** What expressions of a mapping may read. */
export interface MappingInput {
  readonly params: JsonObject
  /** `sub` and `client_id` of the credential. */
  readonly token: { readonly sub: string; readonly client_id: string }
}

const mostEvaluations = 8
const longest = { name: 200, type: 100, id: 2048 }

/**
 * The actions that a tool's declared mapping makes of a call (`x-authzen-mapping` in its input schema; COAZ-MCP, draft 1): undefined if it
 * declares none. The mapping must come from a description that people signed. Refuses by its place what this gateway cannot honour: it
 * understands literals and plain paths into `params` and `token`, decides on name, type and id, and lets no mapping choose a subject.
 */
export function declaredMapping(inputSchema: unknown, input: MappingInput): readonly Mapped[] | undefined | Refused {
  const mapping = isObject(inputSchema) ? inputSchema['x-authzen-mapping'] : undefined
  if (mapping === undefined) return undefined
  try {
    return [...evaluationsIn(only(mapping, '', ['evaluation', 'evaluations']), input)]
  } catch (error) {
    if (error instanceof Unsupported) return { refused: 'mcp_mapping_refused', detail: error.message }
    throw error
  }
}

/** What cannot be honoured, and where it stands in the mapping. The text is the server's, so only known names of it are repeated. */
class Unsupported extends Error {}

function* evaluationsIn(mapping: JsonObject, input: MappingInput): Iterable<Mapped> {
  const [envelope, ...others] = Object.keys(mapping)
  if (envelope === undefined || others.length > 0) throw new Unsupported('one of evaluation and evaluations is needed')
  if (envelope === 'evaluation') {
    const asked = only(mapping.evaluation, 'evaluation', ['subject', 'action', 'resource', 'context'])
    checkShared(asked, 'evaluation')
    yield mappedIn(asked, 'evaluation', input)
    return
  }
  const at = 'evaluations'
  const { evaluations: entries, ...shared } = only(mapping.evaluations, at, [
    ...['subject', 'action', 'resource', 'context'],
    'evaluations',
  ])
  checkShared(shared, at)
  if (!Array.isArray(entries) || entries.length === 0 || entries.length > mostEvaluations)
    throw new Unsupported(`${at}/evaluations: from 1 to ${mostEvaluations} are possible`)
  for (const [n, entry] of entries.entries()) {
    const place = `${at}/evaluations/${n}`
    yield mappedIn({ ...shared, ...only(entry, place, ['action', 'resource', 'context']) }, place, input)
  }
}

/** The caller is always the subject, and nothing that a server says of it counts. */
function checkShared({ subject, context }: JsonObject, at: string): void {
  const id = subject === undefined ? undefined : only(subject, `${at}/subject`, ['type', 'id']).id
  if (id !== undefined && id !== '$token.sub') throw new Unsupported(`${at}/subject/id: only $token.sub is the subject`)
  if (context !== undefined && !isObject(context)) throw new Unsupported(`${at}/context: no object`)
}

function mappedIn({ action, resource }: JsonObject, at: string, input: MappingInput): Mapped {
  const { name } = only(action, `${at}/action`, ['name'])
  const { type, id } = only(resource, `${at}/resource`, ['type', 'id'])
  const text = (value: unknown, place: string, most: number) => textOf(value, `${at}/${place}`, { input, most })
  return {
    name: text(name, 'action/name', longest.name),
    resource: {
      type: text(type, 'resource/type', longest.type),
      id: text(id, 'resource/id', longest.id),
    },
  }
}

function only(value: unknown, at: string, members: readonly string[]): JsonObject {
  if (!isObject(value)) throw new Unsupported(`${at || 'the mapping'}: no object`)
  if (Object.keys(value).some((name) => !members.includes(name)))
    throw new Unsupported(`${at || 'the mapping'}: only ${members.join(', ')} can be honoured`)
  return value
}

function textOf(value: unknown, at: string, { input, most }: { input: MappingInput; most: number }): string {
  if (typeof value !== 'string') throw new Unsupported(`${at}: no text`)
  const text = !value.startsWith('$') ? value : value.startsWith('$$') ? value.slice(1) : readPath(value, at, input)
  if (typeof text !== 'string' || text.length === 0 || text.length > most)
    throw new Unsupported(`${at}: no text of 1 to ${most} characters comes of it`)
  return text
}

const path = /^\$(params|token)((?:\.[A-Za-z_]\w*|\["[^"\\]*"\])+)$/

/** A path such as `$params.arguments.id` or `$params.arguments["customer-id"]`. No other expression of CEL is understood. */
function readPath(expression: string, at: string, input: MappingInput): unknown {
  const [, variable, rest = ''] = path.exec(expression) ?? []
  if (variable !== 'params' && variable !== 'token')
    throw new Unsupported(`${at}: only a path into params or token is understood`)
  const steps = [...rest.matchAll(/\.(\w+)|\["([^"]*)"\]/g)].map(([, plain, quoted]) => plain ?? quoted ?? '')
  return steps.reduce<unknown>(
    (value, step) => (isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined),
    input[variable],
  )
}
