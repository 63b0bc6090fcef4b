import { lookup } from '@bailiwick/authority'
import { type Commitment, callAt, parseStrictJson } from '@bailiwick/contracts'
import { actionText, jcs } from '@bailiwick/credentials'

/**
 * Whether a value is not the call that its event says was allowed: of another action, with other arguments where the event says some, or not
 * the very text that an action's digest is the hash of, so that a decision point could tell more beside the call.
 */
export function isAnotherCall({ at }: Pick<Commitment, 'at'>, text: string, data: unknown): boolean {
  if (at !== callAt) return false
  const { name, resource, arguments: said = {} } = Object(Object(data).action)
  try {
    const { action, resource: of } = Object(parseStrictJson(Buffer.from(text)))
    const { name: called, properties } = Object(action)
    if (actionText({ name: called, properties, resource: of }) !== text) return true
    const isOther = ([pointer, value]: [string, unknown]) => lookup(properties, pointer) !== value
    return called !== name || jcs(of) !== jcs(resource) || Object.entries(said).some(isOther)
  } catch {
    return true
  }
}
