import { type Action, actionDigest, jcs } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'

/** An action that can no longer change, and its digest: what is decided is what is executed. */
export interface ActionSnapshot {
  readonly action: Action
  readonly digest: string
}

/** Copies and freezes all of it. Throws `request_malformed` for arguments without a canonical form (RFC 8785). */
export function snapshotAction({ name, properties, resource }: Action): ActionSnapshot {
  try {
    const text = jcs({ name, properties, resource: { type: resource.type, id: resource.id } })
    const action = deepFreeze(JSON.parse(text) as Action)
    return { action, digest: actionDigest(action) }
  } catch (error) {
    throw new ServiceError('request_malformed', 'the arguments have no canonical form', { cause: error })
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
