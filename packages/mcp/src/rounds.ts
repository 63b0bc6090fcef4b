import type { Action } from '@bailiwick/credentials'
import { type Era, isObject, type JsonObject } from './message.ts'
import { mappingOf } from './methods.ts'

/** The state that a server gave with its questions, which comes back with the answers; undefined if it gave none. */
export interface AskedBack {
  readonly state: string | undefined
}

/**
 * Whether a message answers a call of `action` at this server with questions (`input_required`, 2026-07-28): its client sends the call
 * again, with the answers.
 */
export function askedBack(
  era: Era,
  { server, action }: { server: string; action: Pick<Action, 'resource'> },
  { result }: JsonObject,
): AskedBack | undefined {
  if (era !== 'modern' || !isObject(result) || result.resultType !== 'input_required') return undefined
  // No tool has a name with a slash: what has one is a method.
  const used = action.resource.id.slice(server.length + 1)
  const { members } = mappingOf(era, used.includes('/') ? used : 'tools/call') ?? {}
  if (members?.includes('requestState') !== true) return undefined
  const { requestState } = result
  return { state: typeof requestState === 'string' ? requestState : undefined }
}
