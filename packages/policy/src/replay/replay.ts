import { labelsOfTool, toolServerOf } from '@bailiwick/approval-statement'
import type { Agent, EntityType, ToolServer } from '@bailiwick/contracts'
import type { RecordedLog } from '@bailiwick/verify'
import type { PolicyRequest } from '../policy-engine.ts'
import type { PolicySet } from '../policy-set.ts'
import type { RecordedAnswer, RecordedTrial } from '../recorded-trial.ts'
import { didOf, type RecordedDecision, recordedDecision } from './recorded-decision.ts'

export type DifferenceKind = 'would be denied' | 'would be allowed' | 'cannot be told'

/** A recorded decision whose answer would be another one. */
export interface Difference {
  kind: DifferenceKind
  decision: RecordedDecision
  /** The policies that decide in the set with the other answer; if the answer is uncertain, those on which it depends. */
  policies: readonly string[]
  why: string
}

/** An entity of the registry as it would be; undefined: retired. */
export interface OtherEntity {
  type: EntityType
  id: string
  value: unknown
}

export interface ReplayOptions {
  log: RecordedLog
  /** The sets that decided, by their hash; undefined: not here. */
  setOf: (hash: string) => PolicySet | undefined
  /** Absent: as it was recorded. */
  before?: RecordedTrial | undefined
  /** undefined: as it was recorded, where `others` change nothing. */
  after: RecordedTrial
  /** Agents and tool servers that are others afterwards. */
  others?: readonly OtherEntity[] | undefined
  /** Whether this decision is asked again. */
  isWanted(actor: { task?: string | undefined; grant_id?: string | undefined } | undefined, time: string): boolean
}

export interface Replayed {
  /** The decisions that were wanted. */
  decisions: number
  /** Those that were up to policies. */
  byPolicies: number
  differences: Difference[]
}

/** Asks again what a log says was decided. Every entry that it rests on is verified by `log`; what is not recorded is never guessed. */
export async function replayDecisions(options: ReplayOptions): Promise<Replayed> {
  const { log, setOf, isWanted } = options
  const replayed: Replayed = { decisions: 0, byPolicies: 0, differences: [] }
  await log.decisions(async (event, tree) => {
    if (event.type !== 'decision.allowed' && event.type !== 'decision.denied') return
    if (!isWanted(event.data.actor, event.time)) return
    replayed.decisions++
    const decision = await recordedDecision(event, log, setOf, tree)
    if (decision === undefined) return
    replayed.byPolicies++
    const difference = differenceIn(decision, options)
    if (difference) replayed.differences.push(difference)
  })
  return replayed
}

/** How many differ, and how. */
export function countsOf({ byPolicies, differences }: Replayed) {
  const count = (kind: DifferenceKind) => differences.filter((difference) => difference.kind === kind).length
  return {
    same: byPolicies - differences.length,
    denied: count('would be denied'),
    allowed: count('would be allowed'),
    untold: count('cannot be told'),
  }
}

function differenceIn(
  decision: RecordedDecision,
  { before: beforeTrial, after: afterTrial, others = [], setOf }: ReplayOptions,
): Difference | undefined {
  const { lacks, policySet, passed, policies } = decision
  const decidedBy = policySet === undefined ? undefined : setOf(policySet)
  const question = { ...decision.question, decidedBy, did: didOf(decision, decidedBy) }
  const ask = (trial: RecordedTrial): RecordedAnswer =>
    lacks.length > 0 ? { needs: [...lacks], policies: [] } : trial.ask(question)
  const recorded: RecordedAnswer =
    passed === undefined ? { needs: [...lacks], policies: [] } : { passes: passed, policies: [...policies] }
  const before = beforeTrial ? ask(beforeTrial) : recorded
  const changed = othersIn(question.requests, others)
  if (changed === 'retired') {
    if ('passes' in before && !before.passes) return undefined
    return { kind: 'would be denied', decision, policies: [], why: 'its agent would be retired' }
  }
  // The record has what policies did for the agents and tools of that time, and these have changed.
  const after =
    changed === undefined || lacks.length > 0
      ? ask(afterTrial)
      : afterTrial.ask({ ...question, requests: changed, did: () => undefined })
  if ('needs' in before || 'needs' in after) {
    const open = [before, after].filter((answer) => 'needs' in answer)
    const needs = [...new Set(open.flatMap((answer) => answer.needs))]
    const depending = [...new Set(open.flatMap((answer) => answer.policies))]
    return { kind: 'cannot be told', decision, policies: depending, why: `needs ${needs.join(', ')}` }
  }
  if (before.passes === after.passes) return undefined
  if (!after.passes) return { kind: 'would be denied', decision, policies: after.policies, why: whyDenied(after) }
  return { kind: 'would be allowed', decision, policies: before.policies, why: `was denied: ${whyDenied(before)}` }
}

/** The question with other agents and tools; undefined: none of them is in it. */
function othersIn(
  requests: readonly PolicyRequest[],
  others: readonly OtherEntity[],
): readonly PolicyRequest[] | 'retired' | undefined {
  const agentOf = (id: string) => others.find((each) => each.type === 'agent' && each.id === id)
  let isChanged = false
  const changed: PolicyRequest[] = []
  for (const request of requests) {
    const agent = agentOf(request.principal.id)
    if (agent !== undefined && agent.value === undefined) return 'retired'
    const server = toolServerOf(request.resource)
    const other = others.find((each) => each.type === 'tool-server' && each.id === server)
    if (agent !== undefined || other !== undefined) isChanged = true
    const { owner, labels } = (agent?.value ?? {}) as Partial<Agent>
    const principal =
      agent === undefined
        ? request.principal
        : { ...request.principal, attributes: { ...request.principal.attributes, owner, labels } }
    const described = other?.value as ToolServer | undefined
    const resource =
      other === undefined
        ? request.resource
        : {
            ...request.resource,
            attributes: {
              ...request.resource.attributes,
              labels: [...labelsOfTool(request.resource, { get: () => described })],
            },
          }
    changed.push({ ...request, principal, resource })
  }
  return isChanged ? changed : undefined
}

function whyDenied(answer: RecordedAnswer): string {
  if ('needs' in answer) return ''
  if (answer.why === 'invalid') return 'the request does not fit the schema'
  if (answer.policies.length === 0) return 'no policy permits it'
  return `${answer.why === 'error' ? 'error in ' : 'by '}${answer.policies.join(', ')}`
}
