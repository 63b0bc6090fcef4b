import { type Entity, type EntityType, entitySchemas } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { type Fault, schemaFaults } from '@bailiwick/host'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { readInput } from './read-input.ts'

/** One entity as the file wants it; without a value it is to be retired. */
export interface WantedEntity {
  type: EntityType
  id: string
  value?: Entity
  /** For an approver: what a file may say about an enrolled person. */
  person?: { name: string; groups: string[] }
  /** The line in which the file names an approver. */
  line?: number
}

/** A group as the file wants it: exactly these people. */
export interface WantedGroup {
  id: string
  members: string[]
  /** The line in which the file names it. */
  line?: number
}

export interface WantedRegistry {
  entities: WantedEntity[]
  groups: WantedGroup[]
}

const LARGEST_FILE = 1_048_576
/** The most entities in one request. */
const MOST_ENTITIES = 64

/** The section of each type that a file may contain. */
const sections = {
  agents: 'agent',
  rules: 'rule',
  tool_servers: 'tool-server',
  enforcement_points: 'enforcement-point',
  auditors: 'auditor',
} as const satisfies Record<string, EntityType>
type Section = keyof typeof sections

/** Entities that a file cannot add, and why. */
const refusedSections = {
  service_keys: 'a service key needs a certificate by the root key, which is kept offline',
  policy_set: 'policies are activated from their files, not named here',
} as const

const retirable = z.enum([...Object.values(sections), 'approver', 'recovery'])
const { id, name, groups } = entitySchemas.approver.shape
const fileSchema = z.strictObject({
  agents: z.array(entitySchemas.agent).optional(),
  rules: z.array(entitySchemas.rule).optional(),
  tool_servers: z.array(entitySchemas['tool-server']).optional(),
  enforcement_points: z.array(entitySchemas['enforcement-point']).optional(),
  auditors: z.array(entitySchemas.auditor).optional(),
  approvers: z.array(z.strictObject({ id, name, groups })).optional(),
  groups: z.array(z.strictObject({ id, members: z.array(id).max(1000) })).optional(),
  retire: z.array(z.strictObject({ type: retirable, id: z.string().min(1) })).optional(),
})

/** Reads a registry file. Throws `config_invalid` with a line for each fault, like `parseRegistry`. */
export function readRegistryFile(path: string): WantedRegistry {
  return parseRegistry(readInput('registry', path, LARGEST_FILE).toString('utf8'), path)
}

/**
 * Parses a registry file strictly, so that a misspelt member is refused and not ignored. Entities that it does not name stay as they are.
 * Throws `config_invalid` with the line, the position and the fault.
 */
export function parseRegistry(text: string, name: string): WantedRegistry {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, schema: 'core', merge: false })
  const lineAt = (offset: number | undefined) => (offset === undefined ? '' : `:${lines.linePos(offset).line}`)
  const [syntax] = [...document.errors, ...document.warnings]
  if (syntax !== undefined) fail(`${name}${lineAt(syntax.pos[0])}: ${firstLine(syntax.message)}`)
  const content = contentOf(document, name)
  for (const [section, why] of Object.entries(refusedSections))
    if (typeof content === 'object' && content !== null && section in content) fail(`${name}: ${section}: ${why}`)
  const parsed = fileSchema.safeParse(content)
  if (!parsed.success)
    fail(
      schemaFaults(parsed.error.issues, content)
        .map((fault) => faultLine(fault, name, document, lineAt))
        .join('\n'),
    )
  const { retire = [], approvers = [], groups = [], ...present } = parsed.data
  const lineOf = (section: string, n: number) => {
    const node = document.getIn([section, n], true)
    return hasRange(node) ? { line: lines.linePos(node.range[0]).line } : {}
  }
  const wanted: WantedEntity[] = Object.entries(present).flatMap(([section, values]) =>
    (values ?? []).map((value) => ({ type: sections[section as Section], id: value.id, value })),
  )
  for (const [n, { id, ...person }] of approvers.entries())
    wanted.push({ type: 'approver', id, person, ...lineOf('approvers', n) })
  wanted.push(...retire)
  const seen = new Set<string>()
  for (const { type, id } of [...wanted, ...groups.map(({ id }) => ({ type: 'group', id }))]) {
    if (seen.has(`${type} ${id}`)) fail(`${name}: ${type} ${id} is there twice`)
    seen.add(`${type} ${id}`)
  }
  if (wanted.length > MOST_ENTITIES) fail(`${name}: more than ${MOST_ENTITIES} entities: apply them in parts`)
  return { entities: wanted, groups: groups.map((group, n) => ({ ...group, ...lineOf('groups', n) })) }
}

/** Throws for an alias without an anchor, and for aliases that would expand a short text beyond measure. */
function contentOf(document: ReturnType<typeof parseDocument>, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    return fail(`${name}: ${error instanceof Error ? firstLine(error.message) : 'not understood'}`)
  }
}

function faultLine(
  fault: Fault,
  name: string,
  document: ReturnType<typeof parseDocument>,
  lineAt: (offset: number | undefined) => string,
): string {
  const { path, said } = fault
  const node = [...Array(path.length + 1).keys()]
    .map((cut) => document.getIn(path.slice(0, path.length - cut), true))
    .find(hasRange)
  return `${name}${lineAt(node?.range[0])}: ${path.map(String).join('.') || 'the file'}: ${said}`
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
}

const firstLine = (text: string) => text.split('\n', 1)[0]?.replace(/:$/, '') ?? text

function fail(detail: string): never {
  throw new ServiceError('config_invalid', detail)
}
