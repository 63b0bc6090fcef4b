import { type Action, actionText, jcs, sha256 } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { parseJson } from '@bailiwick/kit'

/** An action that can no longer change, its canonical text, and the hash of that text: the decided action is the executed action. */
export interface ActionSnapshot {
  readonly action: Action
  readonly text: string
  readonly digest: string
}

/** Copies and freezes the whole action. Throws `request_malformed` for arguments without a canonical form (RFC 8785). */
export function snapshotAction({ name, properties, resource }: Action): ActionSnapshot {
  try {
    const copied = jcs({ name, properties, resource: { type: resource.type, id: resource.id } })
    const action = deepFreeze(parseJson(copied) as Action)
    const text = actionText(action)
    return { action, text, digest: sha256(text) }
  } catch (error) {
    throw new ServiceError('request_malformed', 'the arguments have no canonical form', { cause: error })
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
