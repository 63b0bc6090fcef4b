import { registryRuleId } from '@bailiwick/approval-statement'
import type { Approver, EventData, Recovery, Rule } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import { canonical } from './canonical.ts'
import type { Leaf } from './leaf.ts'

type Change = EventData<'registry.v1', 'approver.changed'>

interface Kept {
  value: Recovery
  takenAt: number
  used: boolean
}

const dayMs = 86_400_000

/**
 * Recomputes who may govern. Each change takes two people, except the one that brings in the second. At least one
 * approver always remains. The root key can act only after a day, and once. A leaf has no time from the bus; its
 * neighbours in the log show when it can have come.
 */
export class Governance {
  readonly recoveries = new Map<string, Kept>()
  /** Whether the log has a change of version 2: from there on, each change takes two people. */
  takesTwo = false
  readonly #trust: Trust
  readonly #timed: readonly Leaf[]

  constructor(trust: Trust, leaves: readonly Leaf[]) {
    this.#trust = trust
    // Events that services spool and publish later would say nothing about the time.
    this.#timed = leaves.filter(({ topic }) => topic === 'registry.v1' || topic === 'approvals.v1')
  }

  /** The reason why a change must not count, even if it is signed; `approvers` and `rules` are those before it. */
  problemOf(
    { event, at, index }: Leaf<'registry.v1'>,
    { approvers, rules }: { approvers: ReadonlyMap<string, Approver>; rules: ReadonlyMap<string, Rule> },
  ): string | undefined {
    const { entity, authorization } = event.data
    const value = 'value' in event.data ? event.data.value : undefined
    const others = [...approvers.keys()].filter((id) => id !== entity.id)
    if (entity.type === 'approver' && value === undefined && others.length === 0) return 'no approver is left'
    if (authorization.kind === 'recovery') {
      const kept = this.recoveries.get(authorization.recovery)
      if (kept === undefined || kept.used) return 'a recovery that no longer exists'
      const before = this.#timed.filter((leaf) => leaf.index > index).map((leaf) => leaf.at)
      return Math.min(at, ...before) - kept.takenAt < dayMs ? 'a recovery before its day is over' : undefined
    }
    if (authorization.kind !== 'approvers' || this.#trust.single_operator) return undefined
    const { statement, assertions } = authorization
    const holders = assertions.map(({ credential_id: id }) =>
      [...approvers.values()].find(({ credentials }) => credentials.some((own) => own.credential_id === id)),
    )
    const people = new Set(holders.map((holder) => holder?.id))
    if (statement.v === 1 && (this.takesTwo || this.#trust.genesis !== undefined))
      return 'a statement of the older version, after changes took two people'
    const group = rules.get(registryRuleId)?.approvers.group
    if (statement.entities.length === 1 && entity.type === 'approver' && value !== undefined)
      if (secondComes(value as unknown as Approver, group, approvers)) return undefined
    // One person may object to a recovery, and change nothing else.
    if (statement.entities.every(({ type, after }) => type === 'recovery' && after === undefined)) return undefined
    const quorum = rules.get(registryRuleId)?.approvers.quorum ?? 1
    if (people.size < quorum) return 'fewer people than the rule requires'
    if (approvers.size > 1 && people.size < 2 && entity.type === 'approver' && bringsPasskey(value, approvers))
      return 'one person brought a passkey in'
    if (statement.v === 2) return people.size < 2 ? 'one person alone changed it' : undefined
    people.delete(statement.proposer)
    return people.size === 0 ? 'only its proposer approved it' : undefined
  }

  /** Applies a change that counts. */
  apply({ event, at, index }: Leaf<'registry.v1'>): void {
    const { entity, authorization } = event.data as Change
    if (authorization.kind === 'recovery') {
      const kept = this.recoveries.get(authorization.recovery)
      if (kept) kept.used = true
    }
    if (authorization.kind === 'approvers' && authorization.statement.v === 2) this.takesTwo = true
    if (entity.type !== ('recovery' as string)) return
    const value = 'value' in event.data ? (event.data.value as unknown as Recovery) : undefined
    if (value === undefined) this.recoveries.delete(entity.id)
    else {
      const after = this.#timed.filter((leaf) => leaf.index < index).map((leaf) => leaf.at)
      this.recoveries.set(entity.id, { value, takenAt: Math.max(at, ...after), used: false })
    }
  }
}

/**
 * A new person next to the only approver. Or, next to the only member of the governing group, a colleague who gets that
 * group and nothing more.
 */
function secondComes(value: Approver, group: string | undefined, approvers: ReadonlyMap<string, Approver>): boolean {
  const known = approvers.get(value.id)
  if (approvers.size === 1) return known === undefined
  const governing = [...approvers.values()].filter(({ groups }) => group !== undefined && groups.includes(group))
  if (known === undefined || group === undefined || governing.length !== 1 || governing[0] === known) return false
  const gains = value.groups.filter((each) => each !== group)
  return value.groups.includes(group) && canonical({ ...value, groups: gains }) === canonical(known)
}

function bringsPasskey(value: unknown, approvers: ReadonlyMap<string, Approver>): boolean {
  const { id, credentials = [] } = (value ?? {}) as Partial<Approver>
  const before = approvers.get(id ?? '')?.credentials.map(({ public_key }) => public_key) ?? []
  return credentials.some(({ public_key }) => !before.includes(public_key))
}
