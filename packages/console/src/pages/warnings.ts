import type { RequestDetail } from '../types.ts'

/** The warnings that a person must see before they sign: while there is one, a single key never asks for the passkey. */
export function warningsOf(request: RequestDetail): string[] {
  const risks = request.risk.reasons.filter(({ level }) => level === 'high').map(({ text }) => text)
  if (request.kind === 'registry')
    return [
      ...risks,
      ...request.starved.map(({ rule }) => `Nothing that the rule “${rule}” matches could then be approved`),
    ]
  const { agent_stopped: stop } = request
  const stopped = stop === null ? [] : [`This agent was stopped after it asked, by ${stop.by}: it would work again`]
  if (request.kind === 'step_up') return [...stopped, ...risks]
  const { earlier, last_approved: last, reopened } = request
  // Under another task's name, tools are asked for in other amounts every day.
  const then = last?.same_task ? last : earlier
  const isMore = then !== null && (then.relation === 'wider' || then.relation === 'different')
  return [
    ...stopped,
    ...(reopened === null ? [] : ['It was approved before something changed: the earlier signatures no longer count']),
    ...risks,
    ...(isMore ? ['It asks more than last time, or other things'] : []),
  ]
}
