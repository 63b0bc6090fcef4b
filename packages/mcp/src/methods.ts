import { answerMembers } from '@bailiwick/credentials'
import type { Era } from './message.ts'

/**
 * How a method is handled.
 * - `decided`: the decision point allows it, with its arguments, and its outcome is reported.
 * - `listed`: forwarded for a caller whose grant lives; the answer shows only what the grant could allow.
 * - `of_task`: about tasks that calls of this caller began. Forwarded for a caller whose grant lives, and only about tasks of its own: the
 *   call that began a task was decided and counted, and its decision limits what is read of the task.
 * - `open`: forwarded for a caller whose grant lives. It reads no data of the server and has no effect beyond this conversation.
 */
export type Handling = 'decided' | 'listed' | 'of_task' | 'open'

export interface Mapping {
  readonly handling: Handling
  /**
   * For decided methods: the members of `params`, besides `_meta`, that the action's arguments hold. For methods of tasks: those that there
   * are. Any other is refused.
   */
  readonly members?: readonly string[]
  /** In lists: the member of the result that is the list, and the method by which its items are used. */
  readonly list?: { readonly member: string; readonly used: string }
}

const ofTask = (...members: readonly string[]): Mapping => ({ handling: 'of_task', members })
const listOf = (member: string, used: string): Mapping => ({ handling: 'listed', list: { member, used } })

const inBoth: Readonly<Record<string, Mapping>> = {
  'tools/list': listOf('tools', 'tools/call'),
  'tools/call': { handling: 'decided', members: ['name', 'arguments'] },
  'resources/list': listOf('resources', 'resources/read'),
  'resources/templates/list': listOf('resourceTemplates', 'resources/read'),
  'resources/read': { handling: 'decided', members: ['uri'] },
  'prompts/list': listOf('prompts', 'prompts/get'),
  'prompts/get': { handling: 'decided', members: ['name', 'arguments'] },
  'completion/complete': { handling: 'decided', members: ['ref', 'argument', 'context'] },
  'notifications/cancelled': { handling: 'open' },
}

/** Every method of a client that has a mapping, in both revisions. Any other method is refused (`mcp_method_unmapped`). */
const mappings: Readonly<Record<Era, Readonly<Record<string, Mapping>>>> = {
  legacy: {
    ...inBoth,
    'tools/call': { handling: 'decided', members: ['name', 'arguments', 'task'] },
    // The SDK for TypeScript (1.32) repeats in them the `task` of the call. It means nothing there.
    'tasks/get': ofTask('taskId', 'task'),
    'tasks/result': ofTask('taskId', 'task'),
    'tasks/cancel': ofTask('taskId', 'task'),
    'tasks/list': ofTask('cursor'),
    initialize: { handling: 'open' },
    ping: { handling: 'open' },
    'logging/setLevel': { handling: 'open' },
    'resources/subscribe': { handling: 'decided', members: ['uri'] },
    'resources/unsubscribe': { handling: 'decided', members: ['uri'] },
    'notifications/initialized': { handling: 'open' },
    'notifications/progress': { handling: 'open' },
    'notifications/roots/list_changed': { handling: 'open' },
  },
  modern: {
    ...inBoth,
    'tools/call': { handling: 'decided', members: ['name', 'arguments', ...answerMembers] },
    'resources/read': { handling: 'decided', members: ['uri', ...answerMembers] },
    'prompts/get': { handling: 'decided', members: ['name', 'arguments', ...answerMembers] },
    'tasks/get': ofTask('taskId'),
    'tasks/cancel': ofTask('taskId'),
    // An answer to a question of the server, like a round.
    'tasks/update': { handling: 'decided', members: ['taskId', 'inputResponses'] },
    'server/discover': { handling: 'open' },
    'subscriptions/listen': { handling: 'decided', members: ['notifications'] },
  },
}

export function mappingOf(era: Era, method: string): Mapping | undefined {
  const table = mappings[era]
  return Object.hasOwn(table, method) ? table[method] : undefined
}

/** The member of `params` that `Mcp-Name` repeats. */
export function namedBy(method: string): 'name' | 'uri' | 'taskId' | undefined {
  if (method === 'tools/call' || method === 'prompts/get') return 'name'
  if (method === 'tasks/get' || method === 'tasks/update' || method === 'tasks/cancel') return 'taskId'
  return method === 'resources/read' ? 'uri' : undefined
}

/** Stands for the stream of a session (GET, legacy era), which has no method. */
export const streamMethod = 'stream/open'
