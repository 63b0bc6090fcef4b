import type { Rule } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { refused } from './refused.ts'

/** How to read a rule without the member `arguments`. */
export interface RuleSilence {
  /**
   * Only readers of logs set it to `digest_only`: an older issuer had nothing to check. Services that act leave it out, so that such a
   * rule requires the arguments (fail closed).
   */
  argumentsUnlessSaid?: 'digest_only' | undefined
}

/** For readers of logs that may be older than the member `arguments`. */
export const ofOlderLogs: RuleSilence = { argumentsUnlessSaid: 'digest_only' }

/** Whether the rule requires that approvers see the arguments of one exact action before they sign its digest. */
export function mustShowArguments({ arguments: said }: Pick<Rule, 'arguments'>, unlessSaid?: 'digest_only'): boolean {
  return (said ?? unlessSaid ?? 'required') !== 'digest_only'
}

/**
 * Refuses a statement that was signed without its arguments being shown, where the rule requires them. Issuer and decision points each
 * check this, because a stolen approval service chooses what it renders.
 */
export function blindProblem(
  { statement, argumentsUnlessSaid }: RuleSilence & { statement: { arguments?: 'shown' | undefined } },
  rule: Rule,
): Refused | undefined {
  if (statement.arguments === 'shown' || !mustShowArguments(rule, argumentsUnlessSaid)) return undefined
  return refused('arguments_required', `rule ${rule.id}: requires that the arguments are shown`)
}
