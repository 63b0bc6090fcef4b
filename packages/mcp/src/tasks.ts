import type { Refused } from '@bailiwick/errors'
import { type Era, isObject, type JsonObject, type Message, metaOf } from './message.ts'
import { mappingOf } from './methods.ts'

/** The argument of an action that says that its call is to be a task, with the value of `params.task` (2025-11-25). */
export const taskArgument = 'io.modelcontextprotocol/task'

/** The extension by which a client of 2026-07-28 says that it takes a task for an answer. */
export const tasksExtension = 'io.modelcontextprotocol/tasks'

/** The longest id of a task that a client may name, in characters. */
const longestId = 256

/** `params.task`: how long the server is to keep the result, in ms, and nothing else. */
export function isTaskRequest(value: unknown): boolean {
  if (!isObject(value) || Object.keys(value).some((member) => member !== 'ttl')) return false
  const { ttl } = value
  return ttl === undefined || (typeof ttl === 'number' && Number.isSafeInteger(ttl) && ttl >= 0)
}

/** Whether a call may be answered by a task: its client asks for one, or says that it takes one. */
export function mayBeTask(era: Era, message: Message): boolean {
  if (message.kind !== 'request' || message.method !== 'tools/call') return false
  if (era === 'legacy') return message.params.task !== undefined
  const capabilities = metaOf(message.params)['io.modelcontextprotocol/clientCapabilities']
  const extensions = isObject(capabilities) ? capabilities.extensions : undefined
  return isObject(extensions) && Object.hasOwn(extensions, tasksExtension)
}

/** The task that a request is about; undefined for the list of all. Refuses what its method does not have. */
export function taskAsked(era: Era, message: Message): { id: string | undefined } | Refused {
  if (message.kind !== 'request') return { refused: 'mcp_method_unmapped', detail: 'not a request' }
  const { method, params } = message
  const { members = [] } = mappingOf(era, method) ?? {}
  const isKnown = (name: string) =>
    name === '_meta' || (members.includes(name) && (name !== 'task' || isTaskRequest(params.task)))
  if (!Object.keys(params).every(isKnown))
    return { refused: 'mcp_member_unmapped', detail: `${method}: a member that the method does not have` }
  if (!members.includes('taskId')) return { id: undefined }
  const { taskId } = params
  return typeof taskId === 'string' && taskId.length <= longestId
    ? { id: taskId }
    : { refused: 'mcp_message_malformed', detail: 'taskId is no text, or too long' }
}

/** What a server says of a task. */
export interface TaskState {
  readonly id: string
  /** `working`, `input_required`, or a status that ends it: `completed`, `failed`, `cancelled`. */
  readonly status: string
  /** Whether the result that comes with it reports a failure. */
  readonly hasFailed: boolean
  /** How often the server wants to be asked, in ms. */
  readonly pollMs: number | undefined
}

/** The task that answers a call, if a task does. `text` and numbers are the server's: nothing else of it is used. */
export function taskBegun(era: Era, { result }: JsonObject): TaskState | undefined {
  if (!isObject(result)) return undefined
  if (era === 'legacy') return stateOf(result.task)
  return result.resultType === 'task' ? stateOf(result) : undefined
}

/** The state of a task in the answer to `tasks/get` or, in the legacy era, `tasks/cancel`. */
export const taskTold = ({ result }: JsonObject): TaskState | undefined => stateOf(result)

function stateOf(task: unknown): TaskState | undefined {
  if (!isObject(task)) return undefined
  const { taskId, status, pollInterval, pollIntervalMs = pollInterval, result, error } = task
  if (typeof taskId !== 'string' || typeof status !== 'string' || taskId.length > longestId) return undefined
  return {
    id: taskId,
    status,
    hasFailed: status === 'failed' || isObject(error) || (isObject(result) && result.isError === true),
    pollMs: typeof pollIntervalMs === 'number' && pollIntervalMs > 0 ? pollIntervalMs : undefined,
  }
}
