import { type AnswerOf, workbenchRoutes as contract } from '@bailiwick/contracts/api'
import { ServiceError } from '@bailiwick/errors'
import type { HttpServer } from '@bailiwick/host'
import { RateLimiter } from '@bailiwick/kit'
import type { FastifyRequest } from 'fastify'
import { type EvidenceReader, rereadMs } from '../console/evidence-reader.ts'
import type { Approval } from '../context.ts'
import type { Sessions } from '../people/sessions.ts'
import { findRule } from '../workbench/find-rule.ts'
import { previewChange, proposeFromPage } from '../workbench/plan-change.ts'
import { PolicyTrials, policyFilesOf, readPolicies, triedCall } from '../workbench/policies.ts'
import { listEntities, readEntity } from '../workbench/read-registry.ts'
import { weighChange } from '../workbench/weigh-change.ts'
import { fromOurPage, notFromElsewhere, sessionCookie } from './browser.ts'

const { listEntities: list, readEntity: one, previewChange: previewing, proposeRegistryChange: proposing } = contract
const {
  weighChange: weighing,
  readPolicies: policies,
  checkPolicies,
  explainPolicies,
  draftQuestion,
  findRule: matching,
} = contract

/** 64 entities, each of which fits in an event, or a policy set in JSON. */
const changeBytes = 2 * 1024 * 1024

/** Limits what one person asks of this process. A costly question counts as several. */
const usual = { perSecond: 10, burst: 200, maxKeys: 10_000 }
const ofASet = 10
const ofALog = 20
/** Proposals are events, which stay for ever. */
const proposed = { perSecond: 0.5, burst: 30, maxKeys: 10_000 }

/** `/console/api/…` for signed-in people: the registry and the policies. What they change here becomes a request, which people sign. */
export function workbenchRoutes(
  http: HttpServer,
  approval: Approval,
  { evidence, sessions }: { evidence: EvidenceReader; sessions: Sessions },
): void {
  const { clock, trust } = approval
  const trials = new PolicyTrials()
  const [asked, proposals] = [new RateLimiter({ ...usual, clock }), new RateLimiter({ ...proposed, clock })]
  const me = (request: FastifyRequest) => sessions.find(sessionCookie(request)).me
  const paying = (rate: RateLimiter, request: FastifyRequest, cost: number) => {
    const person = me(request)
    const rated = rate.take(person.id, cost)
    if (rated.ok) return person
    throw new ServiceError('rate_limited', 'too much at once', { retryAfterSeconds: rated.retryAfterSeconds })
  }
  const reads = notFromElsewhere(trust.origins)
  // Before the body is read: a stranger may send no long ones.
  const signedIn = async (request: FastifyRequest) => void me(request)
  const writes = { onRequest: [fromOurPage(trust.origins), signedIn], bodyLimit: changeBytes }

  http.get(
    list.path,
    { onRequest: reads, schema: { querystring: list.query } },
    async (request): Promise<AnswerOf<typeof list>> => {
      me(request)
      return listEntities(approval, request.query)
    },
  )
  http.get(
    one.path,
    { onRequest: reads, schema: { params: one.params, querystring: one.query } },
    async (request): Promise<AnswerOf<typeof one>> => {
      me(request)
      const { type, '*': id } = request.params
      return readEntity(approval, type, id, request.query.before)
    },
  )
  http.get(policies.path, { onRequest: reads }, async (request): Promise<AnswerOf<typeof policies>> => {
    me(request)
    return readPolicies(approval)
  })
  http.post(
    previewing.path,
    { ...writes, schema: { body: previewing.body } },
    async (request): Promise<AnswerOf<typeof previewing>> =>
      previewChange(approval, trials, paying(asked, request, request.body.policies ? ofASet : 1), request.body),
  )
  http.post(
    proposing.path,
    { ...writes, schema: { body: proposing.body } },
    async (request): Promise<AnswerOf<typeof proposing>> =>
      proposeFromPage(approval, trials, paying(proposals, request, request.body.policies ? ofASet : 1), request.body),
  )
  http.post(
    weighing.path,
    { ...writes, config: { handlerMs: rereadMs }, schema: { body: weighing.body } },
    async (request): Promise<AnswerOf<typeof weighing>> => {
      paying(asked, request, ofASet)
      return weighChange(approval, evidence, request.body, () => paying(asked, request, ofALog))
    },
  )
  http.post(
    checkPolicies.path,
    { ...writes, schema: { body: checkPolicies.body } },
    async (request): Promise<AnswerOf<typeof checkPolicies>> => {
      const { id } = paying(asked, request, ofASet)
      const { files: texts, permits_nothing, tests = {} } = request.body
      const [files, permitsNothing] = [policyFilesOf(texts), permits_nothing === true]
      const done = await trials.run(id, { do: 'check', files, permitsNothing, tests })
      return {
        loads: done.loads,
        findings: done.findings.map(({ policyId, ...finding }) => ({
          ...finding,
          ...(policyId === undefined ? {} : { policy_id: policyId }),
        })),
        tests: done.tests ?? null,
        tests_problem: done.testsProblem ?? null,
      }
    },
  )
  http.post(
    explainPolicies.path,
    { ...writes, schema: { body: explainPolicies.body } },
    async (request): Promise<AnswerOf<typeof explainPolicies>> => {
      const { id } = paying(asked, request, ofASet)
      const { files, request: question } = request.body
      const said = await trials.run(id, { do: 'explain', files: policyFilesOf(files), request: question })
      return {
        outcome: said.outcome,
        policies: said.policies.map((name) => ({ id: name, file: said.files[name] ?? '' })),
        obligations: said.obligations,
        messages: said.messages,
        would_change: said.wouldChange,
      }
    },
  )
  http.post(
    draftQuestion.path,
    { ...writes, schema: { body: draftQuestion.body } },
    async (request): Promise<AnswerOf<typeof draftQuestion>> => {
      const { id } = paying(asked, request, ofASet)
      const { files, ...call } = request.body
      return trials.run(id, { do: 'question', files: policyFilesOf(files), about: triedCall(approval, call) })
    },
  )
  http.post(
    matching.path,
    { ...writes, schema: { body: matching.body } },
    async (request): Promise<AnswerOf<typeof matching>> => {
      paying(asked, request, 1)
      return findRule(approval, request.body)
    },
  )
}
