import type { Permission } from '@bailiwick/authority'
import type { ToolServer } from '@bailiwick/contracts'

type Servers = ReadonlyMap<string, Pick<ToolServer, 'id' | 'tools'>>
const undescribed: readonly string[] = ['unlabelled']

/** Resources that a tool server in the registry describes. A model is described like a tool: its server's manifest holds its prices. */
const described: ReadonlySet<string> = new Set(['tool', 'model'])

/** The server of a tool id, `<server>/<tool>`, or of a model; undefined if the id has another form. */
export function toolServerOf({ type, id }: { type: string; id: string }): string | undefined {
  return described.has(type) && id.includes('/') ? id.slice(0, id.indexOf('/')) : undefined
}

/** What a tool does, according to the registry; an undescribed tool is `unlabelled`. A resource that no server describes has no labels. */
export function labelsOfTool(resource: { type: string; id: string }, servers: Pick<Servers, 'get'>): readonly string[] {
  if (!described.has(resource.type)) return []
  return describedTool(resource, servers)?.labels ?? undescribed
}

function describedTool(resource: { type: string; id: string }, servers: Pick<Servers, 'get'>) {
  const server = toolServerOf(resource)
  const tools = server === undefined ? undefined : servers.get(server)?.tools
  const name = resource.id.slice((server?.length ?? -1) + 1)
  return tools && Object.hasOwn(tools, name) ? tools[name] : undefined
}

/**
 * Whether a permission takes a call's cost from the arguments that the registry defines. If it named others, the requester could choose an
 * argument that is always small, and pay a million while almost nothing is counted. A permission for a prefix never qualifies, because it
 * may reach an undescribed tool.
 */
export function countsCost({ resource, cost }: Permission, servers: Pick<Servers, 'get'>): boolean {
  const { type, id } = resource
  const declared = id === undefined ? undefined : describedTool({ type, id }, servers)?.cost
  if (cost === undefined || declared === undefined) return false
  return cost.amount === declared.amount && cost.currency === declared.currency
}

/**
 * The label lists of the tools that a resource scope may reach, each list once. A prefix may always reach an undescribed tool. Ids are
 * compared as text, the way a person reads them: a prefix reaches each described tool whose id begins with it. The requester chooses the
 * prefixes and how many there are, so a server that cannot match is skipped without reading its tools.
 */
export function labelsWithin(
  { type, id, id_prefix: prefix = '' }: { type: string; id?: string; id_prefix?: string },
  servers: Pick<Servers, 'get' | 'values'>,
): readonly (readonly string[])[] {
  if (id !== undefined) return [labelsOfTool({ type, id }, servers)]
  if (!described.has(type)) return [[]]
  const kinds = new Map([[undescribed.join(), undescribed]])
  for (const server of servers.values()) {
    const begins = `${server.id}/`
    if (!begins.startsWith(prefix) && !prefix.startsWith(begins)) continue
    for (const [name, { labels }] of Object.entries(server.tools))
      if (`${begins}${name}`.startsWith(prefix)) kinds.set(labels.join(), labels)
  }
  return [...kinds.values()]
}
