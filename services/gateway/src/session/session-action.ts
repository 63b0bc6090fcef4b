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
    return isReserved(reserved, request.target, { ...action.properties })
      ? { refused: 'session_route_reserved', detail: 'the path' }
      : action
  }
}
