import type { Action } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { fieldsOf } from '@bailiwick/kit'
import { isId, mcpAction } from '@bailiwick/mcp'
import type { RelayRequest } from '@bailiwick/relay'

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

/** The id of a message that was refused, by which the client finds its request; null if it cannot be read. */
export function idIn({ body }: RelayRequest): string | number | null {
  try {
    const { id } = JSON.parse(Buffer.from(body).toString('utf8'))
    return isId(id) ? id : null
  } catch {
    return null
  }
}
