import { type Action, answerMembers } from '@bailiwick/credentials'
import type { Refused } from '@bailiwick/errors'
import { type Era, isObject, type JsonObject, type Message } from './message.ts'
import { mappingOf } from './methods.ts'
import { isTaskRequest, taskArgument } from './tasks.ts'

/** Only tools with names of this form are shown and called: `/` would make a tool look like a method, and other letters look alike. */
export const toolName = /^[A-Za-z0-9_.-]{1,128}$/

/** The gateway's own tools begin with this, so no tool of an upstream may. */
export const reservedPrefix = 'bailiwick_'

/** Every use of a server of tools is this action, so that every policy about tools holds for it, under any name that the protocol has for it. */
const actionName = 'tools/call'

/**
 * The action that a request stands for. `tools/call` is a call of the tool `<server>/<name>` with the call's arguments. Every other method
 * is a call of the tool `<server>/<method>` with the method's parameters: the registry describes it by labels as it does a tool, and the
 * server's manifest and revocation hold for it.
 *
 * `_meta` is not part of the action: the protocol keeps it for progress, tracing and notes of the client.
 */
export function actionOf(server: string, era: Era, message: Message): Action | Refused {
  if (message.kind !== 'request') return { refused: 'mcp_method_unmapped', detail: 'not a request' }
  const { method, params } = message
  const mapping = mappingOf(era, method)
  if (mapping?.handling !== 'decided') return { refused: 'mcp_method_unmapped', detail: method }
  const unmapped = Object.keys(params).find((name) => name !== '_meta' && !mapping.members?.includes(name))
  if (unmapped !== undefined)
    return { refused: 'mcp_member_unmapped', detail: `${method}: a member that the action cannot express` }
  return method === 'tools/call' ? toolCall(server, params) : methodCall(server, method, params)
}

/**
 * A round after `input_required` (2026-07-28) repeats the call with `inputResponses` and `requestState`. The server acts on both, so they
 * are decided like arguments: giving a value as an answer does not escape a bound on the arguments. So is the wish for a task (2025-11-25),
 * under a name of its own, since tools have arguments named `task`.
 */
function toolCall(
  server: string,
  { name, arguments: args = {}, _meta, task, ...answers }: JsonObject,
): Action | Refused {
  if (typeof name !== 'string' || !toolName.test(name)) return malformed('the name of a tool')
  if (!isObject(args)) return malformed('arguments is no object')
  // Otherwise an argument and an answer would be one action, and the server would do two things.
  if ([...answerMembers, taskArgument].some((member) => Object.hasOwn(args, member)))
    return malformed('an argument is named like a member of the protocol')
  if (task === undefined) return toolAction(server, name, { ...args, ...answers })
  if (!isTaskRequest(task)) return { refused: 'mcp_member_unmapped', detail: 'task: only `ttl`, in milliseconds' }
  return toolAction(server, name, { ...args, [taskArgument]: task })
}

function methodCall(server: string, method: string, params: JsonObject): Action | Refused {
  const { _meta, ...properties } = params
  if ('uri' in properties && typeof properties.uri !== 'string') return malformed('uri is no text')
  if ('name' in properties && typeof properties.name !== 'string') return malformed('name is no text')
  if ('taskId' in properties && typeof properties.taskId !== 'string') return malformed('taskId is no text')
  const { notifications } = properties
  // What would come there of a task is under what its own decision owes, and the stream has another.
  if (isObject(notifications) && Object.hasOwn(notifications, 'taskIds'))
    return { refused: 'mcp_member_unmapped', detail: `${method}: taskIds` }
  if ('arguments' in properties && !isObject(properties.arguments)) return malformed('arguments is no object')
  return toolAction(server, method, properties)
}

/** A call of `<server>/<tool>`. */
export const toolAction = (server: string, tool: string, properties: JsonObject): Action => ({
  name: actionName,
  properties,
  resource: { type: 'tool', id: `${server}/${tool}` },
})

const malformed = (detail: string): Refused => ({ refused: 'mcp_message_malformed', detail })
