import type { Authorization } from '@bailiwick/contracts'
import { genesisCommitment, type Refused, verifyGenesisStatement } from '@bailiwick/credentials'
import type { AuthorizationCheck } from './authorization-check.ts'
import { contentProblem, no } from './change-content.ts'
import { byOneOfOld } from './one-person-changes.ts'
import { peopleNeeded } from './people-needed.ts'
import { refused } from './refused.ts'
import { statementHash } from './statement-hash.ts'
import { byInvitation, byRecovery } from './verify-enrolment.ts'
import { byIssuer, keyStateProblem } from './verify-key-state.ts'
import { verifySigners } from './verify-signers.ts'

/** How far the clock of the service that rendered the statement may be ahead of `at`. */
const clockLeewayMs = 5000

/**
 * Whether a registry event counts, back to the trust anchor (DESIGN §3). Every reader asks this for itself and treats all
 * else as void. Never throws; mostly `registry_change_refused`, with the step that failed.
 */
export async function verifyAuthorization(check: AuthorizationCheck): Promise<{ ok: true } | Refused> {
  const problem = contentProblem(check) ?? keyStateProblem(check) ?? genesisProblem(check)
  if (problem !== undefined) return problem
  switch (check.authorization.kind) {
    case 'root':
      return byRoot(check, check.authorization.jws)
    case 'invitation':
      return byInvitation(check, check.authorization.jws)
    case 'approvers':
      return byApprovers(check, check.authorization)
    case 'recovery':
      return byRecovery(check, check.authorization)
    case 'issuer':
      return byIssuer(check)
  }
}

/**
 * Until the genesis is whole, only its own entities count: a registry that lacks one of them enrols no approver, so that nothing can be
 * approved under it. The last entity counts only if all of them, in order, are what trust.json commits to.
 */
function genesisProblem({ authorization, entity, version, after, registry, anchor }: AuthorizationCheck) {
  const { genesis, installation } = anchor.trust
  if (genesis === undefined || registry.first.length >= genesis.count) return undefined
  if (authorization.kind !== 'root') return no('the genesis is not whole')
  const all = [...registry.first, { ...entity, version, after }]
  if (all.length < genesis.count) return undefined
  const statements = all.map(({ type, id, version, after = '' }) => {
    return { installation, entity_type: type, entity_id: id, version, after }
  })
  return genesisCommitment(statements).sha256 === genesis.sha256
    ? undefined
    : no('root: not the genesis that trust.json commits to')
}

/**
 * Genesis: the root key signs first versions, as long as no approver was ever enrolled. It signs service keys for ever, because they
 * rotate, and recoveries, because a person who needs one has no approver left to approve it. It never signs approvers.
 */
function byRoot(check: AuthorizationCheck, statement: string): { ok: true } | Refused {
  const { entity, version, after, registry, anchor } = check
  const verified = verifyGenesisStatement({ statement, key: anchor.root, installation: anchor.trust.installation })
  if (!verified.ok) return verified
  const signed = verified.value
  const names = signed.entity_type === entity.type && signed.entity_id === entity.id && signed.version === version
  if (!names || after === undefined || signed.after !== after) return no('root: signed another change')
  if (entity.type === 'service-key' || entity.type === 'recovery') return { ok: true }
  if (entity.type === 'approver') return no('root: approvers come by the invitation or by approvers')
  return registry.enrolled || version !== 1 ? no('root: genesis is over') : { ok: true }
}

async function byApprovers(
  check: AuthorizationCheck,
  { statement, assertions }: Extract<Authorization, { kind: 'approvers' }>,
): Promise<{ ok: true } | Refused> {
  const { entity, version, before, after, at, registry, anchor } = check
  const { trust } = anchor
  if (statement.installation !== trust.installation) return refused('statement_unknown', 'another installation')
  if (!(Date.parse(statement.issued_at) <= at + clockLeewayMs)) return refused('statement_unknown', 'from the future')
  // Half a change is a change that no person signed, so a change begun in time is completed, however long the issuer was down halfway. It
  // is judged by the statement that began it, as no other statement of people changed the registry meanwhile. Once one does, it is over.
  const begun = registry.begun === statementHash(statement)
  if (!begun && !(at < Date.parse(statement.not_after))) return refused('statement_unknown', 'expired')
  const named = statement.entities.some(
    (change) =>
      change.type === entity.type &&
      change.id === entity.id &&
      change.version === version &&
      change.before === before &&
      change.after === after,
  )
  if (!named) return no('approvers: signed another change')
  if (entity.type === 'recovery' && after !== undefined) return no('approvers: a recovery is the root key’s to make')
  const signed = await verifySigners({ statement, assertions, approvers: registry.approvers, trust })
  if (!signed.ok) return signed
  const people = [...signed.signers.values()]
  if (statement.v === 1) return byOneOfOld(check, statement, people)
  const singleOperator = trust.single_operator
  const { group, quorum } = peopleNeeded(statement.entities, check.value, registry, { singleOperator })
  if (group !== undefined && !people.every(({ groups }) => groups.includes(group)))
    return refused('approver_not_in_group', 'a signer')
  return people.length < quorum ? refused('approval_quorum_missing', `${people.length} of ${quorum}`) : { ok: true }
}
