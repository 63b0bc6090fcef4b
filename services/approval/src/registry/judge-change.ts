import {
  contentProblem,
  type PeopleNeeded,
  peopleNeededFor,
  registryRuleId,
  verifyAuthorization,
  verifySigners,
} from '@bailiwick/approval-statement'
import type {
  Agent,
  Approver,
  Assertion,
  Authorization,
  EntityChange,
  RegistryStatement,
  Rule,
} from '@bailiwick/contracts'
import type { ErrorCode } from '@bailiwick/errors'
import { anyOne, registryRule } from '../answers/who-may-answer.ts'
import type { Approval } from '../context.ts'
import type { RegistryAsk } from '../requests.ts'

export type Judged = { ok: true } | { ok: false; code: ErrorCode; detail?: string }

/** Whether these assertions approve this registry change now, judged as the issuer and every reader will. */
export async function judgeChange(
  approval: Approval,
  ask: RegistryAsk,
  statement: RegistryStatement,
  assertions: readonly Assertion[],
): Promise<Judged> {
  const { projection, trust, clock } = approval
  // Version 1 says that one person may be enough. It is no longer signed.
  if (statement.v !== 2 || clock.now() >= Date.parse(statement.not_after))
    return { ok: false, code: 'statement_unknown' }
  const conflict = changeConflict(approval, ask)
  if (conflict !== undefined) return { ok: false, code: 'registry_change_conflict', detail: conflict }
  const problem = changeProblem(approval, ask.entities)
  if (problem !== undefined) return { ok: false, code: 'registry_change_refused', detail: problem }
  const { approvers } = projection.ledger.registry.view()
  const signed = await verifySigners({ statement, assertions, approvers, trust })
  if (!signed.ok) return signed
  const people = [...signed.signers.values()]
  const { group, quorum } = changeRule(approval, ask)
  if (group !== undefined && !people.every(({ groups }) => groups.includes(group)))
    return { ok: false, code: 'approver_not_in_group' }
  if (people.length < quorum) return { ok: false, code: 'approval_quorum_missing' }
  return judgeOnTheWay(approval, ask, { kind: 'approvers', statement, assertions: [...assertions] })
}

/**
 * Judges as every reader does: each entity against the registry that the preceding ones leave. In it a signer may be gone, or a rule
 * may require other signers. Half a change would be a change that no person signed.
 */
async function judgeOnTheWay(
  { projection, keyRing, clock }: Approval,
  { entities }: RegistryAsk,
  authorization: Authorization,
): Promise<Judged> {
  const now = projection.ledger.registry.view()
  const approvers = new Map(now.approvers)
  const rules = new Map(now.rules)
  const { enrolled, recoveries, begun, first, takesTwo, serviceKeys } = now
  const registry = { approvers, rules, enrolled, recoveries, begun, first, takesTwo, serviceKeys }
  for (const { type, id, version, before, after, value } of entities) {
    const check = { authorization, entity: { type, id }, version, before, value, after, at: clock.now() }
    const judged = await verifyAuthorization({ ...check, registry, anchor: keyRing })
    if (!judged.ok)
      return {
        ok: false,
        code: 'registry_change_refused',
        detail: `${type} ${id}: after what stands before it: ${judged.code}`,
      }
    if (type === 'approver') become(approvers, id, value)
    if (type === 'rule') become(rules, id, value)
  }
  return { ok: true }
}

/** The group and number of people who must sign this change, as every reader counts. */
export function changeRule({ projection, trust }: Approval, { entities }: Pick<RegistryAsk, 'entities'>): PeopleNeeded {
  return peopleNeededFor(entities, projection.ledger.registry.view(), { singleOperator: trust.single_operator })
}

/** The first entity that has changed since this change was made for it. */
export function changeConflict({ projection }: Approval, { entities }: RegistryAsk): string | undefined {
  const { registry } = projection.ledger
  const moved = entities.find(({ type, id, version, before }) => {
    const record = registry.record(type, id)
    return (record?.version ?? 0) + 1 !== version || record?.hash !== before
  })
  return moved && `${moved.type} ${moved.id}`
}

/**
 * A problem for which every reader would reject the change regardless of its signers, judged entity by entity in the order in which the
 * issuer writes them; or a change that could never be undone.
 */
export function changeProblem(approval: Approval, entities: readonly EntityChange[]): string | undefined {
  const approvers = new Map(approval.projection.ledger.registry.view().approvers)
  for (const { type, id, version, before, after, value } of entities) {
    if (type === 'recovery' && value !== undefined) return 'a recovery is the root key’s to make'
    const content = { entity: { type, id }, version, before, after, value, registry: { approvers } }
    const problem = contentProblem(content)
    if (problem !== undefined) return problem.detail
    if (type === 'approver') become(approvers, id, value)
  }
  const stray = strayOwner(approval, entities, approvers)
  if (stray !== undefined) return stray
  return locksOut(approval, entities, approvers)
    ? 'the rule registry would take more people than its group has: nothing could be changed any more'
    : undefined
}

/**
 * Whether an agent's owner would not be an enrolled approver: for example, a group or a misspelt name. A rule's
 * `owner_may_approve: false` would then keep no one out, unnoticed. An owner who left later stays until another one is named.
 */
function strayOwner(
  { projection }: Approval,
  entities: readonly EntityChange[],
  approvers: ReadonlyMap<string, Approver>,
): string | undefined {
  const { registry } = projection.ledger
  for (const { type, id, value } of entities) {
    if (type !== 'agent' || value === undefined) continue
    const { owner } = value as Agent
    if (!approvers.has(owner) && registry.get('agent', id)?.owner !== owner)
      return `agent ${id}: its owner ${owner} is no enrolled approver, so that no rule could keep the owner from approving`
  }
  return undefined
}

function become<T>(entities: Map<string, T>, id: string, value: EntityChange['value']): void {
  if (value === undefined) entities.delete(id)
  else entities.set(id, value as T)
}

/**
 * Whether no group of people could change the registry afterwards, although one can now. A single approver may always enrol a second
 * one. If the registry is locked already, the change makes nothing worse.
 */
function locksOut(approval: Approval, entities: readonly EntityChange[], approvers: ReadonlyMap<string, Approver>) {
  const now = registryRule(approval)
  const change = entities.find(({ type, id }) => type === 'rule' && id === registryRuleId)
  const then = change === undefined ? now : ((change.value as Rule | undefined)?.approvers ?? anyOne)
  if (approvers.size < 2 || !isShort(approvers.values(), then)) return false
  return !isShort(approval.projection.ledger.registry.approvers, now)
}

type Asked = { group: string | undefined; quorum: number }

const among = (people: Iterable<Approver>, group: string | undefined) =>
  [...people].filter(({ groups }) => group === undefined || groups.includes(group))
const isShort = (people: Iterable<Approver>, { group, quorum }: Asked) => among(people, group).length < quorum

/**
 * The rules that this change would leave, or make, with fewer people than they need: nothing that they match could then be approved.
 * It may be intended, before the people arrive. So the signers are warned, and the change is not refused.
 */
export function starvedRules({ projection }: Approval, { entities }: Pick<RegistryAsk, 'entities'>) {
  const { registry } = projection.ledger
  const approvers = new Map(registry.view().approvers)
  const rules = new Map(registry.rules.map((rule) => [rule.id, rule]))
  for (const { type, id, value } of entities) {
    if (type === 'approver') become(approvers, id, value)
    if (type === 'rule') become(rules, id, value)
  }
  const named = new Set(entities.flatMap(({ type, id }) => (type === 'rule' ? [id] : [])))
  return [...rules.values()]
    .filter(({ id, approvers: asked }) => named.has(id) || !isShort(registry.approvers, asked))
    .filter(({ approvers: asked }) => isShort(approvers.values(), asked))
    .map(({ id: rule, approvers: { group, quorum } }) => {
      const members = among(approvers.values(), group).map(({ id }) => id)
      return { rule, group, quorum, members }
    })
}
