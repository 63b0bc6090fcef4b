import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  buildStepUpStatement,
  requestIdOf,
  type StepUpFacts,
  statementChallenge,
  statementHash,
} from '@bailiwick/approval-statement'
import type { Assertion, Rule } from '@bailiwick/contracts'
import { actionDigest, jcsHash, publicKeyOf, signAccessRequest, verifyBindingToken } from '@bailiwick/credentials'
import { readPolicyFiles } from '@bailiwick/installation'
import { newId } from '@bailiwick/kit'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { adjust, agentId, credentialFor, Point, read } from './agent-side.ts'
import { asksForWrites } from './asking.ts'
import { type Granted, granted } from './granted.ts'
import { handedOver } from './people.ts'
import { eventually, type World, type WorldOptions } from './world.ts'

const waits: WorldOptions = { policies: asksForWrites(readPolicyFiles(join(import.meta.dirname, '../../policies'))) }
const fresh = { reattest_seconds: 60, outcome_seconds: 30 }
const continuous: WorldOptions = {
  entities: (entities) =>
    entities.map((entity) =>
      entity.type === 'rule' && entity.value.id === 'tasks'
        ? { ...entity, value: { ...(entity.value as Rule), modes: ['window', 'continuous'], continuous: fresh } }
        : entity,
    ),
}

const action = (call: { tool: string; properties: Record<string, unknown> }) =>
  actionDigest({
    name: 'tools/call',
    properties: call.properties,
    resource: { type: 'tool', id: `${sample.toolServer}/${call.tool}` },
  })
const ten = adjust('10')
const twenty = adjust('20')

interface Lie {
  /** The agent sent only the digest. */
  keptBack?: true
  facts?: Partial<StepUpFacts>
  sign?: (challenge: Uint8Array) => Assertion[]
}

/** The agent requests one more action, and a person approves it, as approval publishes it. Returns the request's id. */
async function sayYes({ world, people, grant }: Granted, digest: string, lie: Lie = {}): Promise<string> {
  const { clock, random, trust, approval, data } = world
  const now = clock.now()
  const iat = Math.floor(now / 1000)
  const asked = {
    aud: trust.installation,
    sub: agentId(),
    iat,
    exp: iat + 600,
    jti: newId('req', now, random),
    authority: structuredClone(sampleAuthority) as unknown as Record<string, unknown>,
    mode: 'per_action' as const,
    expires_in_seconds: 60,
    action_digest: digest,
    arguments: handedOver,
    grant_id: grant.grantId,
  }
  const key = sampleKey(data, 'reconciler')
  const request = signAccessRequest(asked, key)
  const request_id = requestIdOf(request)
  const resource = { type: 'tool', id: `${sample.toolServer}/adjust` }
  await approval.producer.publishOne('approvals.v1', {
    type: 'request.received',
    subject: request_id,
    version: 1,
    data: {
      kind: 'step_up',
      request_id,
      request,
      request_hash: jcsHash(asked),
      agent: asked.sub,
      instance_key: key.kid,
      grant_id: grant.grantId,
      action: { name: 'tools/call', resource, action_digest: digest },
      ...(lie.keptBack ? {} : { arguments: handedOver }),
      denial: { decision_id: newId('dec', now, random), reason: 'step_up_required' },
      received_by: 'http',
      expires_at: new Date(now + 600_000).toISOString(),
    },
  })
  const statement = buildStepUpStatement({
    installation: trust.installation,
    request_id,
    grant_id: grant.grantId,
    action_digest: digest,
    arguments: 'shown',
    effect: { kind: 'action' },
    not_after: new Date(now + 300_000).toISOString(),
    nonce: randomBytes(16).toString('base64url'),
    now,
    ...lie.facts,
  })
  const challenge = statementChallenge(statement)
  const assertions = lie.sign?.(challenge) ?? [people.passkey.sign(challenge)]
  await approval.producer.publishOne('approvals.v1', {
    type: 'request.approved',
    subject: request_id,
    version: 2,
    data: { request_id, statement, statement_hash: statementHash(statement), assertions },
  })
  return request_id
}

const stepUpRequired = { decision: false, reason: 'step_up_required' }

it('denies a call for which a policy requires a human, and allows it once after the human’s approval (V10)', async () => {
  await using system = await granted(waits)
  const { point, credential, world, grant } = system
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  const denied = await point.call({ credential, ...ten })
  expect(denied).toMatchObject(stepUpRequired)
  const properties = { acr_value: 'urn:bailiwick:acr:approvers' }
  expect(denied.context.obligations).toEqual([{ id: 'step-up', type: 'step-up', properties }])
  expect(bindingOf(world, denied)).toMatchObject({
    grant: grant.grantId,
    needs: 'action',
    reason: 'step_up_required',
    sub: agentId(),
    action: { action_digest: action(ten), arguments: { '/amount': '10', '/currency': 'EUR' } },
  })
  const stepUp = await sayYes(system, action(ten))
  const allowed = await point.call({ credential, ...ten })
  expect(allowed).toMatchObject({ decision: true })
  expect(await system.event(allowed.decisionId)).toMatchObject({
    data: { step_up: stepUp, actor: { grant_id: grant.grantId } },
  })
  expect(await point.call({ credential, ...ten })).toMatchObject(stepUpRequired)
})

it('allows the same call under its denied call id once a human approved it (V10)', async () => {
  await using system = await granted(waits)
  const { point, credential } = system
  const call = { credential, ...ten, observed: { call_id: 'call_0123456789abcdef' } }
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await point.call(call)).toMatchObject(stepUpRequired)
  await sayYes(system, action(ten))
  expect(await point.call(call)).toMatchObject({ decision: true })
  expect(await point.call({ credential, ...ten })).toMatchObject(stepUpRequired)
})

it('allows an approved step-up with the same obligations as a call without one (V13)', async () => {
  const obliging = '@id("obliging") @redact("iban") permit (principal is agent, action, resource);'
  const policies = new Map([...(waits.policies ?? []), ['zz.cedar', Buffer.from(obliging)]])
  await using system = await granted({ policies })
  const { point, credential } = system
  const obligations = [{ id: 'redact', properties: { fields: ['iban'] } }]
  expect((await point.call({ credential, ...read })).context).toMatchObject({ obligations })
  expect(await point.call({ credential, ...ten })).toMatchObject(stepUpRequired)
  await sayYes(system, action(ten))
  const allowed = await point.call({ credential, ...ten })
  expect(allowed.context).toMatchObject({ obligations })
  expect(await system.event(allowed.decisionId)).toMatchObject({ data: { obligations } })
})

it.each<[why: string, (system: Granted) => Promise<unknown>]>([
  ['for another action', (system) => sayYes(system, action(twenty))],
  [
    'for another grant',
    async (system) => {
      const other = await system.people.grant()
      await sayYes({ ...system, grant: other }, action(ten))
    },
  ],
  [
    'by a passkey that was never enrolled',
    ({ world, ...system }) => {
      const own = softwarePasskey({ rpId: 'localhost', origin: world.url })
      own.register(randomBytes(32))
      return sayYes({ world, ...system }, action(ten), { sign: (challenge) => [own.sign(challenge)] })
    },
  ],
  [
    'to another statement: a stolen approval service has no signature of its own',
    (system) => sayYes(system, action(ten), { sign: () => [system.people.passkey.sign(randomBytes(32))] }),
  ],
  [
    'whose statement names another request',
    (system) => sayYes(system, action(ten), { facts: { request_id: `req_${'x'.repeat(43)}` } }),
  ],
  [
    'whose arguments were not shown',
    (system) => sayYes(system, action(ten), { keptBack: true, facts: { arguments: undefined } }),
  ],
  [
    'that does not say that the arguments were shown',
    (system) => sayYes(system, action(ten), { facts: { arguments: undefined } }),
  ],
  [
    'that says that arguments were shown although the agent sent none',
    (system) => sayYes(system, action(ten), { keptBack: true }),
  ],
  [
    'that would last for hours',
    (system) => {
      const not_after = new Date(system.world.clock.now() + 3600_000).toISOString()
      return sayYes(system, action(ten), { facts: { not_after } })
    },
  ],
  [
    'that is over',
    async (system) => {
      const not_after = new Date(system.world.clock.now() + 20).toISOString()
      await sayYes(system, action(ten), { facts: { not_after } }).catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 30))
    },
  ],
  [
    'that was taken back',
    async (system) => {
      const id = await sayYes(system, action(ten))
      await system.world.approval.producer.publishOne('approvals.v1', {
        type: 'request.cancelled',
        subject: id,
        version: 3,
        data: { request_id: id, by: agentId() },
      })
    },
  ],
])('accepts no approval %s (V3, V10)', async (_, say) => {
  await using system = await granted(waits)
  await say(system)
  expect(await system.point.call({ credential: system.credential, ...ten })).toMatchObject(stepUpRequired)
})

it('applies an approval to one of many calls, at one of two decision points (V10)', async () => {
  await using system = await granted(waits)
  const { world, credential, point } = system
  const second = new Point(world, (await world.startPdp()).http)
  await second.call({ credential, ...read }) // fetches the nonce
  await sayYes(system, action(ten))
  const points = [point, second, point, second, point, second]
  const answers = await Promise.all(points.map((each) => each.call({ credential, ...ten })))
  expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
  const used = () => {
    const tree = world.pdp.pdp.projection.ledger.decisions.trees.get(system.grant.grantId)
    return [...(tree?.allows.values() ?? [])].filter(({ stepUp, standing }) => stepUp && standing !== 'abandoned')
  }
  // One of them allowed it; the other one's projection may lag.
  await eventually(() => used().length > 0)
  expect(used()).toHaveLength(1)
})

it('allows nothing under a withdrawn grant, even if a human approved the action (V7)', async () => {
  await using system = await granted(waits)
  const { world, people, grant, point, credential } = system
  await sayYes(system, action(ten))
  await people.withdraw(grant.requestId)
  await eventually(() => world.pdp.pdp.projection.ledger.revocations.find('grant', grant.grantId))
  expect(await point.call({ credential, ...ten })).toMatchObject({ decision: false, reason: 'grant_revoked' })
})

it('allows nothing once the approving person is revoked (V7)', async () => {
  await using system = await granted(waits)
  await sayYes(system, action(ten))
  expect(await system.world.revoke('approver', sample.owner, 20_000)).toBe(200)
  expect(await system.point.call({ credential: system.credential, ...ten })).toMatchObject({
    reason: 'approver_revoked',
  })
})

/** An enforcement point that reads under a continuous grant, with a new credential each time, and reports what happened. */
function reader({ world, grant, point }: Granted) {
  let last: { answer: Awaited<ReturnType<Point['call']>>; callId: string } | undefined
  return {
    async call(what: { tool: string; properties: Record<string, unknown> } = read) {
      const credential = await credentialFor(world, grant.grantId)
      const callId = newId('call', world.clock.now(), world.random)
      const answer = await point.call({ credential, ...what, observed: { call_id: callId } })
      if (answer.decision) last = { answer, callId }
      return answer
    },
    async report() {
      if (last === undefined) throw new Error('nothing was done')
      expect(await point.report(point.outcome(last.answer, last.callId, 'succeeded'))).toBeLessThan(300)
    },
  }
}

/** Moves the shared clock. */
async function pass(world: World, seconds: number): Promise<void> {
  world.ahead += seconds * 1000
  await eventually(() => world.pdp.pdp.projection.fresh() || undefined)
}

it('a continuous grant waits for a human if its workload did not attest in time, and continues afterwards', async () => {
  await using system = await granted(continuous, { mode: 'continuous' })
  const { world, grant } = system
  const { call, report } = reader(system)
  expect(await call()).toMatchObject({ decision: true })
  await pass(world, 25)
  await report()
  await pass(world, 20)
  expect(await call()).toMatchObject({ decision: true }) // attested at 0 and at 45
  await report()
  await pass(world, 61)
  const denied = await call()
  expect(denied).toMatchObject(stepUpRequired)
  expect(bindingOf(world, denied)).toMatchObject({ grant: grant.grantId, needs: 'task' })
  const until = new Date(world.clock.now() + 40_000).toISOString()
  const stepUp = await sayYes(system, action(read), { facts: { effect: { kind: 'task', until } } })
  const allowed = await call()
  expect(allowed).toMatchObject({ decision: true })
  expect(await system.event(allowed.decisionId)).toMatchObject({ data: { step_up: stepUp } })
  await report()
  expect(await call()).toMatchObject({ decision: true })
  await report()
  await pass(world, 41) // until when the approval said
  expect(await call()).toMatchObject(stepUpRequired)
})

it('approving one action of a lapsed grant allows that action, and does not reopen the grant (V3)', async () => {
  await using system = await granted(continuous, { mode: 'continuous' })
  const { world } = system
  const { call, report } = reader(system)
  expect(await call()).toMatchObject({ decision: true })
  await report()
  await pass(world, 61)
  expect(await call()).toMatchObject(stepUpRequired)
  const stepUp = await sayYes(system, action(ten))
  expect(await call()).toMatchObject(stepUpRequired) // another action than the one that was signed
  const allowed = await call(ten)
  expect(allowed).toMatchObject({ decision: true })
  expect(await system.event(allowed.decisionId)).toMatchObject({ data: { step_up: stepUp } })
  await report()
  expect(await call(ten)).toMatchObject(stepUpRequired)
  expect(await call()).toMatchObject(stepUpRequired)
})

it('a continuous grant waits for a human if an outcome did not come in time', async () => {
  await using system = await granted(continuous, { mode: 'continuous' })
  const { call, report } = reader(system)
  const { decision, context } = await call()
  const obligations = [{ id: 'report-outcome-by', properties: { seconds: fresh.outcome_seconds } }]
  expect([decision, context]).toMatchObject([true, { obligations }])
  await pass(system.world, 31)
  expect(await call()).toMatchObject(stepUpRequired)
  await report()
  expect(await call()).toMatchObject(stepUpRequired)
})

function bindingOf(world: World, { context }: { context: Record<string, unknown> }) {
  const { binding_token: token } = context.access_request as { binding_token: string }
  const key = publicKeyOf(world.key('policy-decision', 'binding-token', 'binding-token'))
  const installation = world.trust.installation
  const verified = verifyBindingToken({ token, key, installation, now: world.clock.now(), leewayMs: 0 })
  if (!verified.ok) throw new Error(verified.detail)
  return verified.value
}
