import { lookup } from '@bailiwick/authority'
import { argumentsAt, type Commitment, callAt } from '@bailiwick/contracts'
import { jcs, readActionText, sha256 } from '@bailiwick/credentials'

/**
 * Whether a value contradicts its event. The call of a decision, and the arguments of a request, must be exactly one action in canonical
 * form (with nothing beside it), name the same action, resource and arguments as the event, and hash to the event's digest, if it has one.
 */
export function isAnotherCall({ at }: Pick<Commitment, 'at'>, text: string, data: unknown): boolean {
  if (at !== callAt && at !== argumentsAt) return false
  const read = readActionText(text)
  if (read === undefined) return true
  // A step-up's event names the action. The event of a request in mode per_action has only the action's digest.
  const { action, action_digest } = Object(data)
  const { name, resource, arguments: said = {}, action_digest: digest = action_digest } = Object(action)
  if (at === argumentsAt && sha256(text) !== digest) return true
  if (action === undefined) return at === callAt
  const isOther = ([pointer, value]: [string, unknown]) => lookup(read.properties, pointer) !== value
  return read.name !== name || jcs(read.resource) !== jcs(resource) || Object.entries(said).some(isOther)
}
