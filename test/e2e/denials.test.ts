import type { DenialReason } from '@bailiwick/errors'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { adjust, type CallAnswer, type CallAsk, credentialFor, read, strangersKey } from './agent-side.ts'
import { type Granted, granted, shortLived } from './granted.ts'
import { Thief } from './thief.ts'
import { eventually } from './world.ts'

const tools = (...names: string[]) =>
  names.map((name) => ({ actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/${name}` } }))

/** A wide authority, so that each denial has one cause. */
const authority = {
  ...sampleAuthority,
  permissions: [
    ...sampleAuthority.permissions,
    ...tools('delete'),
    { actions: ['tools/list'], resource: { type: 'tool', id: `${sample.toolServer}/read` } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: `${sample.toolServer}/read` },
      where: { '/priced': { eq: true } },
      cost: { amount: '/amount', currency: '/currency' },
    },
  ],
}

let system: Granted
let thief: Thief
beforeAll(async () => {
  // Waiting for an event that never arrives takes the whole deadline.
  system = await granted({ pdp: { decisionDeadlineMs: 1500 } }, { authority })
  thief = await Thief.of(system.world, 'issuer')
})
afterAll(() => system[Symbol.asyncDispose]())
// Slower than the rate above which denials are aggregated.
beforeEach(() => new Promise((resolve) => setTimeout(resolve, 110)))

const other = 'A'.repeat(43)
const tampered = (token: string) => {
  const [head, payload = '', signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return [
    head,
    Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 300 })).toString('base64url'),
    signature,
  ].join('.')
}

type Row = [reason: DenialReason, ask: () => CallAsk | Promise<CallAsk>]

/** A denial for a credential that did not verify is counted, and has no event of its own: any stranger could cause it. */
it.each<Row>([
  ['pep_out_of_scope', () => ({ resource: { type: 'tool', id: 'payroll/read' } })],
  ['credential_malformed', () => ({ credential: 'abc' })],
  ['credential_invalid', () => ({ credential: tampered(system.credential) })],
  ['credential_expired', async () => ({ credential: thief.sign(expired()) })],
  [
    'credential_audience_wrong',
    async () => ({ credential: await thief.mint(system.grant, { aud: 'https://elsewhere.example' }) }),
  ],
])('denies %s, and takes nothing (V11, V12)', async (reason, ask) => {
  expect(await refusedTo({ credential: system.credential, ...read, ...(await ask()) })).toMatchObject({
    decision: false,
    reason,
  })
})

function expired() {
  const claims = thief.credential(system.grant)
  return { ...claims, iat: claims.iat - 400, exp: claims.exp - 400 }
}

async function refusedTo(ask: CallAsk): Promise<CallAnswer> {
  const before = system.taken()
  // Repeated where a machine is so late that it gives only this answer.
  const answer = await eventually(async () => {
    const said = await system.point.call(ask)
    return said.reason === 'deadline_exceeded' || said.reason === 'state_stale' ? undefined : said
  })
  expect(system.taken()).toBe(before)
  expect(answer.permit).toBeUndefined()
  return answer
}

it.each<Row>([
  ['proof_missing', () => ({ observed: { proof: undefined } })],
  ['proof_invalid', () => ({ proof: { htm: 'GET' } })],
  ['proof_invalid', () => ({ proof: { htu: `${sample.invoicesUrl}/other` } })],
  ['proof_invalid', () => ({ proof: { now: system.world.clock.now() - 120_000 } })],
  ['proof_invalid', () => ({ proof: { accessToken: 'another' } })],
  ['proof_key_mismatch', () => ({ proofKey: sampleKey(system.world.data, 'forecaster') })],
  ['proof_key_mismatch', () => ({ proofKey: strangersKey() })],
  ['proof_nonce_required', () => ({ proof: { nonce: undefined, now: system.world.clock.now() - 30_000 } })],
  ['proof_action_mismatch', () => ({ proof: { actionDigest: other } })],
  ['action_digest_mismatch', () => ({ observed: { action_digest: other } })],
  ['credential_unrecorded', () => ({ credential: thief.sign(thief.credential(system.grant)) })],
  ['credential_unrecorded', longerThanIntended],
  [
    'delegation_invalid',
    async () => ({ credential: await thief.mint(system.grant, { act: { sub: system.grant.statement.agent } }) }),
  ],
  ['grant_unknown', () => ({ credential: thief.sign(thief.credential({ ...system.grant, grantId: `grt_${other}` })) })],
  ['grant_agent_mismatch', () => ({ subject: 'spiffe://bailiwick.local/agent/forecaster/i1' })],
  ['grant_agent_mismatch', keyOfAnother],
  ['action_not_granted', () => ({ name: 'tools/describe' })],
  ['argument_out_of_bounds', () => adjust('500.01')],
  ['argument_out_of_bounds', () => ({ tool: 'adjust', properties: { amount: '1', currency: 'USD' } })],
  ['policy_denied', () => ({ tool: 'delete' })],
  ['request_invalid', () => ({ name: 'tools/list' })],
  [
    'cost_invalid',
    async () => ({ ...read, properties: { priced: true, amount: 'much', currency: 'EUR' }, ...(await onlyPriced()) }),
  ],
])('denies %s with an event that names the agent, and takes nothing (V11, V13)', async (reason, ask) => {
  const answer = await refusedTo({ credential: system.credential, ...read, ...(await ask()) })
  expect(answer).toMatchObject({ decision: false, reason })
  const event = await system.event(answer.decisionId)
  expect(event).toMatchObject({ type: 'decision.denied', data: { reason, enforcement_point: sample.enforcementPoint } })
  expect(event.version).toBeUndefined()
  expect(event.data).toMatchObject({ actor: { agent: system.grant.statement.agent } })
})

/** Recorded for five minutes, signed for ten. */
async function longerThanIntended() {
  const claims = thief.credential(system.grant)
  await thief.intend(claims)
  return { credential: thief.sign({ ...claims, exp: claims.exp + 300 }) }
}

/** A stolen issuer records and signs a credential that confirms another key than the one that the humans saw. */
async function keyOfAnother() {
  const key = sampleKey(system.world.data, 'forecaster')
  return { credential: await thief.mint(system.grant, { cnf: { jkt: key.kid } }), proofKey: key }
}

/** The unpriced permission also covers reading: here only the priced one is granted. */
async function onlyPriced() {
  const [, , , , priced] = authority.permissions
  const grant = await system.people.grant({ authority: { ...authority, permissions: [priced] } })
  return { credential: await credentialFor(system.world, grant.grantId) }
}

it.each<[DenialReason, 'grant.completed' | 'grant.expired' | 'grant.suspended']>([
  ['grant_not_active', 'grant.completed'],
  ['grant_not_active', 'grant.suspended'],
  ['grant_expired', 'grant.expired'],
])('denies %s once the issuer said %s', async (reason, type) => {
  const grant = await system.people.grant({ authority })
  const credential = await credentialFor(system.world, grant.grantId)
  await eventually(async () => (await system.point.call({ credential, ...read })).decision)
  await thief.tell(type, grant.grantId)
  await eventually(async () => (await system.point.call({ credential, ...read })).reason === reason)
})

it('denies before the grant begins and after it ends, by the clock, not by what the issuer recorded (V13)', async () => {
  const { world, people, point } = system
  const now = world.clock.now()
  const received = await people.ask({ authority, seconds: 600 })
  const early = people.statement(received, { not_before: new Date(now + 300_000).toISOString() })
  const grant = await people.hand(received.request_id, early)
  await eventually(() => thief.projection.ledger.grants.trees.get(grant.grantId))
  const credential = await thief.mint(grant)
  await eventually(async () => (await point.call({ credential, ...read })).reason === 'grant_not_started')

  const short = await shortLived({ world, people }, { authority, seconds: 2 })
  const outliving = await thief.mint(short)
  await new Promise((resolve) => setTimeout(resolve, 2100))
  await eventually(async () => (await point.call({ credential: outliving, ...read })).reason === 'grant_expired')
})
