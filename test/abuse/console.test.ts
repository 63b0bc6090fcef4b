import { randomBytes } from 'node:crypto'
import { type sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { System } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bytesOf, Person } from './person.ts'
import { answered, eventually, Scene } from './scene.ts'

let scene: Scene
let system: System
let owner: Person
beforeAll(async () => {
  scene = await Scene.bare()
  system = scene.system
  owner = new Person(system)
  await owner.enrol()
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

// Each request is for another duration, because an identical request is paused after a denial.
let length = 3600
const ask = async (name: (typeof sample.agents)[number] = 'reconciler') => {
  const agent = sampleAgent(system.host, name)
  const signed = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: ++length })
  return (await answered(() => agent.request(signed))).requestId
}
const ledger = () => system.services.policyDecision.pdp.projection.ledger
const grantsOf = async (requestId: string) => {
  await scene.readToEnds()
  return [...ledger().grants.trees.values()].filter(({ grant }) => grant.request_id === requestId)
}
const stateOf = async (requestId: string) => {
  await scene.readToEnds()
  return ledger().requests.requests.get(requestId)?.state
}

it('a page of another origin can do nothing with a person’s cookie, and cannot frame the console (V3)', async () => {
  const requestId = await ask()
  const { statement_hash, challenge } = await owner.rendered(requestId)
  const assertion = owner.passkey.sign(bytesOf(challenge))
  const foreign: Record<string, string | undefined>[] = [
    { origin: undefined },
    { origin: 'null' },
    { origin: 'http://thief.example' },
    { origin: `${system.url}.thief.example` },
    { origin: system.url.replace('http:', 'https:') },
    { origin: system.url.replace('localhost', '127.0.0.1') },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
  ]
  const paths: [string, unknown][] = [
    ['statement', {}],
    ['approve', { statement_hash, assertion }],
    ['deny', {}],
    ['withdraw', {}],
  ]
  for (const headers of foreign)
    for (const [verb, body] of paths) {
      const { status } = await owner.post(`requests/${requestId}/${verb}`, body, headers)
      expect([verb, headers, status]).toEqual([verb, headers, 'content-type' in headers ? 415 : 403])
    }
  for (const cookie of [
    '',
    '__Host-bailiwick=x',
    `${owner.cookie}; ${owner.cookie}`,
    owner.cookie.replace('__Host-', ''),
  ])
    expect((await owner.post(`requests/${requestId}/deny`, {}, { cookie })).status).toBe(401)
  expect(await stateOf(requestId)).toBe('pending')
  for (const path of ['/', '/console', '/console/index.html', '/console/api/hello']) {
    const { headers } = await fetch(`${system.url}${path}`)
    expect(headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'/)
    expect(headers.get('content-security-policy')).not.toMatch(/unsafe-inline|unsafe-eval/)
    expect(headers.get('access-control-allow-origin')).toBeNull()
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
  expect((await owner.approve(requestId, await owner.rendered(requestId))).status).toBe(200)
})

it('a statement can be signed once, only in the session and for the request that it was shown for (V10)', async () => {
  const [mine, other] = [await ask(), await ask('forecaster')]
  const shown = await owner.rendered(mine)
  const elsewhere = new Person(system)
  expect((await elsewhere.approve(mine, shown, owner.passkey)).code).toBe('caller_unauthenticated')
  const again = new Person(system, owner.passkey)
  expect((await again.signIn()).status).toBe(200)
  expect((await again.approve(mine, shown)).code).toBe('statement_unknown')
  expect((await owner.approve(other, shown)).code).toBe('statement_unknown')
  // The attempt used it up, as every challenge that is shown once.
  const fresh = await owner.rendered(mine)
  expect(
    (await owner.approve(mine, { ...fresh, challenge: randomBytes(32).toString('base64url') })).status,
  ).toBeGreaterThanOrEqual(400)
  const last = await owner.rendered(mine)
  for (const lies of [
    { userVerified: false },
    { userPresent: false },
    { origin: 'http://thief.example' },
    { type: 'webauthn.create' },
    { crossOrigin: true },
  ])
    expect(
      (await owner.approve(mine, await owner.rendered(mine), owner.passkey.raw(lies))).status,
    ).toBeGreaterThanOrEqual(400)
  expect(await grantsOf(mine)).toHaveLength(0)
  expect((await owner.approve(mine, last)).status).toBe(200)
  expect((await owner.approve(mine, last)).status).toBeGreaterThanOrEqual(400)
  expect(await grantsOf(mine)).toHaveLength(1)
  expect((await owner.post(`requests/${other}/deny`)).status).toBe(200)
  await expect(owner.rendered(other)).rejects.toThrow()
  expect((await owner.post(`requests/${other}/withdraw`)).status).toBeGreaterThanOrEqual(400)
})

it('exactly one of many concurrent, differently narrowed approvals of one request grants (V10)', async () => {
  const requestId = await ask()
  const shown = []
  for (const calls of [1, 2, 3, 4, 5, 6])
    shown.push(
      await owner.rendered(requestId, {
        authority: { ...sampleAuthority, budget: { ...sampleAuthority.budget, calls } },
      }),
    )
  const answers = await Promise.all(shown.map((each) => owner.approve(requestId, each)))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(await grantsOf(requestId)).toHaveLength(1)
  for (const wider of [
    { ...sampleAuthority, budget: { calls: 201, cost: { EUR: '2000.00' } } },
    { ...sampleAuthority, max_depth: 1 },
    {
      ...sampleAuthority,
      permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/delete' } }],
    },
    { ...sampleAuthority, task: 'another' },
  ])
    await expect(owner.rendered(await ask('forecaster'), { authority: wider })).rejects.toThrow()
})

it('no approval goes through for a request that its agent cancelled, or from a person who signed out (V3)', async () => {
  for (const { id } of (
    (await owner.send('GET', '/console/api/state')).body as unknown as { requests: { id: string }[] }
  ).requests)
    await owner.post(`requests/${id}/deny`)
  const requestId = await ask()
  const shown = await owner.rendered(requestId)
  await answered(() => sampleAgent(system.host, 'reconciler').cancel(requestId))
  expect((await owner.approve(requestId, shown)).status).toBeGreaterThanOrEqual(400)
  expect(await grantsOf(requestId)).toHaveLength(0)
  const next = await ask()
  const late = await owner.rendered(next)
  const { cookie } = owner
  expect((await owner.post('session/end')).status).toBe(200)
  owner.cookie = cookie
  expect((await owner.approve(next, late)).code).toBe('caller_unauthenticated')
  expect((await owner.signIn()).status).toBe(200)
  expect(await stateOf(next)).toBe('pending')
})

it('a person enrolled at the same console but outside the group can answer and withdraw nothing (V3)', async () => {
  const stranger = new Person(system)
  const passkey = await stranger.newPasskey()
  expect((await stranger.signIn()).status).toBeGreaterThanOrEqual(400)
  const value = {
    id: 'sam',
    name: 'Sam Stranger',
    groups: ['visitors'],
    credentials: [passkey],
  }
  const proposed = await scene.propose('approver', 'sam', value)
  const { request_id: change } = proposed.body
  expect(proposed.status).toBe(200)

  // The owner's signature for the registry approves no task, and a signature for a task changes no registry.
  const task = await ask('forecaster')
  const [forChange, forTask] = [await owner.rendered(change), await owner.rendered(task)]
  expect((await owner.approve(task, { ...forTask, challenge: forChange.challenge })).status).toBeGreaterThanOrEqual(400)
  expect((await owner.approve(change, { ...forChange, challenge: forTask.challenge })).status).toBeGreaterThanOrEqual(
    400,
  )
  expect((await owner.approve(task, await owner.rendered(change))).code).toBe('statement_unknown')
  expect(await grantsOf(task)).toHaveLength(0)

  expect((await owner.approve(change, await owner.rendered(change))).status).toBe(200)
  await eventually('Sam is there', () => ledger().registry.get('approver', 'sam'))
  expect((await stranger.signIn()).status).toBe(200)
  expect((await owner.approve(task, await owner.rendered(task))).status).toBe(200)
  expect((await stranger.post(`requests/${task}/withdraw`)).code).toBe('approver_not_in_group')
  const pending = await ask('forecaster')
  await expect(stranger.rendered(pending)).rejects.toThrow('approver_not_in_group')
  expect((await stranger.post(`requests/${pending}/deny`)).code).toBe('approver_not_in_group')
  // The owner's rendering, signed by another person.
  const shown = await owner.rendered(pending)
  expect((await owner.approve(pending, shown, stranger.passkey)).status).toBeGreaterThanOrEqual(400)
  expect(await stateOf(pending)).toBe('pending')
  expect(ledger().revocations.sequence).toBe(0)
})
