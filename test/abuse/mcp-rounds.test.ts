import { type PolicyFiles, paths } from '@bailiwick/installation'
import { parseVkey } from '@bailiwick/tlog'
import { parseBundle, verifyBundle } from '@bailiwick/verify'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { GatewayWorld, type McpAnswer, type McpClient } from '../e2e/gateway-world.ts'
import { eventually } from '../e2e/world.ts'
import { projectAdapters } from './scene.ts'

/* A call in several rounds (`input_required` of 2026-07-28): to count it never or twice, or to bring one call's permission to another. */

/** In a task of this name, no call may follow another. */
const oneCall = `@id("one-call") forbid (principal, action == Action::"tools/call", resource)
  when { context.grant.task == "counted" && context.history.task.calls >= 1 };`

let world: GatewayWorld
beforeAll(async () => {
  const policies = (starter: PolicyFiles) => new Map([...starter, ['counted.cedar', Buffer.from(oneCall)]] as const)
  world = await GatewayWorld.open({ adapters: projectAdapters, system: { policies } })
})
afterAll(() => world?.[Symbol.asyncDispose]())

/** A grant for so many calls, and for as many euros as one call costs. */
async function grantFor(calls: number, permission: object = {}, task = 'asked-in-rounds') {
  const on = (tool: string, more: object = {}) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id: `billing/${tool}` },
    ...more,
  })
  const cost = { amount: '/amount', currency: '/currency' }
  const authority = {
    type: 'bailiwick_task',
    task,
    permissions: [
      on('read', { max_uses: calls, ...permission }),
      on('adjust', { where: { '/amount': { max: '500' } }, cost }),
    ],
    budget: { calls, cost: { EUR: '100.00' } },
    max_depth: 0,
    max_children: 0,
  }
  return world.granted(authority)
}
const clientFor = async (calls: number, permission: object = {}): Promise<McpClient> =>
  world.client('billing', 'modern', await grantFor(calls, permission))

/** Why a call that counts is denied when there is none left. */
const nothingLeft = /^(uses|budget)_(exhausted|reserved)$/

const yes = { amount: { action: 'accept', content: { amount: 5 } } }
const first = (client: McpClient, args: object = { ask: 1 }, name = 'read') => client.call(name, { ...args })
const further = (client: McpClient, state: unknown, args: object = { ask: 1 }, name = 'read') =>
  client.ask('tools/call', { name, arguments: args, inputResponses: yes, requestState: state })
const stateIn = ({ message, text }: McpAnswer) => {
  if (message?.result?.resultType !== 'input_required') throw new Error(`nothing was asked: ${text}`)
  return message.result.requestState
}
const codeOf = ({ message }: McpAnswer) => message?.error?.data.code ?? message?.result?.resultType
const effects = () => world.http.state.effects.length

/** The events of decisions, by the id of their decision. */
async function decided(
  decisions: (string | null)[],
): Promise<Record<string, { type: string; data: Record<string, unknown> }[]>> {
  const seen: Record<string, { type: string; data: Record<string, unknown> }[]> = {}
  await using follower = await world.system.bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const { type, subject, data } = JSON.parse(Buffer.from(bytes).toString())
      if (decisions.includes(subject)) seen[subject] = [...(seen[subject] ?? []), { type, data }]
    }
  })
  await follower.caughtUp
  return seen
}
const decisionOf = ({ headers }: McpAnswer) => headers.get('bailiwick-decision-id')

it('counts once, and ends once, with the last call of its budget (V9)', async () => {
  const client = await clientFor(1)
  const args = { amount: 100, currency: 'EUR', ask: 2 }
  const before = effects()
  const one = await first(client, args, 'adjust')
  const two = await further(client, stateIn(one), args, 'adjust')
  const three = await further(client, stateIn(two), args, 'adjust')
  expect([codeOf(three), effects() - before]).toEqual(['complete', 1])
  expect(codeOf(await first(client, {}))).toMatch(nothingLeft)
  const rounds = [one, two, three].map(decisionOf)
  const told = await eventually(async () => {
    const events = await decided(rounds)
    return rounds.every((id) => events[String(id)]?.length === 2) ? events : undefined
  })
  const statuses = rounds.map((id) => told[String(id)]?.[1]?.data.status)
  expect(statuses).toEqual(['continued', 'continued', 'succeeded'])
  const allowed = rounds.map((id) => told[String(id)]?.[0]?.data)
  expect(allowed.map((data) => data?.reserved)).toMatchObject([
    { calls: 1, cost: { EUR: '100' } },
    { calls: 0, cost: {} },
    { calls: 0, cost: {} },
  ])
  expect(allowed.map((data) => Object(data?.continues).decision_id)).toEqual([undefined, rounds[0], rounds[1]])
})

it('shows each round in its trace, and proves each by a bundle (V3)', async () => {
  const grant = await grantFor(1)
  const client = await world.client('billing', 'modern', grant)
  const one = await first(client)
  const two = await further(client, stateIn(one))
  const { operator } = world.system.host
  const get = async (url: string) => (await operator.inject({ method: 'GET', url })).body
  const log = parseVkey(world.system.trust.log.vkey) ?? expect.fail('no key')
  for (const id of [grant.requestId, decisionOf(one), decisionOf(two)]) {
    const told = await eventually(async () => {
      const { steps = [], verified } = JSON.parse(await get(`/v1/trace/${id}`))
      return steps.some(({ type }: { type: string }) => type === 'outcome.reported') ? { steps, verified } : undefined
    })
    expect(told.steps.filter((step: { verified: boolean }) => !step.verified)).toEqual([])
    expect(told.verified).toBe(true)
    const report = await eventually(async () => {
      const text = await get(`/v1/bundle/${id}`)
      return text.startsWith('{"code"') || text.includes('"entity_unknown"') ? undefined : text
    })
    expect(await verifyBundle(parseBundle(Buffer.from(report)), { log })).toMatchObject({ ok: true })
  }
})

it('a policy that counts calls does not count a call against itself (V9)', async () => {
  const client = await world.client('billing', 'modern', await grantFor(2, {}, 'counted'))
  const one = await first(client)
  expect(codeOf(await further(client, stateIn(one)))).toBe('complete')
  expect(codeOf(await first(client))).toBe('policy_denied')
})

it('answers that were sent before are a call of their own (V10)', async () => {
  const client = await clientFor(1)
  const state = stateIn(await first(client))
  expect(codeOf(await further(client, state))).toBe('complete')
  const before = effects()
  expect(codeOf(await further(client, state))).toMatch(nothingLeft)
  expect(effects()).toBe(before)
})

it.each<[string, (state: unknown) => [state: unknown, args: object, name?: string]]>([
  ['other arguments', (state) => [state, { ask: 1, invoice: 'another' }]],
  ['another tool', (state) => [state, { ask: 1, amount: 1, currency: 'EUR' }, 'adjust']],
  ['a state that the server did not give', (state) => [`${state}0`, { ask: 1 }]],
  ['no state', () => [undefined, { ask: 1 }]],
])('answers with %s are a call of their own (V9)', async (_, swap) => {
  const client = await clientFor(1)
  const state = stateIn(await first(client))
  const before = effects()
  expect(codeOf(await further(client, ...swap(state)))).toMatch(nothingLeft)
  expect(effects()).toBe(before)
  expect(codeOf(await further(client, state))).toBe('complete')
})

it('of another grant is a call of its own there, and takes nothing from this one (V9)', async () => {
  const [mine, theirs] = [await clientFor(1), await clientFor(1)]
  const state = stateIn(await first(mine))
  expect(codeOf(await further(theirs, state))).toBe('complete')
  expect(codeOf(await further(theirs, state))).toMatch(nothingLeft)
  expect(codeOf(await further(mine, state))).toBe('complete')
})

it('goes on once if its answers are sent many times at the same moment (V9, V10)', async () => {
  const client = await clientFor(1)
  const state = stateIn(await first(client))
  const before = effects()
  const answers = await Promise.all(Array.from({ length: 5 }, () => further(client, state)))
  const codes = answers.map(codeOf)
  expect(codes.filter((code) => code === 'complete')).toHaveLength(1)
  expect(codes.filter((code) => nothingLeft.test(code))).toHaveLength(4)
  expect(effects() - before).toBe(1)
})

it('has an end, though its server asks for ever (V9)', async () => {
  const client = await clientFor(1)
  const args = { ask: 99 }
  let state = stateIn(await first(client, args))
  for (let round = 2; round <= 10; round++) state = stateIn(await further(client, state, args))
  const reached = () => world.http.arrived.filter(({ body }) => body.includes('"tools/call"')).length
  const before = reached()
  for (let again = 0; again < 2; again++) expect(codeOf(await further(client, state, args))).toBe('rounds_exhausted')
  expect(reached()).toBe(before)
})

it('a call that began with answers does not go on as one: each of its rounds counts', async () => {
  const client = await clientFor(2)
  const state = stateIn(await further(client, '0', { ask: 2 }))
  expect(codeOf(await further(client, state, { ask: 2 }))).toBe('input_required')
  expect(codeOf(await further(client, '2', { ask: 2 }))).toMatch(nothingLeft)
})

it('answers do not escape a permission whose arguments are closed: each round is decided (V3)', async () => {
  const client = await clientFor(1, { where: { '/ask': { max: '1' } }, arguments: 'closed' })
  const state = stateIn(await first(client))
  const before = effects()
  expect(codeOf(await further(client, state))).toBe('argument_out_of_bounds')
  expect(effects()).toBe(before)
})

it('does not go on once its task is withdrawn (V7)', async () => {
  const grant = await grantFor(2)
  const client = await world.client('billing', 'modern', grant)
  const state = stateIn(await first(client))
  const before = effects()
  await world.approver.withdraw(grant.requestId)
  await eventually(async () => (codeOf(await first(client)) === 'input_required' ? undefined : true))
  expect(codeOf(await further(client, state))).toBe('grant_revoked')
  expect(effects()).toBe(before)
})

it('leaves a log in which an auditor finds nothing wrong', async () => {
  const { log, trust } = paths(world.system.data)
  const findings = await eventually(async () => {
    const seen = (await audit({ logDir: log, trustPath: trust })).findings
    return seen.length === 0 ? seen : undefined
  })
  expect(findings).toEqual([])
})
