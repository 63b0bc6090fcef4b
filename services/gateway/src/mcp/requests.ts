import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { fieldsOf } from '@bailiwick/kit'
import { checkParameters, isId, isObject, type JsonObject, mcpAction, type Received } from '@bailiwick/mcp'
import type { Refused, RelayRequest } from '@bailiwick/relay'
import type { Tasks } from '../tasks/tasks.ts'

/** The session that a request names. Throws `mcp_session_unknown` if it names two. */
export function sessionIn({ headers }: RelayRequest): string | undefined {
  const values = fieldsOf(headers, 'mcp-session-id')
  if (values.length > 1) throw new ServiceError('mcp_session_unknown', 'Mcp-Session-Id comes twice')
  return values[0]
}

/** The action of a request that is decided. */
export function actionIn(server: string, request: RelayRequest): Action | undefined {
  const action = mcpAction(server, request)
  return 'refused' in action ? undefined : action
}

/**
 * What is wrong with a request that is to be decided: header fields that do not say what the tool's arguments say, or a task that is not the
 * conversation's. It says something of the server, so it is for callers that were verified.
 */
export function wrongIn(
  { message, era, request }: Received & { request: RelayRequest },
  tool: JsonObject | undefined,
  tasks: Tasks | undefined,
): Refused | undefined {
  if (message.kind !== 'request') return undefined
  const { method, params } = message
  if (method === 'tasks/update' && tasks?.find(String(params.taskId)) === undefined)
    return { refused: 'mcp_task_unknown', detail: method }
  if (method !== 'tools/call' || tool === undefined) return undefined
  return checkParameters(request.headers, tool, isObject(params.arguments) ? params.arguments : {}, era)
}

/** The id of a message that was refused, by which the client finds its request; null if it cannot be read. */
export function idIn({ body }: RelayRequest): string | number | null {
  try {
    const { id } = JSON.parse(Buffer.from(body).toString('utf8'))
    return isId(id) ? id : null
  } catch {
    return null
  }
}
