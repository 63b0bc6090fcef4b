import type { Action } from '@bailiwick/credentials'
import type { Refused, RelayRequest } from '@bailiwick/relay'
import { actionByOperation } from '../proxy/operations.ts'
import { isReserved, reservedPlaces, type SessionEntry } from './session-entry.ts'

/** Reads the action from a request below the application's URL: a call of one of its operations. Pages that the gateway keeps for itself are refused. */
export function sessionActionOf(server: string, entry: SessionEntry): (request: RelayRequest) => Action | Refused {
  const toAction = actionByOperation(server, entry.operations, [])
  const reserved = reservedPlaces(entry)
  return (request) => {
    const action = toAction(request)
    if ('refused' in action) return action
    const refuse = (detail: string): Refused => ({ refused: 'session_route_reserved', detail })
    if (isReserved(reserved, request.target)) return refuse('the path')
    const { values = {} } = operationOf(entry, action) ?? {}
    const other = Object.entries(values).find(([name, texts]) => !isOneOf(action.properties[name], texts))
    return other === undefined ? action : refuse(`the value of ${other[0]}`)
  }
}

/** The operation that an action is. */
export const operationOf = ({ operations }: Pick<SessionEntry, 'operations'>, { resource }: Action) =>
  operations[resource.id.slice(resource.id.indexOf('/') + 1)]

/** Whether an argument is absent, or one of these texts. A number is compared as JSON writes it. */
const isOneOf = (given: unknown, texts: readonly string[]): boolean =>
  given === undefined || ((typeof given === 'string' || typeof given === 'number') && texts.includes(String(given)))
