import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, type CallAsk, read, strangersKey } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { Thief } from './thief.ts'
import { eventually } from './world.ts'

interface Item {
  decision: boolean
  context: { decision_id: string; permit?: string; reason?: string; error?: { status: number } }
}

type Semantic = 'execute_all' | 'deny_on_first_deny' | 'permit_on_first_permit'

/** Asks for all of it in one request; each item has its own credential and proof. */
async function boxcar(system: Granted, asks: readonly CallAsk[], semantic?: Semantic): Promise<Item[]> {
  const { point, credential } = system
  const evaluations = asks.map((ask) => point.body({ credential, ...ask }).body)
  const options = semantic ? { options: { evaluations_semantic: semantic } } : {}
  const answer = await point.send({ evaluations, ...options }, undefined, 'evaluations')
  expect(answer.statusCode, answer.body).toBe(200)
  return answer.json().evaluations
}

const said = (items: readonly Item[]) => items.map(({ decision, context }) => (decision ? true : context.reason))
const times = (count: number, ask: CallAsk = read): CallAsk[] => Array.from({ length: count }, () => ask)

it('of 64 items with 10 calls left, exactly the first 10 get ALLOW (V9)', async () => {
  await using system = await granted({}, { authority: { ...sampleAuthority, budget: { calls: 10 } } })
  const items = await boxcar(system, times(64))
  expect(said(items)).toEqual([...Array(10).fill(true), ...Array(54).fill('budget_reserved')])
  expect(system.taken()).toBe(10n)
  const allowed = (await system.world.events('decisions.v1')).filter(({ type }) => type === 'decision.allowed')
  expect(allowed.map(({ subject }) => subject)).toEqual(items.slice(0, 10).map(({ context }) => context.decision_id))
  expect(new Set(items.map(({ context }) => context.permit)).size).toBe(11)
})

it('each item is a decision with an event of its own (V2)', async () => {
  await using system = await granted()
  const asks = [read, adjust('501'), { tool: 'delete' }, read, { ...read, proofKey: strangersKey() }]
  const items = await boxcar(system, asks)
  expect(said(items)).toEqual([true, 'argument_out_of_bounds', 'action_not_granted', true, 'proof_key_mismatch'])
  for (const { decision, context } of items) {
    const event = await system.event(context.decision_id)
    expect(event.type).toBe(decision ? 'decision.allowed' : 'decision.denied')
  }
  const events = await system.world.events('decisions.v1')
  for (const { context } of items)
    expect(events.filter(({ subject }) => subject === context.decision_id)).toHaveLength(1)
})

it.each<[Semantic, CallAsk[], unknown[], bigint]>([
  ['deny_on_first_deny', [read, read, adjust('501'), read, read], [true, true, 'argument_out_of_bounds'], 2n],
  ['deny_on_first_deny', [{ ...read, proofKey: strangersKey() }, read], ['proof_key_mismatch'], 0n],
  ['permit_on_first_permit', [adjust('501'), read, read], ['argument_out_of_bounds', true], 1n],
])('%s spends nothing after the item that ends it', async (semantic, asks, expected, taken) => {
  await using system = await granted()
  expect(said(await boxcar(system, asks, semantic))).toEqual(expected)
  expect(system.taken()).toBe(taken)
  const allowed = (await system.world.events('decisions.v1')).filter(({ type }) => type === 'decision.allowed')
  expect(allowed).toHaveLength(Number(taken))
})

it('a call id in two items is one decision for one action, and a conflict for two actions (V10)', async () => {
  await using system = await granted()
  const observed = { call_id: 'call_0123456789abcdef' }
  const items = await boxcar(system, [
    { ...read, observed },
    { ...read, observed },
    { ...adjust('1'), observed },
  ])
  expect(said(items)).toEqual([true, true, 'call_conflict'])
  expect(items[1]?.context.permit).toBe(items[0]?.context.permit)
  expect(system.taken()).toBe(1n)
})

it('a proof counts once: in a default context it works for one item (V10)', async () => {
  await using system = await granted()
  const { context, ...rest } = system.point.body({ credential: system.credential, ...read }).body
  const answer = await system.point.send({ context, evaluations: [rest, rest, rest] }, undefined, 'evaluations')
  expect(said(answer.json().evaluations).sort()).toEqual(['proof_replayed', 'proof_replayed', true].sort())
  expect(system.taken()).toBe(1n)
})

it('an item that has to wait for the log does not delay the items after it (V18)', async () => {
  await using system = await granted()
  const thief = await Thief.of(system.world, 'issuer')
  const unrecorded = thief.sign(thief.credential(system.grant))
  const items = await boxcar(system, [{ ...read, credential: unrecorded }, read, read])
  expect(said(items)).toEqual(['credential_unrecorded', true, true])
})

it('an item too large for an event is denied alone, and takes nothing (V9, V18)', async () => {
  const [reading] = sampleAuthority.permissions
  const notes = Array.from({ length: 32 }, (_, n) => `note-${n}`)
  const where = Object.fromEntries(notes.map((note) => [`/${note}`, { prefix: 'n' }]))
  await using system = await granted({}, { authority: { ...sampleAuthority, permissions: [{ ...reading, where }] } })
  const noted = (length: number): CallAsk => ({
    ...read,
    properties: Object.fromEntries(notes.map((note) => [note, 'n'.repeat(length)])),
  })
  const items = await boxcar(system, [noted(1), noted(2048), noted(1), noted(1)])
  expect(said(items)).toEqual([true, 'request_too_large', true, true])
  expect(system.taken()).toBe(3n)
})

it('many items of one task share a few durable writes', async () => {
  let batches = 0
  await using system = await granted({
    wrapRecord: (record) => (drafts) => {
      if (drafts.some(({ type }) => type === 'decision.allowed')) batches++
      return record(drafts)
    },
  })
  expect(said(await boxcar(system, times(40)))).toEqual(Array(40).fill(true))
  expect(batches).toBeLessThanOrEqual(10)
})

it('searches find what would be allowed, take nothing and leave no event', async () => {
  await using system = await granted(
    {},
    { authority: { ...sampleAuthority, budget: { calls: 1, cost: { EUR: '10' } } } },
  )
  const { point, credential, world } = system
  const search = async (entity: string, over: object = {}, ask: CallAsk = {}) => {
    // The agent's proof is for its request, and for no action.
    const { body } = point.body({
      credential,
      ...ask,
      proof: { actionDigest: undefined, ...ask.proof },
      observed: { action_digest: undefined, ...ask.observed },
    })
    const answer = await point.send({ ...body, ...over }, undefined, `search/${entity}`)
    expect(answer.statusCode, answer.body).toBe(200)
    return answer.json()
  }
  const tool = { type: 'tool', id: `${sample.toolServer}/read` }
  // Earlier denials are recorded after their answers: the request for a nonce, and the call that fetched it.
  await eventually(async () => (await world.events('decisions.v1')).length >= 2)
  expect(await search('resource')).toEqual({ results: [tool] })
  const beginning = (prefix: string) => search('resource', {}, { observed: { resource_prefix: prefix } })
  expect(await beginning(`${sample.toolServer}/`)).toEqual({ results: [tool] })
  expect(await beginning('another/')).toEqual({ results: [] })
  expect(await search('action', { resource: tool })).toEqual({ results: [{ name: 'tools/call' }] })
  const { subject } = point.body({ credential }).body
  expect(await search('subject', { resource: tool, subject: { type: 'agent' } })).toEqual({ results: [subject] })
  expect(await search('subject', { resource: tool, subject: { type: 'user' } })).toEqual({ results: [] })
  const priced = { action: { name: 'tools/call', properties: { amount: '5', currency: 'EUR' } } }
  expect((await search('resource', priced)).results).toContainEqual({ type: 'tool', id: `${sample.toolServer}/adjust` })
  expect(
    await search('resource', { subject: { type: 'agent', id: 'spiffe://bailiwick.local/agent/forecaster/i1' } }),
  ).toMatchObject({
    results: [],
  })
  expect(await search('resource', {}, { proofKey: strangersKey() })).toMatchObject({ results: [], context: {} })
  expect(await search('resource', {}, { credential: undefined })).toMatchObject({
    results: [],
    context: { reason: 'credential_missing' },
  })
  expect(system.taken()).toBe(0n)
  expect((await world.events('decisions.v1')).map(({ type }) => type)).toEqual(['decision.denied', 'decision.denied'])

  expect((await point.call({ credential, ...read })).decision).toBe(true)
  await eventually(async () => system.taken() === 1n || undefined)
  expect(await search('resource')).toEqual({ results: [] })
})
