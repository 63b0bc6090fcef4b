import {
  agentIdOf,
  type EntityType,
  entitySchemas,
  erasureOrderSchema,
  nameSchema,
  requestIdSchema,
  saltedTextSchema,
} from '@bailiwick/contracts'
import { joinTokenOrderSchema } from '@bailiwick/credentials/attestation'
import type { HttpServer } from '@bailiwick/host'
import type { RequestRecord } from '@bailiwick/projection'
import { z } from 'zod'
import { subjectOf } from '../console/request-list.ts'
import type { Approval } from '../context.ts'
import { pendingRecoveries } from '../people/people.ts'
import { proposeChange } from '../registry/propose-change.ts'
import { requestNamed } from '../requests.ts'

const types = Object.keys(entitySchemas) as [EntityType, ...EntityType[]]
const changeSchema = z.strictObject({
  proposer: nameSchema,
  entities: z
    .array(z.strictObject({ type: z.enum(types), id: z.string().min(1).max(2100), value: z.unknown() }))
    .min(1)
    .max(64),
})

/** The operator's words, for an event that holds their salted hash. */
const wordsSchema = saltedTextSchema.extend({ about: z.string().min(1).max(128), text: z.string().min(1).max(2000) })

/** For the CLI on this machine, over the operator's socket. It can propose, look, and keep or erase words; it cannot approve. */
export function operatorRoutes(operator: HttpServer, approval: Approval): void {
  const { ledger } = approval.projection
  operator.post('/operator/registry/changes', { schema: { body: changeSchema } }, async ({ body }) => {
    const proposed = await proposeChange(approval, body.proposer, body.entities)
    return { ...proposed, approve_at: `${approval.publicUrl}/console` }
  })
  // Readers must not overlook ways in which things can be changed here other than by two people.
  const lenience = () => ({
    single_operator: approval.trust.single_operator,
    software_approver: approval.trust.software_approver === true,
    recoveries: pendingRecoveries(approval),
  })
  operator.get('/operator/registry', async () => ({
    enrolled: ledger.registry.view().enrolled,
    ...lenience(),
    entities: ledger.registry
      .records()
      .filter(({ value }) => value !== undefined)
      .map(({ type, id, version, hash, value }) => ({ type, id, version, hash, value })),
  }))
  operator.post('/operator/join-tokens/approval', { schema: { body: joinTokenOrderSchema } }, async ({ body }) => {
    const agent = ledger.registry.get('agent', agentIdOf(body.instance))
    const until = approval.workloads.attestors.joinTokens.offer(agent, body, approval.clock.now())
    return { instance: body.instance, expires_at: new Date(until).toISOString() }
  })
  operator.post('/operator/values', { schema: { body: wordsSchema } }, async ({ body: { about, ...words } }) =>
    approval.prose.keep(approval.producer, about, words),
  )
  operator.post('/operator/values/erase', { schema: { body: erasureOrderSchema } }, async ({ body }) => {
    const { reason, values } = body
    for (const value of values) await approval.prose.erase(approval.producer, { ...value, by: 'operator', reason })
    return { erased: values.map(({ attachment_id }) => attachment_id) }
  })
  operator.get('/operator/requests', async () => ({
    ...lenience(),
    requests: [...ledger.requests.requests.values()].map((record) => summary(record)),
  }))
  operator.get(
    '/operator/requests/:id',
    { schema: { params: z.object({ id: requestIdSchema }) } },
    async ({ params }) => summary(requestNamed(approval, params.id)),
  )
}

function summary({ id, state, received, receivedAt, endorsements, approved, closedBy }: RequestRecord) {
  return {
    id,
    state,
    kind: received?.kind ?? null,
    received_at: receivedAt === undefined ? null : new Date(receivedAt).toISOString(),
    expires_at: received?.expires_at ?? null,
    about: received === undefined ? null : subjectOf(received),
    mode: received?.kind === 'access' ? received.mode : null,
    from: received === undefined ? null : received.kind === 'registry' ? received.proposer : received.agent,
    endorsements: endorsements.length,
    statement_hash: approved?.statement_hash ?? null,
    closed_by: closedBy ?? null,
  }
}
