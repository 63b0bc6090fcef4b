import type { Rule } from '@bailiwick/contracts'
import type { Refused } from '@bailiwick/credentials'
import { refused } from './refused.ts'

/** What a rule means that says nothing of arguments. */
export interface RuleSilence {
  /**
   * `digest_only` for a reader that tells what happened and lets nothing happen. Issuer and decision points leave it out: to them such a
   * rule requires the arguments.
   */
  argumentsUnlessSaid?: 'digest_only' | undefined
}

/** For who reads logs that may be older than the member. */
export const ofOlderLogs: RuleSilence = { argumentsUnlessSaid: 'digest_only' }

/** Whether people must be shown the arguments of one exact action before they sign its digest. */
export function mustShowArguments({ arguments: said }: Pick<Rule, 'arguments'>, unlessSaid?: 'digest_only'): boolean {
  return (said ?? unlessSaid ?? 'required') !== 'digest_only'
}

/**
 * Refuses what people signed who saw no more than a digest, where the rule wants them to see what it stands for. Issuer and decision
 * points ask it for themselves: a stolen approval service renders what it likes.
 */
export function blindProblem(
  { statement, argumentsUnlessSaid }: RuleSilence & { statement: { arguments?: 'shown' | undefined } },
  rule: Rule,
): Refused | undefined {
  if (statement.arguments === 'shown' || !mustShowArguments(rule, argumentsUnlessSaid)) return undefined
  return refused('arguments_required', `rule ${rule.id}: nobody signs a digest alone`)
}
