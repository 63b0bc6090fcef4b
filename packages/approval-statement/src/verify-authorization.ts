import type { Approver, Authorization, Entity, EntityType } from '@bailiwick/contracts'
import {
  jcs,
  jcsHash,
  type KeyRing,
  type Refused,
  verifyGenesisStatement,
  verifyInvitation,
} from '@bailiwick/credentials'
import { registryRuleId } from './match-rule.ts'
import { refused } from './refused.ts'
import type { RegistryView } from './verify-approval.ts'
import { holdersOf, verifySigners } from './verify-signers.ts'

/** One registry event, and the registry as the events before it in `registry.v1` left it. */
export interface AuthorizationCheck {
  authorization: Authorization
  entity: { type: EntityType; id: string }
  version: number
  /** JCS hash of what the entity was; undefined: nothing. From the fold, not from the event. */
  before: string | undefined
  /** What the entity becomes; undefined: it is retired. */
  value: Entity | undefined
  /** The event's `hash`, which must be the JCS hash of `value`. */
  after: string | undefined
  /** The event's time, ms since the epoch. */
  at: number
  registry: Pick<RegistryView, 'approvers' | 'rules'> & {
    /** Whether an approver was ever enrolled, retired since or not. It ends genesis, and the invitation, for good. */
    readonly enrolled: boolean
  }
  anchor: Pick<KeyRing, 'trust' | 'root' | 'invitation'>
}

/** How far the clock of whoever rendered the statement may be ahead of `at`. */
const clockLeewayMs = 5000

/**
 * Whether a registry event counts, back to the trust anchor (DESIGN §3). Every reader asks this for itself and treats all
 * else as void. Never throws; mostly `registry_change_refused`, with the step that failed.
 */
export async function verifyAuthorization(check: AuthorizationCheck): Promise<{ ok: true } | Refused> {
  const problem = contentProblem(check)
  if (problem !== undefined) return problem
  switch (check.authorization.kind) {
    case 'root':
      return byRoot(check, check.authorization.jws)
    case 'invitation':
      return byInvitation(check, check.authorization.jws)
    case 'approvers':
      return byApprovers(check, check.authorization)
    case 'recovery':
      return no('recovery: nobody recovers yet')
  }
}

/** What must hold whoever signs: the value is the one that the hash and the entity's name say. */
function contentProblem({ entity, value, after, before, version, registry }: AuthorizationCheck): Refused | undefined {
  if (version === 1 && before !== undefined) return no('version 1 of something that is there')
  if (value === undefined) {
    if (after !== undefined) return no('after: of nothing')
    return before === undefined ? no('nothing to retire') : undefined
  }
  if (value.id !== entity.id) return no('value: another id than the entity')
  if (hashOf(value) !== after) return no('after: not the hash of the value')
  return entity.type === 'approver' ? passkeysProblem(value as Approver, registry.approvers) : undefined
}

/** One passkey with two names would be two people in every quorum. */
function passkeysProblem(approver: Approver, enrolled: ReadonlyMap<string, Approver>): Refused | undefined {
  const others = [...enrolled.values()].filter(({ id }) => id !== approver.id)
  const keys = new Set(others.flatMap(({ credentials }) => credentials.map(({ public_key }) => public_key)))
  return approver.credentials.some((own) => keys.has(own.public_key) || holdersOf(own.credential_id, others).length > 0)
    ? no('value: a passkey of another approver')
    : undefined
}

/** Genesis: first versions, as long as nobody is enrolled. Service keys for ever, since they rotate. Approvers never. */
function byRoot(check: AuthorizationCheck, statement: string): { ok: true } | Refused {
  const { entity, version, after, registry, anchor } = check
  const verified = verifyGenesisStatement({ statement, key: anchor.root, installation: anchor.trust.installation })
  if (!verified.ok) return verified
  const signed = verified.value
  const names = signed.entity_type === entity.type && signed.entity_id === entity.id && signed.version === version
  if (!names || after === undefined || signed.after !== after) return no('root: signed another change')
  if (entity.type === 'service-key') return { ok: true }
  if (entity.type === 'approver') return no('root: approvers come by the invitation or by approvers')
  return registry.enrolled || version !== 1 ? no('root: genesis is over') : { ok: true }
}

/** The first approver, once, with exactly the passkey and the groups that the invitation's holder signed. */
function byInvitation(check: AuthorizationCheck, invitation: string): { ok: true } | Refused {
  const { entity, version, value, registry, anchor } = check
  const invalid = (detail: string) => refused('invitation_invalid', detail)
  if (entity.type !== 'approver' || version !== 1 || value === undefined) return no('invitation: first approver only')
  if (registry.enrolled || registry.approvers.size > 0) return invalid('used')
  const key = anchor.invitation
  const verified = verifyInvitation({ invitation, key, installation: anchor.trust.installation })
  if (!verified.ok) return verified
  const { installation: _, ...signed } = verified.value
  const approver = value as Approver
  const [passkey, ...more] = approver.credentials
  if (passkey === undefined || more.length > 0) return invalid('exactly one passkey')
  const { credential_id, public_key } = passkey
  const { id: approver_id, name, groups } = approver
  return jcs(signed) === jcs({ credential_id, public_key, approver_id, name, groups })
    ? { ok: true }
    : invalid('another passkey or person')
}

async function byApprovers(
  check: AuthorizationCheck,
  { statement, assertions }: Extract<Authorization, { kind: 'approvers' }>,
): Promise<{ ok: true } | Refused> {
  const { entity, version, before, after, at, registry, anchor } = check
  const { trust } = anchor
  if (statement.installation !== trust.installation) return refused('statement_unknown', 'another installation')
  if (!(Date.parse(statement.issued_at) <= at + clockLeewayMs)) return refused('statement_unknown', 'from the future')
  if (!(at < Date.parse(statement.not_after))) return refused('statement_unknown', 'expired')
  const named = statement.entities.some(
    (change) =>
      change.type === entity.type &&
      change.id === entity.id &&
      change.version === version &&
      change.before === before &&
      change.after === after,
  )
  if (!named) return no('approvers: signed another change')
  const signed = await verifySigners({ statement, assertions, approvers: registry.approvers, trust })
  if (!signed.ok) return signed
  const people = [...signed.signers.values()]
  const rule = registry.rules.get(registryRuleId)?.approvers
  if (rule !== undefined && !people.every(({ groups }) => groups.includes(rule.group)))
    return refused('approver_not_in_group', 'a signer')
  const quorum = rule?.quorum ?? 1
  if (people.length < quorum) return refused('approval_quorum_missing', `${people.length} of ${quorum}`)
  return trust.single_operator || people.some(({ id }) => id !== statement.proposer)
    ? { ok: true }
    : no('approvers: nobody but the proposer')
}

function hashOf(value: unknown): string | undefined {
  try {
    return jcsHash(value)
  } catch {
    return undefined
  }
}

function no(detail: string): Refused {
  return refused('registry_change_refused', detail)
}
