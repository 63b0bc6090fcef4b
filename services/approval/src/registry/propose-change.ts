import { changeRequestId } from '@bailiwick/approval-statement'
import {
  type Entity,
  type EntityChange,
  type EntityType,
  entityChangeSchema,
  entitySchemas,
} from '@bailiwick/contracts'
import { encodeBase64url, jcsHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import { changeProblem } from './judge-change.ts'

/** The wanted value of an entity; `null` retires it. */
export interface Wanted {
  type: EntityType
  id: string
  value: unknown
}

export interface Diff {
  type: EntityType
  id: string
  verb: 'register' | 'change' | 'retire'
  before: Entity | null
  after: Entity | null
}

/**
 * Turns a proposer's wishes for the registry into a request that approvers answer with their passkeys. It changes nothing itself:
 * proposing is not approving. Parts that hold already are left out. If none remain, there is no request. `lifeMs`: how long it can be answered.
 */
export async function proposeChange(
  approval: Approval,
  proposer: string,
  wanted: readonly Wanted[],
  { lifeMs = approval.requestLifeMs }: { lifeMs?: number } = {},
): Promise<{ request_id: string | null; diff: Diff[] }> {
  const { registry } = approval.projection.ledger
  if (!registry.view().enrolled)
    throw new ServiceError('registry_change_refused', 'no approver is enrolled yet who could approve it')
  const entities = changesOf(approval, wanted)
  if (entities.length === 0) return { request_id: null, diff: [] }
  const problem = changeProblem(approval, entities)
  if (problem !== undefined) throw new ServiceError('registry_change_refused', problem)
  const diff = entities.map((entity) => diffOf(approval, entity))
  const { clock, random, producer } = approval
  const requestId = changeRequestId({ proposer, entities }, encodeBase64url(random(16)))
  const expiresAt = new Date(clock.now() + lifeMs).toISOString()
  await producer.publishOne('approvals.v1', {
    type: 'request.received',
    subject: requestId,
    version: 1,
    data: { kind: 'registry', request_id: requestId, proposer, entities, expires_at: expiresAt },
  })
  return { request_id: requestId, diff }
}

/** The changes to the registry, as people would sign them. Throws `request_malformed`; `entity_unknown` for an entity that cannot be retired. */
export function changesOf(approval: Approval, wanted: readonly Wanted[]): EntityChange[] {
  const names = wanted.map(({ type, id }) => `${type} ${id}`)
  if (new Set(names).size < names.length) throw new ServiceError('request_malformed', 'entities: one of them twice')
  return wanted.flatMap((entity) => changeOf(approval, entity))
}

function changeOf({ projection }: Approval, { type, id, value }: Wanted): EntityChange[] {
  const record = projection.ledger.registry.record(type, id)
  const before = record?.hash
  const version = (record?.version ?? 0) + 1
  if (value === null) {
    if (before === undefined) throw new ServiceError('entity_unknown', `${type} ${id}`)
    return [entityChangeSchema.parse({ type, id, version, before })]
  }
  const parsed = entitySchemas[type].safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new ServiceError('request_malformed', `${type} ${id}: ${issue?.path.join('.')}: ${issue?.code}`.slice(0, 300))
  }
  if (parsed.data.id !== id) throw new ServiceError('request_malformed', `${type} ${id}: another id inside`)
  const after = jcsHash(parsed.data)
  if (after === before) return []
  const known = before === undefined ? {} : { before }
  return [entityChangeSchema.parse({ type, id, version, ...known, after, value: parsed.data })]
}

/** The effect of a change, to be shown to people. It is compared with the current state, not with that at the time of the proposal. */
export function diffOf({ projection }: Approval, { type, id, value }: EntityChange): Diff {
  const before = projection.ledger.registry.get(type, id) ?? null
  const after = value ?? null
  return { type, id, verb: after === null ? 'retire' : before === null ? 'register' : 'change', before, after }
}
