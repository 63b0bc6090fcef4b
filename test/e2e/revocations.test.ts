import { faultyBus } from '@bailiwick/bus'
import { signClientAssertion } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { newId } from '@bailiwick/kit'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { askTokenWithNonce, credentialFor, Point, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { eventually, type World } from './world.ts'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** The issuer's answer to the enforcement point (RFC 7662). Repeats while an issuer that has just started asks for that. */
function isActive({ http, clock, random, url, data }: World, token: string): Promise<boolean> {
  const id = sample.enforcementPoint
  return eventually(async () => {
    const iat = Math.floor(clock.now() / 1000)
    const claims = { iss: id, sub: id, aud: url, iat, exp: iat + 60, jti: newId('call', clock.now(), random) }
    const form = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signClientAssertion(claims, sampleKey(data, 'point-caller')),
      token,
    }
    const answer = await http.inject({
      method: 'POST',
      url: '/oauth/introspect',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams(form).toString(),
    })
    return answer.statusCode === 503 ? undefined : { active: answer.json().active }
  }).then(({ active }) => active)
}

it.each<[kind: string, target: (system: Granted) => string, reason: DenialReason]>([
  ['credential', ({ credential }) => claimsOf(credential).jti, 'credential_revoked'],
  ['grant', ({ grant }) => grant.grantId, 'grant_revoked'],
  ['agent', () => sampleAgentId('reconciler'), 'agent_revoked'],
  ['agent', ({ grant }) => grant.statement.agent, 'agent_revoked'],
  ['approver', () => sample.owner, 'approver_revoked'],
  ['tool-server', () => sample.toolServer, 'tool_server_revoked'],
  ['all', () => '*', 'everything_revoked'],
])('denies everything from the acknowledgement of a revocation of kind %s on (V7)', async (kind, target, reason) => {
  await using system = await granted()
  const { world, point, credential, grant } = system
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await isActive(world, credential)).toBe(true)
  expect(await world.revoke(kind, target(system))).toBe(200)
  // The issuer that acknowledged it has applied it.
  expect(await isActive(world, credential)).toBe(false)
  await eventually(() => world.pdp.pdp.projection.ledger.revocations.sequence === 1 || undefined)
  const answer = await point.call({ credential, ...read })
  expect(answer).toMatchObject({ decision: false, reason })
  expect(await system.event(answer.decisionId)).toMatchObject({ type: 'decision.denied', data: { reason } })
  expect(system.taken()).toBe(1n)
  // The issuer mints nothing more for it, and a credential is the only thing that could be obtained again.
  const again = await askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
  expect(again.error).toBe(kind === 'credential' ? undefined : 'access_denied')
})

// The reason tells an agent what helps: to ask again.
it.each<[kind: string, target: string, reason: DenialReason]>([
  ['all', '*', 'everything_revoked'],
  ['agent', sampleAgentId('reconciler'), 'agent_revoked'],
  ['tool-server', sample.toolServer, 'tool_server_revoked'],
])(
  'lets a new approval work after a revocation of kind %s, and the old one never again (V7)',
  async (kind, target, reason) => {
    await using system = await granted()
    const { world, people, point, credential } = system
    expect(await world.revoke(kind, target)).toBe(200)
    for (const { projection } of [world.approval, world.pdp.pdp])
      await eventually(() => projection.ledger.revocations.sequence === 1 || undefined)
    const renewed = await people.grant()
    expect(await point.call({ credential: await credentialFor(world, renewed.grantId), ...read })).toMatchObject({
      decision: true,
    })
    expect(await point.call({ credential, ...read })).toMatchObject({ reason })
  },
)

it.each([
  ['all', 'everything'],
  ['grant', '*'],
  ['agent', 'spiffe://bailiwick.local/agent/reconciled'],
])('acknowledges no revocation that could end nothing: %s %s (V7)', async (kind, target) => {
  await using system = await granted()
  expect(await system.world.revoke(kind, target)).toBe(404)
  expect(await system.world.revocations()).toEqual([])
})

it('allows no call answered after a revocation was acknowledged, even calls in flight (V7)', async () => {
  await using system = await granted()
  const { world, point, credential, grant } = system
  const [before, after]: boolean[][] = [[], []]
  let acknowledged = false
  const callers = Array.from({ length: 8 }, async () => {
    for (let late = 0; late < 3; ) {
      const begunAfter = acknowledged
      const { decision } = await point.call({ credential, ...read })
      if (begunAfter) late++
      ;(begunAfter ? after : before)?.push(decision)
    }
  })
  await eventually(() => before?.includes(true))
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  // One process and one bus: the issuer's state reaches the PDP within a moment, far below the second that V7 allows.
  await eventually(() => world.pdp.pdp.projection.ledger.revocations.sequence === 1 || undefined)
  acknowledged = true
  await Promise.all(callers)
  expect(before).toContain(true)
  expect(after).toHaveLength(24)
  expect(after).not.toContain(true)
})

it('checks again after the decision is durable: a revocation meanwhile denies it and takes it back (V2, V7)', async () => {
  const gate = Promise.withResolvers<void>()
  let holds = false
  await using system = await granted({
    wrapRecord: (record) => async (drafts) => {
      const published = await record(drafts)
      if (holds && drafts.some(({ type }) => type === 'decision.allowed')) await gate.promise
      return published
    },
  })
  const { world, point, credential, grant } = system
  holds = true
  const call = point.call({ credential, ...read })
  await eventually(() => system.taken() === 1n || undefined)
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  await eventually(() => world.pdp.pdp.projection.ledger.revocations.sequence === 1 || undefined)
  gate.resolve()
  expect(await call).toMatchObject({ decision: false, reason: 'grant_revoked' })
  await eventually(() => system.taken() === 0n || undefined)
})

it('checks freshness again: a decision that outlasts the proof of its state is a denial (V8)', async () => {
  const gate = Promise.withResolvers<void>()
  let holds = false
  let held = false
  await using system = await granted({
    pdp: { maxStalenessMs: 800 },
    wrapRecord: (record) => async (drafts) => {
      if (holds && drafts.some(({ type }) => type === 'decision.allowed')) {
        held = true
        await gate.promise
      }
      return record(drafts)
    },
  })
  holds = true
  const call = (async () => {
    // Repeats until a call gets this far: on a busy machine a head may be late earlier.
    for (;;) {
      const answer = await system.point.call({ credential: system.credential, ...read })
      if (held) return answer
    }
  })()
  await eventually(() => held)
  await system.world.issuer?.[Symbol.asyncDispose]()
  await eventually(() => !system.world.pdp.pdp.projection.fresh())
  gate.resolve()
  expect(await call).toMatchObject({ decision: false, reason: 'state_stale' })
  await eventually(async () =>
    (await system.world.events('decisions.v1')).find(({ type }) => type === 'decision.abandoned'),
  )
})

it('keeps a revocation through a restart of the PDP, and with the grant store emptied (V7)', async () => {
  await using system = await granted()
  const { world, credential, grant } = system
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  await world.store.adopt()
  const restarted = await world.startPdp()
  const point = new Point(world, restarted.http)
  expect(await point.call({ credential, ...read })).toMatchObject({ reason: 'grant_revoked' })
})

it('declares a burst of revocations without gap or loss (V7)', async () => {
  await using system = await granted()
  const { world } = system
  const targets = Array.from({ length: 40 }, (_, n) => `dlg_${String(n).padStart(20, '0')}`)
  const statuses = await Promise.all(targets.map((target) => world.revoke('delegation', target)))
  expect(new Set(statuses)).toEqual(new Set([200]))
  const events = await world.revocations()
  expect(events.map(({ version }) => version)).toEqual(targets.map((_, n) => n + 1))
  expect(await world.revoke('delegation', targets[0] ?? '')).toBe(200)
  expect(await world.revocations()).toHaveLength(40)
})

it('declares a withdrawal once, and stops the whole task with it (V7)', async () => {
  await using system = await granted()
  const { world, people, point, credential, grant } = system
  await people.withdraw(grant.requestId)
  await eventually(() => world.pdp.pdp.projection.ledger.revocations.sequence === 1 || undefined)
  expect(await point.call({ credential, ...read })).toMatchObject({ reason: 'grant_revoked' })
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer() // it folds the withdrawal again
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(await world.revocations()).toHaveLength(1)
})

it('denies state_stale once the issuer falls silent, and allows again when it is heard (V8)', async () => {
  await using system = await granted({ pdp: { maxStalenessMs: 800 } })
  const { world, point, credential } = system
  await world.issuer?.[Symbol.asyncDispose]()
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const answer = await point.call({ credential, ...read })
  expect(answer).toMatchObject({ decision: false, reason: 'state_stale' })
  expect(await system.event(answer.decisionId)).toMatchObject({ data: { reason: 'state_stale' } })
  await world.startIssuer()
  expect(await eventually(async () => ((await point.call({ credential, ...read })).decision ? true : undefined))).toBe(
    true,
  )
})

it('denies state_stale while a topic that the head names is held back, even if heads arrive (V8)', async () => {
  let bus: ReturnType<typeof faultyBus> | undefined
  await using system = await granted({
    pdpBus: (real) => {
      bus = faultyBus(real, () => undefined)
      return bus
    },
  })
  const { world, point, credential, grant } = system
  expect(await point.call({ credential, ...read })).toMatchObject({ decision: true })
  bus?.hold('revocations.v1')
  expect(await world.revoke('grant', grant.grantId)).toBe(200)
  // The next head names the revocation, which this PDP has not seen.
  await eventually(async () => (await point.call({ credential, ...read })).reason === 'state_stale')
  bus?.release('revocations.v1')
  const after: unknown[] = []
  await eventually(async () => {
    after.push((await point.call({ credential, ...read })).reason)
    return after.at(-1) === 'grant_revoked'
  })
  expect(after).not.toContain(undefined) // nothing was allowed
})
