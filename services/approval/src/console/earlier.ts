import { describe, narrows } from '@bailiwick/authority'
import { authorityOf } from '../answers/who-may-answer.ts'
import type { AccessAsk } from '../requests.ts'

/** The parts of an ask, and of a signed statement, that can be compared. */
type Terms = Pick<AccessAsk, 'authority' | 'mode' | 'action_digest' | 'rebind' | 'not_before' | 'not_after'>

/** The relation of one ask to another, and their differences. */
export interface Difference {
  relation: 'same' | 'narrower' | 'wider' | 'different'
  added: string[]
  removed: string[]
}

/**
 * Compares an ask with an earlier one, or with what was approved: its authority, and everything else that people would sign. An ask with the same
 * permissions for longer, or for a different exact action, is a different ask.
 */
export function differenceOf(now: Terms, then: Terms): Difference {
  const once = now.mode === 'per_action' && then.mode === 'per_action'
  const [lines, before] = [linesOf(now, once), linesOf(then, once)]
  const [within, around] = [isWithin(now, then), isWithin(then, now)]
  return {
    relation: within && around ? 'same' : within ? 'narrower' : around ? 'wider' : 'different',
    added: lines.filter((line) => !before.includes(line)),
    removed: before.filter((line) => !lines.includes(line)),
  }
}

const isWithin = (one: Terms, other: Terms) =>
  narrows(authorityOf(one.authority), authorityOf(other.authority)).narrower &&
  minutesOf(one) <= minutesOf(other) &&
  one.mode === other.mode &&
  one.action_digest === other.action_digest &&
  (one.rebind === other.rebind || one.rebind === 'none')

/** Clocks and rounding may differ by seconds; that is not a difference. */
export const minutesOf = ({ not_before, not_after }: Pick<Terms, 'not_before' | 'not_after'>) =>
  Math.max(1, Math.round((Date.parse(not_after) - Date.parse(not_before)) / 60_000))

const modes: Record<Terms['mode'], string> = {
  per_action: 'For one exact action',
  window: 'For a time',
  continuous: 'While it stays proven',
}

const linesOf = (ask: Terms, once: boolean) => [
  ...describe(authorityOf(ask.authority), { once }),
  `Within ${minutesOf(ask)} min`,
  modes[ask.mode],
  ...(ask.action_digest === undefined ? [] : [`Exactly the action with the digest ${ask.action_digest}`]),
  ...(ask.rebind === 'attested' ? ['May be bound to a new, newly attested key of the same agent'] : []),
]
