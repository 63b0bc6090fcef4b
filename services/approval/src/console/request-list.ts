import { describe, parseAuthority } from '@bailiwick/authority'
import { type Approver, agentIdOf, type Mode, type Rule } from '@bailiwick/contracts'
import type { RequestRecord } from '@bailiwick/projection'
import { stepUpLines, stepUpRule, whyNotStepUp } from '../answers/answer-step-up.ts'
import { unexplained } from '../answers/inspect.ts'
import { stoppedSince } from '../answers/newest-stop.ts'
import { authorityOf, ruleFor, whyNotApprove, whyNotApproveChange } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import { changeRule } from '../registry/judge-change.ts'
import { unseenIn } from '../registry/unseen-in.ts'
import type { AccessAsk, RegistryAsk, StepUpAsk } from '../requests.ts'
import { type Page, pageOf, type Range } from './ordered.ts'
import type { RequestEntry, RequestIndex } from './request-index.ts'
import { type RiskLevel, riskOf } from './risk.ts'
import { agentView, codeOf, doneIn, orNothing, proseOf, says, signersOf, spelled } from './words.ts'

export interface RequestFilter extends Range {
  state: 'pending' | 'answered'
  kind?: 'access' | 'registry' | 'step_up' | undefined
  /** Only what waits for the person who asks. */
  mine?: 'true' | undefined
  risk?: RiskLevel | undefined
  mode?: Mode | undefined
  /** The id of the rule that applies. */
  rule?: string | undefined
  /** An agent's id; matches any of its instances. */
  agent?: string | undefined
  /** Only what was received until then. */
  until?: string | undefined
  q?: string | undefined
}

/** The filters that hide requests from a person's list. */
const filtering = ['kind', 'risk', 'mode', 'rule', 'agent', 'q'] as const

/** Characters of an agent's words in a list. */
const mostOfPurpose = 160

type Ask = AccessAsk | RegistryAsk | StepUpAsk

/** One page of requests: riskiest first while they wait, newest first afterwards. */
export function listRequests(approval: Approval, index: RequestIndex, me: Approver, filter: RequestFilter) {
  const { requests } = approval.projection.ledger.requests
  const now = approval.clock.now()
  /** The request, if it belongs to what the person looks at before any filter. */
  const inView = (entry: RequestEntry) => {
    const record = requests.get(entry.id)
    const ask = record?.received
    if (!record || !ask || (filter.state === 'pending' && entry.expiresAt <= now)) return undefined
    return filter.mine !== undefined && !index.waitsFor(entry, me) ? undefined : { record, ask }
  }
  const passes = (entry: RequestEntry, { record, ask }: { record: RequestRecord; ask: Ask }) =>
    isOfKind(approval, entry, ask, filter) && matches(approval, record, ask, filter)
  const until = filter.state === 'pending' && filter.until !== undefined ? Date.parse(filter.until) : Infinity
  const page: Page<unknown> = pageOf(filter.state === 'pending' ? index.open : index.answered, filter, (entry) => {
    const found = entry.at > until ? undefined : inView(entry)
    if (found === undefined || !passes(entry, found)) return undefined
    return { ...rowOf(approval, me, found.record, found.ask), mine: index.waitsFor(entry, me) }
  })
  const arrived = { count: 0, high: 0 }
  const beyond = { count: 0, high: 0 }
  const isFiltered = filtering.some((name) => filter[name] !== undefined)
  if (filter.state === 'pending' && filter.cursor === undefined && (isFiltered || until !== Infinity))
    for (const entry of index.open.after(undefined)) {
      const found = isFiltered || entry.at > until ? inView(entry) : undefined
      if (found === undefined) continue
      const isPassing = passes(entry, found)
      if (isPassing && entry.at <= until) continue
      const counted = isPassing ? arrived : beyond
      counted.count++
      if (entry.risk === 'high') counted.high++
    }
  return { ...page, pending: index.open.size, now: spelled(now), arrived, beyond }
}

/** Whether the filters that need no text let it through. Risk and rule are those of now, so that no ended request has them. */
function isOfKind(
  approval: Approval,
  entry: RequestEntry,
  ask: Ask,
  { kind, risk, mode, rule }: RequestFilter,
): boolean {
  if (kind !== undefined && ask.kind !== kind) return false
  if (risk !== undefined && entry.risk !== risk) return false
  if (rule !== undefined && entry.answerers?.rule !== rule) return false
  return mode === undefined || (ask.kind !== 'registry' && modeOf(approval, ask) === mode)
}

function matches(approval: Approval, { id }: RequestRecord, ask: Ask, { agent, q }: RequestFilter): boolean {
  if (ask.kind === 'registry')
    return agent === undefined && says(q, id, ask.proposer, ...ask.entities.map((each) => `${each.type} ${each.id}`))
  if (agent !== undefined && agentIdOf(ask.agent) !== agent) return false
  if (q === undefined) return true
  const { name, owner, owner_name } = agentView(approval, ask.agent)
  const subject = ask.kind === 'access' ? [ask.authority.task, ...doneIn(ask.authority)] : [subjectOf(ask)]
  return says(q, id, ask.agent, name, owner, owner_name, ...subject)
}

function rowOf(approval: Approval, me: Approver, record: RequestRecord, ask: Ask) {
  const { id, state, receivedAt, changedAt, closedBy } = record
  const rule = ruleOf(approval, ask)
  const stop = ask.kind === 'registry' ? null : stoppedSince(approval, ask.agent, receivedAt ?? 0)
  return {
    id,
    kind: ask.kind,
    state,
    received_at: spelled(receivedAt),
    changed_at: spelled(changedAt),
    expires_at: ask.expires_at,
    closed_by: closedBy ?? null,
    from: ask.kind === 'registry' ? null : agentView(approval, ask.agent),
    proposer: ask.kind === 'registry' ? ask.proposer : null,
    subject: subjectOf(ask),
    task: taskOf(approval, ask),
    mode: ask.kind === 'access' ? ask.mode : null,
    lines: linesOf(approval, ask),
    limits: ask.kind === 'access' ? limitsOf(ask) : null,
    risk: riskOf(approval.projection.ledger.registry, ask),
    part: ask.kind === 'access' && ask.item ? { number: ask.item.index + 1, of: ask.item.count } : null,
    reopened: ask.kind === 'access' ? (ask.reopened ?? null) : null,
    signed_by: signersOf(approval, record),
    quorum: rule?.quorum ?? null,
    rule: rule?.id ?? null,
    why_not: whyNot(approval, me, ask) ?? null,
    purpose: ask.kind === 'registry' ? null : proseOf(approval, ask.purpose, mostOfPurpose),
    agent_stopped_at: state === 'pending' ? (stop?.at ?? null) : null,
  }
}

/** Its subject in one line: canonical fields, no prose of the agent. */
export function subjectOf(ask: Ask): string {
  if (ask.kind === 'registry') {
    const [first = ''] = changeLines(ask)
    return ask.entities.length === 1 ? first : `${ask.entities.length} registry entries`
  }
  if (ask.kind === 'step_up') return `${ask.action.name} on ${ask.action.resource.type} ${ask.action.resource.id}`
  const parsed = parseAuthority(ask.authority)
  return parsed.ok ? parsed.authority.task : 'a task that Bailiwick cannot explain'
}

/** The task under which it is grouped with related requests. A step-up belongs to the task of its grant. */
function taskOf({ projection }: Approval, ask: Ask): string | null {
  if (ask.kind === 'access') return subjectOf(ask)
  if (ask.kind === 'registry') return null
  return projection.ledger.grants.trees.get(ask.grant_id)?.grant.authority.task ?? null
}

/** The number of lines that are permissions, and the limits on all of them together. */
function limitsOf({ authority, not_before, not_after }: AccessAsk) {
  const parsed = parseAuthority(authority)
  if (!parsed.ok) return null
  const { permissions, budget, max_depth, max_children } = parsed.authority
  return { permissions: permissions.length, budget, max_depth, max_children, not_before, not_after }
}

function changeLines({ entities }: RegistryAsk): string[] {
  return entities.map(({ type, id, value, before }) => {
    const verb = value === undefined ? 'Retire' : before === undefined ? 'Register' : 'Change'
    return `${verb} ${type} ${id}`
  })
}

/** The ask, line by line, in plain words. */
export function linesOf(approval: Approval, ask: Ask): string[] {
  if (ask.kind === 'registry') return changeLines(ask)
  if (ask.kind === 'step_up') return stepUpLines(approval, ask)
  const parsed = parseAuthority(ask.authority)
  return parsed.ok ? describe(parsed.authority, { once: ask.mode === 'per_action' }).slice(1) : []
}

export interface RuleView {
  id: string | null
  group: string | null
  quorum: number
  narrowing: boolean
  /** The conditions that must stay fresh, if the grant is to last only as long as they hold. */
  continuous: Rule['continuous'] | null
}

/** The rule that currently applies to it. If undefined, it cannot be approved. */
export function ruleOf(approval: Approval, ask: Ask): RuleView | undefined {
  if (ask.kind === 'registry') {
    const { group, quorum } = changeRule(approval, ask)
    return {
      id: group === undefined ? null : 'registry',
      group: group ?? null,
      quorum,
      narrowing: false,
      continuous: null,
    }
  }
  const rule =
    ask.kind === 'step_up' ? orNothing(() => stepUpRule(approval, ask)) : orNothing(() => ruleOfAsk(approval, ask))
  if (rule === undefined) return undefined
  const { group, quorum } = rule.approvers
  const narrowing = ask.kind === 'access' && rule.narrowing
  const continuous = (modeOf(approval, ask) === 'continuous' && rule.continuous) || null
  return { id: rule.id, group, quorum, narrowing, continuous }
}

/** The mode that is asked for; for a step-up, the mode of its grant. */
function modeOf({ projection }: Approval, ask: AccessAsk | StepUpAsk): Mode | undefined {
  return ask.kind === 'access' ? ask.mode : projection.ledger.grants.trees.get(ask.grant_id)?.grant.mode
}

const ruleOfAsk = (approval: Approval, ask: AccessAsk) => ruleFor(approval, ask.agent, authorityOf(ask.authority))

/** Why this person cannot approve it, as an error code. */
export function whyNot(approval: Approval, me: Approver, ask: Ask): string | undefined {
  if (ask.kind === 'registry')
    return unseenIn(approval, ask).length > 0 ? 'request_not_inspectable' : whyNotApproveChange(approval, me, ask)
  if (unexplained(ask).length > 0) return 'request_not_inspectable'
  if (ask.kind === 'step_up') return codeOf(() => whyNotStepUp(approval, me, ask))
  return codeOf(() => whyNotApprove(approval, me, ask, ruleOfAsk(approval, ask)))
}
