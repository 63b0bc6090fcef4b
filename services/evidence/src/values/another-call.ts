import { lookup } from '@bailiwick/authority'
import { argumentsAt, type Commitment, callAt } from '@bailiwick/contracts'
import { jcs, readActionText, sha256 } from '@bailiwick/credentials'

/**
 * Whether a value is not the call that its event says was allowed, or not the action that its ask names by digest: of another action, with
 * other arguments where the event says some, or not the very text that an action's digest is the hash of, so that somebody could tell more
 * beside it.
 */
export function isAnotherCall({ at }: Pick<Commitment, 'at'>, text: string, data: unknown): boolean {
  if (at !== callAt && at !== argumentsAt) return false
  const read = readActionText(text)
  if (read === undefined) return true
  // A step-up names its action, an ask of mode per_action the digest alone.
  const { action, action_digest } = Object(data)
  const { name, resource, arguments: said = {}, action_digest: digest = action_digest } = Object(action)
  if (at === argumentsAt && sha256(text) !== digest) return true
  if (action === undefined) return at === callAt
  const isOther = ([pointer, value]: [string, unknown]) => lookup(read.properties, pointer) !== value
  return read.name !== name || jcs(read.resource) !== jcs(resource) || Object.entries(said).some(isOther)
}
