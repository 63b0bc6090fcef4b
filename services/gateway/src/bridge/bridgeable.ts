import type { Era, Message } from '@bailiwick/mcp'
import type { Refused } from '@bailiwick/relay'
import type { ServerEntry } from '../gateway-file.ts'

/** The era of a server that speaks one revision alone; undefined for one that is met in its client's. */
export const eraOf = ({ speaks }: Pick<ServerEntry, 'speaks'>): Era | undefined =>
  speaks === undefined ? undefined : speaks === '2026-07-28' ? 'modern' : 'legacy'

const inBoth = [
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'notifications/cancelled',
]

/** By the era of the client: the methods for which the other era says the same, or which ask for nothing that a server would do. */
const mapped: Readonly<Record<Era, ReadonlySet<string>>> = {
  legacy: new Set([
    ...inBoth,
    'initialize',
    'ping',
    'notifications/initialized',
    'notifications/progress',
    'notifications/roots/list_changed',
  ]),
  modern: new Set([...inBoth, 'server/discover']),
}

/** What a client of the modern era adds after `input_required`. A server of the legacy era asks in another way. */
const ofRounds = ['inputResponses', 'requestState']

/** Why a message of a client has no counterpart in the era of its server; undefined if it has one. */
export function unbridgeable(entry: Pick<ServerEntry, 'speaks'>, era: Era, message: Message): Refused | undefined {
  const server = eraOf(entry)
  if (server === undefined || server === era || message.kind === 'response') return undefined
  const { method, params } = message
  if (!mapped[era].has(method))
    return { refused: 'mcp_method_unmapped', detail: `${method}: the server speaks ${entry.speaks}` }
  if (era === 'modern' && ofRounds.some((name) => Object.hasOwn(params, name)))
    return { refused: 'mcp_member_unmapped', detail: `${method}: the server speaks ${entry.speaks}` }
  // The other era answers with a task unasked, and only a client that says that it takes one.
  if (era === 'legacy' && method === 'tools/call' && Object.hasOwn(params, 'task'))
    return { refused: 'mcp_member_unmapped', detail: `${method}: the server speaks ${entry.speaks}` }
  return undefined
}
