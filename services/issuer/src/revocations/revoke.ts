import type { EventData } from '@bailiwick/contracts'
import { sha256 } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { newId, SerialQueue } from '@bailiwick/kit'
import type { EntityRecord } from '@bailiwick/projection'
import type { Issuer } from '../context.ts'
import { Shares } from '../grants/shares.ts'
import { treeOfCredential } from './revocation-targets.ts'

type Declared = EventData<'revocations.v1', 'revocation.declared'>
/** Why the issuer ends something. A person's own words are never used: events hold only their salted hash (V17). */
type ReasonCode =
  | 'agent_retired'
  | 'given_back'
  | 'ordered_by_operator'
  | 'request_cancelled'
  | 'request_withdrawn'
  | 'restored_from_backup'
  | 'revoked_by_agent'
  | 'stopped_by_approver'

/** An order with its own id is declared once, however often it is asked for. */
export interface RevocationOrder extends Omit<Declared, 'revocation_id' | 'reason'> {
  reason: ReasonCode | Exclude<Declared['reason'], string>
  revocation_id?: string
}

const tries = 3

/** The sequence is dense, so revocations are declared one after the other here: a burst of withdrawals does not compete with itself. */
const lane = new SerialQueue({ maxPerKey: 10_000, max: 10_000 })
/** Per agent. Orders of agents wait for each other; those of people and the operator wait for none of them (V18). */
const shares = new Shares(64, 'rate_limited')

export interface Revoked {
  sequence: number
  /** Whether this order was declared. False if the target was revoked by name already, or the order had been declared before. */
  isNew: boolean
}

/**
 * Declares a revocation. When it resolves, the revocation is durable and counts: V7's bound runs from then on. The version is the dense
 * sequence, so the log decides between two issuers at once, and the loser tries again. A target that was revoked by name stays so and is
 * not declared twice. Throws `request_malformed` for a target that could kill nothing.
 */
export async function revoke(issuer: Issuer, order: RevocationOrder): Promise<Revoked> {
  if ((order.kind === 'all') !== (order.target === '*'))
    throw new ServiceError('request_malformed', 'target: * belongs to kind all, and to it alone')
  return lane.first(issuer.producer.source, () => declare(issuer, order))
}

/** As `revoke`, for what an agent gives back or takes from another. Runs after all that people order. Throws `rate_limited`. */
export function revokeByAgent(issuer: Issuer, instance: string, order: Omit<RevocationOrder, 'by'>): Promise<Revoked> {
  const { source } = issuer.producer
  const agent = instance.slice(0, instance.lastIndexOf('/'))
  const by = { kind: 'agent', id: instance } as const
  return shares.within(`${source} ${agent}`, () => lane.serially(source, () => declare(issuer, { ...order, by })))
}

async function declare(issuer: Issuer, order: RevocationOrder): Promise<Revoked> {
  const { revocations } = issuer.projection.ledger
  for (let attempt = 1; ; attempt++) {
    const declared = order.revocation_id === undefined ? undefined : revocations.sequenceOf(order.revocation_id)
    if (declared !== undefined) return { sequence: declared, isNew: false }
    const known = revocations.find(order.kind, order.target)
    if (known && (order.kind === 'grant' || order.kind === 'credential' || order.kind === 'delegation'))
      return { sequence: known.version, isNew: false }
    const sequence = revocations.sequence + 1
    try {
      await issuer.producer.publishOne('revocations.v1', {
        type: 'revocation.declared',
        subject: `${order.kind} ${order.target}`,
        key: 'revocations',
        version: sequence,
        data: { revocation_id: newId('rev', issuer.clock.now(), issuer.random), ...order },
      })
      return { sequence, isNew: true }
    } catch (error) {
      if (errorCode(error) !== 'state_contended' || attempt === tries) throw error
    }
  }
}

/** Carries out a person's order from the console. An order whose author was never an approver is refused. */
export async function obeyStop(
  issuer: Issuer,
  { revocation_id, kind, target, by }: EventData<'approvals.v1', 'revocation.requested'>,
): Promise<void> {
  if (issuer.projection.ledger.registry.record('approver', by) === undefined) throw new ServiceError('approver_unknown')
  await revoke(issuer, { revocation_id, kind, target, reason: 'stopped_by_approver', by: { kind: 'approver', id: by } })
}

/**
 * The agent gives back one of its own credentials (RFC 7009). Resolves when the credential is revoked by name, for good. If it is not this
 * instance's, or was never minted, nothing happens.
 */
export async function revokeOwnCredential(issuer: Issuer, credentialId: string, instance: string): Promise<void> {
  const tree = treeOfCredential(issuer.projection.ledger.grants.trees, credentialId)
  if (tree?.credentials.get(credentialId)?.agent !== instance) return
  await revokeByAgent(issuer, instance, { kind: 'credential', target: credentialId, reason: 'given_back' })
}

/**
 * An agent's authority ends with its registration, for good: registered again, it begins with nothing. Declared once for each
 * retirement, however often it is asked for.
 */
export async function revokeRetired(issuer: Issuer, { id, version, value }: EntityRecord<'agent'>): Promise<void> {
  if (value !== undefined) return
  await revoke(issuer, {
    revocation_id: `rev_${sha256(`retired agent ${id} ${version}`)}`,
    kind: 'agent',
    target: id,
    reason: 'agent_retired',
    by: { kind: 'issuer', id: 'issuer' },
  })
}

/** Revokes the grant of a request that was withdrawn or cancelled. It does so by name, so it works even before the grant exists. */
export async function revokeWithdrawn(issuer: Issuer, requestId: string): Promise<void> {
  const request = issuer.projection.ledger.requests.requests.get(requestId)
  if (!request) throw new ServiceError('access_request_unknown')
  const grantId = request.approved
    ? `grt_${request.approved.statement_hash}`
    : issuer.projection.ledger.grants.byRequest(requestId)?.id
  // A registry change has no grant. A step-up that is taken back ends only itself.
  const kind = request.approved?.statement.kind ?? 'approval'
  if (grantId === undefined || kind !== 'approval') return
  const by = request.closedBy ?? 'unknown'
  await revoke(issuer, {
    kind: 'grant',
    target: grantId,
    reason: request.state === 'withdrawn' ? 'request_withdrawn' : 'request_cancelled',
    by: { kind: by.startsWith('spiffe://') ? 'agent' : 'approver', id: by },
    cause: requestId,
  })
}
