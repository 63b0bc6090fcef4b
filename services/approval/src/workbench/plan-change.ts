import { changeEffect } from '@bailiwick/approval-statement'
import type { Approver, EntityChange } from '@bailiwick/contracts'
import type { WantedChange } from '@bailiwick/contracts/api'
import { jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import type { Approval } from '../context.ts'
import { changeProblem, changeRule, starvedRules } from '../registry/judge-change.ts'
import { policyTextOf } from '../registry/policy-texts.ts'
import { changesOf, diffOf, proposeChange, type Wanted } from '../registry/propose-change.ts'
import { replaceByHand } from '../registry/report-manifest.ts'
import { entityOf, type PolicyTrials, policyFilesOf, setProblem } from './policies.ts'

/** A change as a page sent it, with its policy set as the registry would hold it. */
interface Planned {
  wanted: Wanted[]
  policies: { files: PolicyFiles; permitsNothing: boolean } | undefined
}

/**
 * Says what a change would do, in the words that its signers will read. Proposes nothing. Throws `request_malformed` for an invalid value.
 */
export async function previewChange(approval: Approval, trials: PolicyTrials, me: Approver, change: WantedChange) {
  const { wanted, policies } = planned(change)
  const entities = changesOf(approval, wanted)
  // Before anything here reads its text: it is hostile until it loads.
  const unread = policies && (await setProblem(trials, me.id, policies))
  const diff = entities.map((entity) => {
    const each = diffOf(approval, entity)
    const { text } = policyTextOf(approval.policyText, each)
    // The set of a draft is stored nowhere yet.
    const shown = text && { text: { before: text.before, after: policies ? textOf(policies.files) : text.after } }
    const read = unread === undefined ? shown : {}
    return { ...each, ...shown, effect: changeEffect({ ...each, ...read }) }
  })
  const conflicts = conflictsOf(approval, change)
  if (entities.length === 0) return { diff, conflicts, problem: null, people: null, starved: [] }
  const problem = notFromHere(approval, entities, policies) ?? changeProblem(approval, entities) ?? unread ?? null
  const { quorum, group, why } = changeRule(approval, { entities })
  const people = { quorum, group: group ?? null, why }
  return { diff, conflicts, problem, people, starved: starvedRules(approval, { entities }) }
}

/** Proposes a change as this person. Throws `registry_change_conflict` if an entity is another version than the person saw. */
export async function proposeFromPage(approval: Approval, trials: PolicyTrials, me: Approver, change: WantedChange) {
  const { wanted, policies } = planned(change)
  mustBeNewest(approval, change)
  const problem =
    notFromHere(approval, changesOf(approval, wanted), policies) ??
    (policies && (await setProblem(trials, me.id, policies)))
  if (problem !== undefined) throw new ServiceError('registry_change_refused', problem)
  // Checking policies takes a moment, in which people may have signed another change.
  mustBeNewest(approval, change)
  const entities = changesOf(approval, wanted)
  const refused = changeProblem(approval, entities)
  if (refused !== undefined) throw new ServiceError('registry_change_refused', refused)
  // Before anyone is asked: a set that is approved but not stored would deny everything. Stored sets stay, so only what is proposed is stored.
  if (policies !== undefined && entities.some(({ type }) => type === 'policy-set'))
    approval.storePolicies(policies.files)
  const { request_id, diff } = await proposeChange(approval, me.id, wanted)
  if (request_id !== null)
    for (const { type, id } of diff) if (type === 'tool-server') await replaceByHand(approval, id, request_id)
  return { request_id, diff }
}

/** Throws `request_malformed` for policies that no directory could hold. */
export function planned({ entities, policies }: WantedChange): Planned {
  const files = policies && policyFilesOf(policies.files)
  const permitsNothing = policies?.permits_nothing === true
  const wanted = entities.map(({ type, id, value }) => ({
    type,
    id,
    value: type === 'policy-set' && files !== undefined ? entityOf(files, permitsNothing) : value,
  }))
  return { wanted, policies: files && { files, permitsNothing } }
}

function mustBeNewest(approval: Approval, change: WantedChange): void {
  const [conflict] = conflictsOf(approval, change)
  if (conflict === undefined) return
  const { type, id, version, base } = conflict
  throw new ServiceError('registry_change_conflict', `${type} ${id} is version ${version} now, not ${base}`)
}

function conflictsOf({ projection }: Approval, { entities }: WantedChange) {
  return entities.flatMap(({ type, id, base }) => {
    const version = projection.ledger.registry.record(type, id)?.version ?? 0
    return version === base ? [] : [{ type, id, base, version }]
  })
}

const textOf = (files: PolicyFiles) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, new TextDecoder().decode(bytes)]))

/**
 * Why the page proposes no such change, although people could sign it. A passkey is made in a browser by its holder, a service key is
 * certified by the root key, and a recovery is announced by it. So none of these comes from a text that a page sends. A policy set comes
 * with its files: one that is approved by its hash alone would deny everything.
 */
function notFromHere(
  { projection }: Approval,
  entities: readonly EntityChange[],
  policies: Planned['policies'],
): string | undefined {
  for (const { type, id, value } of entities) {
    if (type === 'service-key') return 'a service key changes by `bailiwick keys`'
    if (type === 'recovery' && value !== undefined) return 'a recovery is the root key’s to make'
    if (type === 'policy-set' && (policies === undefined || value === undefined))
      return 'a policy set is proposed with its files, and never retired'
    if (type !== 'approver' || value === undefined) continue
    const known = projection.ledger.registry.get('approver', id)
    if (known === undefined) return `approver ${id}: a person joins by an invitation`
    if (jcsHash(known.credentials) !== jcsHash((value as Approver).credentials))
      return `approver ${id}: only a browser makes a passkey, and only its holder retires it`
  }
  return undefined
}
