import { agentIdOf } from '@bailiwick/contracts'
import { type AnswerOf, approvalOperatorRoutes } from '@bailiwick/contracts/api'
import type { HttpServer } from '@bailiwick/host'
import type { RequestRecord } from '@bailiwick/projection'
import { subjectOf } from '../console/request-list.ts'
import type { Approval } from '../context.ts'
import { pendingRecoveries } from '../people/people.ts'
import { proposeChange } from '../registry/propose-change.ts'
import { replaceByHand } from '../registry/report-manifest.ts'
import { requestNamed } from '../requests.ts'

const {
  proposeChange: change,
  readRegistry,
  offerJoinTokenToApproval: joinToken,
  keepWords,
  eraseWords,
} = approvalOperatorRoutes
const { summariseRequests, summariseRequest } = approvalOperatorRoutes

/** For the CLI on this machine, over the operator's socket. It can propose, look, and keep or erase words; it cannot approve. */
export function operatorRoutes(operator: HttpServer, approval: Approval): void {
  const { ledger } = approval.projection
  operator.post(change.path, { schema: { body: change.body } }, async ({ body }): Promise<AnswerOf<typeof change>> => {
    const proposed = await proposeChange(approval, body.proposer, body.entities)
    const { request_id: requestId } = proposed
    if (requestId !== null)
      for (const { type, id } of body.entities) if (type === 'tool-server') await replaceByHand(approval, id, requestId)
    return { ...proposed, approve_at: `${approval.publicUrl}/console` }
  })
  // Readers must not overlook ways in which things can be changed here other than by two people.
  const lenience = () => ({
    single_operator: approval.trust.single_operator,
    software_approver: approval.trust.software_approver === true,
    recoveries: pendingRecoveries(approval),
  })
  operator.get(
    readRegistry.path,
    async (): Promise<AnswerOf<typeof readRegistry>> => ({
      enrolled: ledger.registry.view().enrolled,
      ...lenience(),
      entities: ledger.registry
        .records()
        .filter(({ value }) => value !== undefined)
        .map(({ type, id, version, hash, value }) => ({ type, id, version, hash, value })),
    }),
  )
  operator.post(
    joinToken.path,
    { schema: { body: joinToken.body } },
    async ({ body }): Promise<AnswerOf<typeof joinToken>> => {
      const agent = ledger.registry.get('agent', agentIdOf(body.instance))
      const until = approval.workloads.attestors.joinTokens.offer(agent, body, approval.clock.now())
      return { instance: body.instance, expires_at: new Date(until).toISOString() }
    },
  )
  operator.post(keepWords.path, { schema: { body: keepWords.body } }, async ({ body: { about, ...words } }) =>
    approval.prose.keep(approval.producer, about, words),
  )
  operator.post(
    eraseWords.path,
    { schema: { body: eraseWords.body } },
    async ({ body }): Promise<AnswerOf<typeof eraseWords>> => {
      const { reason, values } = body
      for (const value of values) await approval.prose.erase(approval.producer, { ...value, by: 'operator', reason })
      return { erased: values.map(({ attachment_id }) => attachment_id) }
    },
  )
  operator.get(
    summariseRequests.path,
    async (): Promise<AnswerOf<typeof summariseRequests>> => ({
      ...lenience(),
      requests: [...ledger.requests.requests.values()].map((record) => summary(record)),
    }),
  )
  operator.get(summariseRequest.path, { schema: { params: summariseRequest.params } }, async ({ params }) =>
    summary(requestNamed(approval, params.id)),
  )
}

type Summary = AnswerOf<typeof summariseRequest>

function summary({ id, state, received, receivedAt, endorsements, approved, closedBy }: RequestRecord): Summary {
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
