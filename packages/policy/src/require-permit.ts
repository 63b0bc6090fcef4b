import { invalid } from './invalid-policies.ts'
import type { Policy } from './policy-set.ts'

/** Lets the code that loads a set declare that the set intentionally denies every request. */
export interface PermitsNothing {
  permitsNothing?: boolean
}

export const permitsNothingMessage =
  'the set has no permit, so it denies every request: --permits-nothing says that this is meant'

/** Whether a set has a policy that could permit anything: Cedar denies what no `permit` applies to. */
export const hasPermit = (policies: Iterable<Pick<Policy, 'json'>>): boolean =>
  Array.from(policies).some(({ json }) => json.effect === 'permit')

/** Throws `config_invalid` for a set without a `permit`, unless that is intended: an empty file would stop every agent. */
export function requirePermit(policies: Iterable<Policy>, { permitsNothing = false }: PermitsNothing): void {
  if (!permitsNothing && !hasPermit(policies)) throw invalid('the set', permitsNothingMessage)
}
