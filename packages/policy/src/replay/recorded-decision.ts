import { labelsOfTool, toolServerOf } from '@bailiwick/approval-statement'
import { type Agent, agentIdOf, type DecodedEvent, type EventData, type ToolServer } from '@bailiwick/contracts'
import { timeOfId } from '@bailiwick/kit'
import { firstRoundOf, type SpendView } from '@bailiwick/projection'
import type { RecordedLog } from '@bailiwick/verify'
import type { PolicyRequest } from '../policy-engine.ts'
import type { PolicySet } from '../policy-set.ts'
import type { Did, RecordedQuestion } from '../recorded-trial.ts'
import { taskHistory } from './task-history.ts'

type Allowed = EventData<'decisions.v1', 'decision.allowed'>
type Denied = EventData<'decisions.v1', 'decision.denied'>

/** A decision in the log, with the members that policies need. */
export interface RecordedDecision {
  id: string
  /** ms since the epoch */
  at: number
  agent: string
  action: string
  resource: string
  /** The policies' answer; undefined if the record does not tell. */
  passed: boolean | undefined
  reason: string | undefined
  policySet: string | undefined
  policies: readonly string[]
  question: Pick<RecordedQuestion, 'requests' | 'unknown' | 'history' | 'saidYes'>
  /** Unknown facts without which no policy can be asked. */
  lacks: readonly string[]
}

/**
 * The maximum difference between clocks plus the delay of readers: changes within this time before the decision may not have been known.
 */
const marginMs = 10_000
/** The longest deadline of a decision. */
const longestMs = 10_000
/** The most policies that an event can hold. */
const mostPolicies = 64

/**
 * `before`: as in `RecordedLog.decisions`. undefined for an event that is not a decision, or in which policies had no part: such a decision
 * stands regardless of policies.
 */
export async function recordedDecision(
  event: DecodedEvent<'decisions.v1'>,
  log: RecordedLog,
  setOf: (hash: string) => PolicySet | undefined,
  before: SpendView | undefined,
): Promise<RecordedDecision | undefined> {
  if (event.type !== 'decision.allowed' && event.type !== 'decision.denied') return undefined
  const { data } = event
  const reason = event.type === 'decision.denied' ? event.data.reason : undefined
  if (reason !== undefined && !byPolicies.has(reason)) return undefined
  const lacks: string[] = []
  const passed = whatPoliciesSaid(event, setOf)
  if (passed === 'passed' && reason !== undefined) return undefined
  if (passed === undefined)
    lacks.push(reason === 'request_invalid' ? 'why the request was invalid' : 'the set that decided')
  const { actor, action } = data
  const agents = chainOf(event, log)
  const at = Date.parse(event.time)
  const began = timeOfId(data.decision_id) ?? Number.NaN
  const window = { from: began, to: Math.min(at, began + longestMs) }
  const stable = { from: began - marginMs, to: window.to }
  const unknown: string[][] = []
  const context = await contextOf(event, { log, window, unknown })
  const resource = action?.resource ?? { type: '', id: '' }
  if (action === undefined) lacks.push('the action')
  const labels = event.type === 'decision.allowed' ? event.data.labels : labelsThen(resource, log, stable)
  if (labels === undefined) lacks.push('resource.labels')
  if (agents === undefined) lacks.push('who acted')
  const requests = (agents ?? []).flatMap((instance): PolicyRequest[] => {
    const agent = log.entity<Agent>('agent', agentIdOf(instance), stable)
    if (agent === undefined) {
      lacks.push(`what the registry had of ${instance}`)
      return []
    }
    const { id, owner, labels: own } = agent
    return [
      {
        principal: { type: 'agent', id, attributes: { instance, owner, labels: own } },
        action: action?.name ?? '',
        resource: { ...resource, attributes: { labels: labels ?? [], server: toolServerOf(resource) ?? '' } },
        context,
      },
    ]
  })
  const continues = event.type === 'decision.allowed' ? event.data.continues : undefined
  const own = continues && before && firstRoundOf(before, continues.decision_id)
  return {
    id: data.decision_id,
    at,
    agent: actor?.sub_agent ?? actor?.agent ?? 'unknown',
    action: action?.name ?? 'unknown',
    resource: action === undefined ? 'unknown' : `${resource.type} ${resource.id}`,
    passed: passed === undefined ? undefined : passed === 'passed',
    reason,
    policySet: data.policy_set,
    policies: data.policies ?? [],
    question: {
      requests,
      unknown,
      ...(before && agents ? { history: taskHistory(before, agents.length - 1, window, own) } : {}),
      saidYes: event.type === 'decision.allowed' && event.data.step_up !== undefined,
    },
    lacks,
  }
}

/** All other denials were decided before policies were asked, or after they had let the action pass. */
const byPolicies: ReadonlySet<string> = new Set([
  'policy_denied',
  'policy_error',
  'step_up_required',
  'request_invalid',
])

function whatPoliciesSaid(
  { type, data }: DecodedEvent<'decisions.v1'> & { data: Allowed | Denied },
  setOf: (hash: string) => PolicySet | undefined,
): 'passed' | 'refused' | undefined {
  if (type === 'decision.allowed') return 'passed'
  const { reason, policy_set, policies = [] } = data as Denied
  if (reason === 'request_invalid') return undefined
  if (reason !== 'step_up_required') return 'refused'
  // Mode continuous also requires human approval, even if no policy asks for it.
  const set = policy_set === undefined ? undefined : setOf(policy_set)
  if (set === undefined) return undefined
  return policies.some((id) => isForbid(set, id)) ? 'refused' : 'passed'
}

function chainOf(event: DecodedEvent<'decisions.v1'>, log: RecordedLog): string[] | undefined {
  if (event.type === 'decision.allowed') {
    const { actor, chain = [] } = event.data
    return [actor.agent, ...chain.map(({ agent }) => agent)]
  }
  if (event.type !== 'decision.denied' || event.data.actor?.agent === undefined) return undefined
  const { agent, delegation_id } = event.data.actor
  const links = delegation_id === undefined ? [] : log.chain(delegation_id)
  return links && [agent, ...links]
}

function labelsThen(resource: { type: string; id: string }, log: RecordedLog, span: { from: number; to: number }) {
  const server = toolServerOf(resource)
  const described = server === undefined ? undefined : log.entity<ToolServer>('tool-server', server, span)
  const isKnown = server === undefined || described !== undefined || log.isUnheardOf('tool-server', server, span.to)
  return isKnown ? [...labelsOfTool(resource, { get: () => described })] : undefined
}

/** The context as the decision point makes it; unknown members are named in `unknown`, and have a placeholder. */
async function contextOf(
  event: DecodedEvent<'decisions.v1'> & { data: Allowed | Denied },
  { log, window, unknown }: { log: RecordedLog; window: { from: number; to: number }; unknown: string[][] },
): Promise<Record<string, unknown>> {
  const { actor } = event.data
  const id = actor?.grant_id ?? ''
  const grant = log.grant(id)
  const known = <T>(member: string[], value: T | undefined, place: T): T => {
    if (value === undefined) unknown.push(member)
    return value ?? place
  }
  const same = <T>(value: (ms: number) => T): T | undefined => {
    const first = value(window.from)
    return Number.isFinite(window.from) && first === value(window.to) ? first : undefined
  }
  const left = (ms: number) => Math.floor((Date.parse(grant?.not_after ?? '') - ms) / 1000)
  const approvers = await log.approversOf(id)
  const proof = event.type === 'decision.allowed' ? event.data.proof : undefined
  return {
    grant: {
      id,
      task: known(['grant', 'task'], grant?.authority.task, ''),
      mode: known(['grant', 'mode'], grant?.mode, 'window'),
      approvers: known(['grant', 'approvers'], approvers, 1),
      seconds_left: known(['grant', 'seconds_left'], grant && same(left), 0),
    },
    proof: known(['proof'], proof, 'point_asserted'),
    time: {
      hour: known(
        ['time', 'hour'],
        same((ms) => new Date(ms).getUTCHours()),
        0,
      ),
      weekday: known(
        ['time', 'weekday'],
        same((ms) => new Date(ms).getUTCDay()),
        0,
      ),
    },
  }
}

const isForbid = (set: PolicySet, id: string) => set.policies.get(id)?.json.effect === 'forbid'

/**
 * Reads from the record the effect of each policy of the set that decided. A named policy decided. In the cases below it is known that an
 * unnamed policy did not apply. If several agents answered for one action, the record does not say for which of them a named policy
 * decided.
 */
export function didOf(
  { passed, reason, policies, question: { requests } }: RecordedDecision,
  set: PolicySet | undefined,
): (policy: string) => Did | undefined {
  if (set === undefined || passed === undefined) return () => undefined
  const named = new Set(policies)
  const isOne = requests.length === 1
  const isCut = policies.length >= mostPolicies
  const wasRefused = policies.some((id) => isForbid(set, id))
  const unnamed = isCut ? undefined : 'not'
  return (id) => {
    if (!set.policies.has(id)) return undefined
    if (reason === 'policy_error') return isOne && named.has(id) ? 'erred' : undefined
    // For a refused agent in a chain, the record says nothing about the agents before and after it.
    if (reason === 'policy_denied' && !isOne) return undefined
    if (named.has(id)) return isOne ? 'applied' : undefined
    if (isForbid(set, id)) return unnamed
    // If a forbid decides, Cedar does not say which policies would have permitted it.
    return wasRefused ? undefined : unnamed
  }
}
