import { setImmediate } from 'node:timers/promises'
import { matchRule, type RuleView, registryRuleId } from '@bailiwick/approval-statement'
import { type Approver, agentIdOf, type EntityChange } from '@bailiwick/contracts'
import { type AnswerOf, evidenceRoutes, type WantedChange } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import { authorityOf } from '../answers/who-may-answer.ts'
import type { EvidenceReader } from '../console/evidence-reader.ts'
import { subjectOf } from '../console/request-list.ts'
import { orNothing, spelled } from '../console/words.ts'
import type { Approval } from '../context.ts'
import { changesOf } from '../registry/propose-change.ts'
import type { AccessAsk } from '../requests.ts'
import { ruleView } from './find-rule.ts'
import { planned } from './plan-change.ts'

const dayMs = 24 * 3_600_000
/** Each ask is matched twice against every rule. */
const mostAsks = 500
/** Between so many asks, this process does other work. */
const asksAtOnce = 20
const mostShown = 50

/**
 * Says what a change would have done to the last 24 hours. Another rule would apply to some asks that approval remembers, and policies would
 * answer differently to some calls that evidence recorded. `paid`: called before evidence reads its log again.
 */
export async function weighChange(
  approval: Approval,
  evidence: EvidenceReader,
  change: WantedChange,
  paid: () => Approver,
) {
  const { wanted, policies } = planned(change)
  const changes = changesOf(approval, wanted)
  const now = approval.clock.now()
  const from = now - dayMs
  const asks = movesAsks(changes) ? await weighAsks(approval, changes, from) : null
  const others = changes
    // The tools of a server that is not registered were called too, as unlabelled ones.
    .filter(({ type, before }) => type === 'tool-server' || (type === 'agent' && before !== undefined))
    .map(({ type, id, value }) => ({ type, id, value: value ?? null }))
  const isUpToPolicies = changes.some(({ type }) => type === 'policy-set') || others.length > 0
  const none = { from: spelled(from), asks, calls: null, calls_problem: null }
  if (!isUpToPolicies) return none
  paid()
  try {
    const asked = {
      from: spelled(from),
      to: spelled(now),
      others,
      ...(policies ? { files: textsOf(policies.files) } : {}),
    }
    const answer = evidenceRoutes.replayDecisions.answer.parse(
      JSON.parse((await evidence.reread('/v1/replay', asked)).toString()),
    )
    return { ...none, calls: answer satisfies AnswerOf<typeof evidenceRoutes.replayDecisions> }
  } catch (error) {
    // The change may be proposed all the same: what it would have done is advice.
    if (!(error instanceof ServiceError)) throw error
    return { ...none, calls_problem: error.detail ?? error.code }
  }
}

const textsOf = (files: ReadonlyMap<string, Uint8Array>) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)]))

const movesAsks = (changes: readonly EntityChange[]): boolean =>
  changes.some(({ type, id }) => ['agent', 'tool-server'].includes(type) || (type === 'rule' && id !== registryRuleId))

async function weighAsks(approval: Approval, changes: readonly EntityChange[], from: number) {
  const recent = [...approval.projection.ledger.requests.requests.values()]
    .filter(({ received, receivedAt = 0 }) => received?.kind === 'access' && receivedAt >= from)
    .sort((a, b) => (b.receivedAt ?? 0) - (a.receivedAt ?? 0))
    .slice(0, mostAsks)
  const [now, after] = [ruleView(approval), ruleView(approval, changes)]
  const moved = []
  for (const [n, { id, state, receivedAt, received }] of recent.entries()) {
    if (n % asksAtOnce === 0) await setImmediate()
    const ask = received as AccessAsk
    const [is, would] = [now, after].map((view) => termsIn(view, ask))
    if (is?.terms === would?.terms) continue
    moved.push({
      request_id: id,
      subject: subjectOf(ask),
      agent: agentIdOf(ask.agent),
      received_at: spelled(receivedAt),
      state,
      now: is?.words ?? null,
      after: would?.words ?? null,
    })
  }
  return {
    looked_at: recent.length,
    moved: moved.slice(0, mostShown),
    moved_count: moved.length,
    stranded: moved.filter((each) => each.after === null).length,
  }
}

/** The rule for an ask, in a few words, and what of it decides who signs and what may be signed. */
function termsIn(view: RuleView, { agent, authority }: AccessAsk) {
  const matched = orNothing(() => matchRule(view, { agent, authority: authorityOf(authority) }))
  if (matched?.ok !== true) return undefined
  const { order: _, match: __, ...terms } = matched.rule
  const { id, approvers } = matched.rule
  return { terms: JSON.stringify(terms), words: `${id}: ${approvers.quorum} of ${approvers.group}` }
}
