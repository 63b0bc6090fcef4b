import { changeEffect } from '@bailiwick/approval-statement'
import type { Agent, Approver, EnforcementPoint, EntityType, Rule } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { EntityRecord } from '@bailiwick/projection'
import { says, spelled } from '../console/words.ts'
import type { Approval } from '../context.ts'
import { policyTextOf } from '../registry/policy-texts.ts'
import { gistOf, nameOf, textOf } from './entity-words.ts'

const mostShown = 500
const versionsAtOnce = 20

export interface EntityFilter {
  q?: string | undefined
  type?: EntityType | undefined
  retired?: 'true' | undefined
}

/** The registry's entities, newest changes first. Service keys are shown only when they are asked for: the issuer makes them. */
export function listEntities(approval: Approval, { q, type, retired }: EntityFilter) {
  const proposed = openChanges(approval)
  const found = approval.projection.ledger.registry
    .records()
    .filter((record) => retired !== undefined || record.value !== undefined)
    .filter((record) => says(q, record.type, record.id, record.value && textOf(record.value)))
  const types: Partial<Record<EntityType, number>> = {}
  for (const record of found) types[record.type] = (types[record.type] ?? 0) + 1
  const wanted = found
    .filter((record) => (type === undefined ? record.type !== 'service-key' : record.type === type))
    .sort((a, b) => b.changedAt - a.changedAt || (a.id < b.id ? -1 : 1))
  return {
    total: wanted.length,
    types,
    items: wanted.slice(0, mostShown).map((record) => ({
      type: record.type,
      id: record.id,
      version: record.version,
      hash: record.hash ?? null,
      changed_at: spelled(record.changedAt),
      signed_by: record.by.signers.map(({ name }) => name),
      name: nameOf(record),
      gist: gistOf(record),
      retired: record.value === undefined,
      proposed: proposed.has(`${record.type} ${record.id}`),
    })),
  }
}

/** One entity with its history. Throws `entity_unknown` for one that never was. */
export function readEntity(approval: Approval, type: EntityType, id: string, before?: number) {
  const { registry } = approval.projection.ledger
  const versions = registry.versions(type, id)
  const newest = versions.at(-1)
  if (newest === undefined) throw new ServiceError('entity_unknown', `${type} ${id}`)
  const end = before === undefined ? versions.length : versions.filter(({ version }) => version < before).length
  const begin = Math.max(0, end - versionsAtOnce)
  const shown = Array.from({ length: end - begin }, (_, n) => versionView(approval, versions, end - 1 - n))
  return {
    type,
    id,
    name: nameOf(newest) ?? nameOf(versions.findLast(({ value }) => value !== undefined) ?? newest),
    version: newest.version,
    hash: newest.hash ?? null,
    changed_at: spelled(newest.changedAt),
    value: newest.value ?? null,
    open_changes: openChanges(approval).get(`${type} ${id}`) ?? [],
    named_by: namedBy(approval, newest),
    versions: shown,
    older: begin,
  }
}

function versionView({ policyText }: Approval, versions: readonly EntityRecord[], at: number) {
  const { type, id, version, value, hash, changedAt, eventId, by } = versions[at] as EntityRecord
  const before = versions[at - 1]?.value ?? null
  const after = value ?? null
  const change = { type, id, before, after }
  return {
    version,
    at: spelled(changedAt),
    verb: after === null ? ('retire' as const) : before === null ? ('register' as const) : ('change' as const),
    effect: changeEffect({ ...change, ...policyTextOf(policyText, change) }),
    before,
    after,
    hash: hash ?? null,
    event_id: eventId,
    by: { kind: by.kind, signers: [...by.signers], proposer: by.proposer ?? null, request_id: by.requestId ?? null },
  }
}

/** The open changes of each entity that one names, by type and id. */
function openChanges({ projection, clock }: Approval): Map<string, string[]> {
  const open = new Map<string, string[]>()
  for (const { id, state, received } of projection.ledger.requests.requests.values()) {
    if (state !== 'pending' || received?.kind !== 'registry' || Date.parse(received.expires_at) <= clock.now()) continue
    for (const entity of received.entities) {
      const name = `${entity.type} ${entity.id}`
      open.set(name, [...(open.get(name) ?? []), id])
    }
  }
  return open
}

const mostNamed = 100

/** The entities that name this one, and as what: they mean something else, or nothing, once it changes. */
function namedBy({ projection }: Approval, { type, id, value }: EntityRecord) {
  const { registry } = projection.ledger
  const named: { type: EntityType; id: string; as: string }[] = []
  const name = (of: EntityType, each: string, as: string) => void named.push({ type: of, id: each, as })
  if (type === 'approver') {
    const groups = (value as Approver | undefined)?.groups ?? []
    for (const each of registry.all('agent')) if (each.owner === id) name('agent', each.id, 'its owner')
    for (const each of registry.rules)
      if (groups.includes(each.approvers.group)) name('rule', each.id, `one of its group ${each.approvers.group}`)
  }
  if (type === 'agent') {
    const { owner } = (value ?? {}) as Partial<Agent>
    if (owner !== undefined && registry.get('approver', owner)) name('approver', owner, 'the owner of it')
    for (const each of registry.rules)
      if (each.match.agents?.includes(id)) name('rule', each.id, 'an agent that it is for')
  }
  if (type === 'rule' && value !== undefined)
    for (const each of registry.approvers)
      if (each.groups.includes((value as Rule).approvers.group)) name('approver', each.id, 'who may sign under it')
  if (type === 'tool-server') {
    const reaches = ({ type: kind, ...scope }: { type: string; id?: string; id_prefix?: string }) =>
      kind === 'tool' && `${scope.id ?? scope.id_prefix ?? ''}/`.startsWith(`${id}/`)
    for (const each of registry.rules) if (each.match.resources?.some(reaches)) name('rule', each.id, 'what it is for')
    for (const each of registry.all('enforcement-point'))
      if ((each as EnforcementPoint).resources.some(reaches)) name('enforcement-point', each.id, 'what it asks about')
  }
  return named.slice(0, mostNamed)
}
