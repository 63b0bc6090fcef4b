import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AccessAsk, Agent } from '@bailiwick/agent'
import { denialOf } from '@bailiwick/agent'
import type { Rule } from '@bailiwick/contracts'
import { actionDigest } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { initialise, readPolicyFiles } from '@bailiwick/installation'
import { type Clock, systemClock } from '@bailiwick/kit'
import { sample, sampleAuthority, sampleEntities } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person } from './person.ts'
import { answered, eventually, Scene, undecided } from './scene.ts'

/** Long, for a busy machine. Time passes by the clock that all services of the test share. */
const fresh = { reattest_seconds: 120, outcome_seconds: 60 }
let ahead = 0
const clock: Clock = { now: () => systemClock.now() + ahead, monotonic: () => systemClock.monotonic() }

/** Longer than a workload may be silent; no outcome is late for it. */
async function pass(): Promise<void> {
  await scene.invoices.delivered()
  const then = clock.monotonic()
  ahead += (fresh.reattest_seconds + 1) * 1000
  const { heads } = scene.pdp.projection
  await eventually('heads of that time', () => (heads.active('issuer')?.receivedAt ?? 0) > then || undefined)
}
const action = { action: 'tools/call', resource: { type: 'tool', id: `${sample.toolServer}/read` } }
const actionOf = (invoice: string) => ({ name: action.action, resource: action.resource, properties: { invoice } })
const digestOf = (invoice: string) => actionDigest(actionOf(invoice))

let scene: Scene
let data: string
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'step-up-'))
  const [port, invoicesPort] = [await freePort(), await freePort()]
  const entities = sampleEntities(data, `http://localhost:${invoicesPort}`).map((entity) =>
    entity.type === 'rule' && entity.value.id === 'tasks'
      ? {
          ...entity,
          value: { ...(entity.value as Rule), modes: ['window' as const, 'continuous' as const], continuous: fresh },
        }
      : entity,
  )
  initialise({
    data,
    publicUrl: `http://localhost:${port}`,
    singleOperator: true,
    now: Date.now(),
    randomBytes,
    policies: readPolicyFiles(join(import.meta.dirname, '../../policies')),
    entities,
  })
  const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }
  scene = await Scene.open({ data, port, invoicesPort, clock, env })
})
afterAll(async () => {
  await scene[Symbol.asyncDispose]()
  rmSync(data, { recursive: true, force: true })
})

let asks = 0
/** A continuous grant whose agent was silent for longer than its rule allows. */
async function lapsed(agent: Agent): Promise<string> {
  const ask = { authority: sampleAuthority, mode: 'continuous' as const, expiresInSeconds: 1000 + ++asks }
  const requestId = await requested(agent, ask)
  const { grant_id: grantId, statement } = await scene.approver.approve(requestId)
  if (grantId === undefined) throw new Error('there is no grant')
  expect(statement).toMatchObject({ mode: 'continuous', continuous: fresh })
  expect((await call(agent, grantId)).status).toBe(200)
  await pass()
  return grantId
}

async function requested(agent: Agent, ask: AccessAsk): Promise<string> {
  const signed = agent.signRequest(ask)
  return (await answered(() => agent.request(signed))).requestId
}

/** The answer to a call. On a busy machine the answer may be late, or the credential expired before the call is checked. */
const call = (agent: Agent, grantId: string, invoice = 'INV-1') =>
  eventually('it is decided', async () => {
    const response = await answered(() => scene.call(agent, grantId, 'read', { invoice }))
    const { code = '' } = (await response.clone().json()) as { code?: string }
    return undecided.has(code) || code === 'credential_expired' ? undefined : response
  })
async function denied(response: Response) {
  const denial = await denialOf(response, action)
  if (denial === undefined) throw new Error(`${response.status}: ${await response.text()}`)
  return denial
}
const stepUpAsk = (grantId: string, answering: Awaited<ReturnType<typeof denied>>, invoice = 'INV-1') => ({
  authority: sampleAuthority,
  mode: 'per_action' as const,
  expiresInSeconds: 600,
  action: actionOf(invoice),
  grantId,
  answering,
})

it('a lapsed continuous grant waits for a human, and continues under the same grant (V10)', async () => {
  const agent = scene.agent()
  const grantId = await lapsed(agent)
  const denial = await denied(await call(agent, grantId))
  expect(denial.reason).toBe('step_up_required')
  const requestId = await requested(agent, stepUpAsk(grantId, denial))
  expect(await scene.approver.approve(requestId)).toMatchObject({
    status: 'approved',
    grant_id: grantId,
    action_digest: digestOf('INV-1'),
    statement: {
      kind: 'step_up',
      grant_id: grantId,
      action_digest: digestOf('INV-1'),
      effect: { kind: 'task', until: scene.ledger.grants.trees.get(grantId)?.grant.not_after },
    },
  })
  expect(await answered(() => agent.status(requestId))).toMatchObject({ status: 'approved', grantId })
  expect((await call(agent, grantId)).status).toBe(200)
  const stepUps = async () =>
    (await scene.events('decisions.v1')).filter(({ data }) => (data as { step_up?: string }).step_up === requestId)
  expect(await eventually('the decision names its step-up', async () => (await stepUps())[0])).toMatchObject({
    type: 'decision.allowed',
    data: { actor: { grant_id: grantId } },
  })
  interface Traced {
    steps?: { type: string; verified: boolean; signed_by?: string[] }[]
  }
  const traced = await eventually('its trace is complete', async () => {
    const url = `/v1/trace/${requestId}`
    const { steps = [] } = (await scene.system.host.operator.inject({ method: 'GET', url })).json() as Traced
    return steps.some(({ type, signed_by }) => type === 'request.approved' && signed_by?.[0] === sample.owner)
      ? steps
      : undefined
  })
  expect(traced.filter(({ verified }) => !verified)).toEqual([])
  expect((await call(agent, grantId, 'INV-2')).status).toBe(200) // humans looked a moment ago
  expect(await stepUps()).toHaveLength(1)
  await pass()
  expect((await denied(await call(agent, grantId))).reason).toBe('step_up_required')
})

it('a person can let one action of a lapsed task through, and the task waits on (V3)', async () => {
  const agent = scene.agent()
  const grantId = await lapsed(agent)
  const requestId = await requested(agent, stepUpAsk(grantId, await denied(await call(agent, grantId))))
  const { statement } = await scene.approver.approve(requestId, { effect: 'action' })
  expect(statement).toMatchObject({ kind: 'step_up', effect: { kind: 'action' } })
  await eventually('it is known', () => scene.ledger.requests.requests.get(requestId)?.state === 'approved')
  const others = ['INV-2', 'INV-3', 'INV-4'].map(
    async (invoice) => (await denied(await call(agent, grantId, invoice))).reason,
  )
  expect(await Promise.all(others)).toEqual(['step_up_required', 'step_up_required', 'step_up_required'])
  expect((await call(agent, grantId)).status).toBe(200)
  expect((await denied(await call(agent, grantId))).reason).toBe('step_up_required')
})

it('only the denied instance can request a step-up, and only for the denied action', async () => {
  const agent = scene.agent()
  const grantId = await lapsed(agent)
  const denial = await denied(await call(agent, grantId))
  const tried = (who: Agent, ask: object) =>
    who.request(who.signRequest(ask as never)).then(
      () => 'received',
      (error: unknown) => errorCode(error),
    )
  const thief = scene.agent('forecaster')
  expect(await tried(thief, stepUpAsk(grantId, denial))).not.toBe('received')
  expect(await tried(agent, stepUpAsk(grantId, denial, 'INV-9'))).not.toBe('received')
  const other = await scene.granted(agent)
  expect(await tried(agent, stepUpAsk(other.grantId, denial))).not.toBe('received')
  const { answering: _, ...unasked } = stepUpAsk(grantId, denial)
  expect(await tried(agent, unasked)).not.toBe('received')
})

it('a denial stands, and a grant that was withdrawn meanwhile leaves nothing to approve', async () => {
  const agent = scene.agent()
  const grantId = await lapsed(agent)
  const requestId = await requested(agent, stepUpAsk(grantId, await denied(await call(agent, grantId))))
  await scene.approver.deny(requestId, 'not now')
  expect(await answered(() => agent.status(requestId))).toMatchObject({ status: 'denied' })
  const again = await denied(await call(agent, grantId, 'INV-2'))
  expect(again.reason).toBe('step_up_required')
  const second = await requested(agent, stepUpAsk(grantId, again, 'INV-2'))
  const { request_id } = scene.ledger.grants.trees.get(grantId)?.grant ?? {}
  await scene.approver.withdraw(request_id ?? '')
  await expect(scene.approver.approve(second)).rejects.toMatchObject({ code: 'grant_not_active' })
})

it('a step-up approval by an approver who was revoked since restores nothing (V7)', async () => {
  const eve = new Person(scene.system)
  const value = { id: 'eve', name: 'Eve', groups: [sample.group], credentials: [await eve.newPasskey()] }
  await scene.approver.approve((await scene.propose('approver', 'eve', value)).body.request_id)
  await eventually('eve is enrolled', () => scene.ledger.registry.get('approver', 'eve'))
  await eve.signIn()
  const agent = scene.agent()
  const grantId = await lapsed(agent) // approved by the owner, not by Eve
  const requestId = await requested(agent, stepUpAsk(grantId, await denied(await call(agent, grantId))))
  const said = await eve.approve(requestId, await eve.rendered(requestId))
  expect(said.body).toMatchObject({ status: 'approved' })
  expect(await scene.revoke('approver', 'eve')).toBe(200)
  // Everything she approved is dead, and so is everything that rested on it: no approver who still counts has looked
  // since.
  for (const invoice of ['INV-1', 'INV-2'])
    expect((await denied(await call(agent, grantId, invoice))).reason).toBe('step_up_required')
})

it('the audit finds nothing', async () => {
  expect((await scene.audited()).findings).toEqual([])
})
