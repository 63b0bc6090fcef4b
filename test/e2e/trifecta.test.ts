import { setTimeout as pause } from 'node:timers/promises'
import { serialize } from 'node:v8'
import { faultyBus } from '@bailiwick/bus'
import { newId } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { agentId, askTokenWithNonce, type CallAnswer, credentialFor, Point } from './agent-side.ts'
import { granted } from './granted.ts'
import { by, passedOn, reconcilerOf, SubAgents, sdkOf } from './sub-agents.ts'
import { trifecta, withTools } from './trifecta.ts'
import { eventually } from './world.ts'

const steps = ['read', 'fetch', 'send'] as const
type Step = (typeof steps)[number]
const orders: Step[][] = steps.flatMap((first) =>
  steps
    .filter((each) => each !== first)
    .map((second) => [first, second, ...steps.filter((each) => each !== first && each !== second)]),
)
/**
 * All orders at night; otherwise a different one for each split, because each order needs a world of its own.
 * `trifecta-orders.test.ts` folds all of them.
 */
const ordersOf = (n: number) => (process.env.BAILIWICK_NIGHTLY === '1' ? orders : [orders[n % orders.length] ?? []])
/** The number of calls between taint and sending. */
const fillers = process.env.BAILIWICK_NIGHTLY === '1' ? 10_000 : 300
const together = 50
const patient = { timeout: process.env.BAILIWICK_NIGHTLY === '1' ? 300_000 : 120_000 }
const authority = { ...trifecta.authority, max_depth: passedOn.max_depth, max_children: passedOn.max_children }

/** A task with sub-agents, a second task of its agent, a second instance of it, and a second decision point that hears late. */
async function scene() {
  await using opened = new AsyncDisposableStack()
  const subs = new SubAgents(3)
  const system = opened.use(
    await granted({ entities: (all) => withTools(subs.entities(all)), policies: trifecta.policies() }, { authority }),
  )
  const { world, people, point } = system
  const late = faultyBus(world.bus, () => undefined)
  const second = await world.startPdp(late)
  const there = new Point(world, second.http)
  const parent = sdkOf(world, reconcilerOf(world))
  const expiresAt = world.clock.now() + 3_000_000
  const call = (tool: string, at: Point = point, credential = system.credential) =>
    at.call({ credential, tool, properties: {} })
  const part = { ...authority, budget: { calls: 20, cost: {} } }
  const handOver = async (
    n: number,
    from = parent,
    of: Parameters<typeof parent.delegate>[0]['of'] = { grantId: system.grant.grantId },
  ) => {
    const { id, key } = subs.at(n)
    const { delegation } = await from.delegate({ of, to: id, key: key.kid, authority: part, expiresAt })
    const { token } = await sdkOf(world, subs.at(n)).credential({ delegation })
    return { delegation, call: (tool: string) => point.call(by(subs.at(n), token, { tool, properties: {} })) }
  }
  /** The forecaster is another agent of the same owner. */
  const colleague = async () => {
    const { grantId } = await people.grant({ agent: 'forecaster', authority })
    const details = [{ type: 'bailiwick_grant', grant_id: grantId }]
    const { token } = await eventually(async () => {
      const answer = await askTokenWithNonce(world, { agent: 'forecaster', details })
      return answer.token === undefined ? undefined : answer
    })
    const own = { credential: token, proofKey: sampleKey(world.data, 'forecaster'), subject: agentId('forecaster') }
    return (tool: string, at: Point = point) => at.call({ ...own, tool, properties: {} })
  }
  await call('other', there).catch(() => undefined) // fetches the nonce
  const owned = opened.move()
  return {
    ...{ system, world, people, subs, point, there, late, call, handOver, colleague },
    anotherTask: async () => credentialFor(world, (await people.grant({ authority })).grantId),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
type Scene = Awaited<ReturnType<typeof scene>>

/** The agent of each step. */
const splits: Record<string, (it: Scene) => Promise<((tool: string) => Promise<CallAnswer>)[]>> = {
  'one agent': async ({ call }) => steps.map(() => (tool: string) => call(tool)),
  'three siblings': async ({ handOver }) =>
    (await Promise.all([0, 1, 2].map((n) => handOver(n)))).map((each) => each.call),
  'an agent, its sub-agent, and the sub-agent of that': async ({ call, handOver, subs, world }) => {
    const child = await handOver(0)
    const grandchild = await handOver(1, sdkOf(world, subs.at(0)), { delegation: child.delegation })
    return [grandchild.call, (tool) => call(tool), child.call]
  },
  'three tasks of one agent': async ({ call, point, anotherTask }) => {
    const others = [await anotherTask(), await anotherTask()]
    return [(tool) => call(tool), ...others.map((credential) => (tool: string) => call(tool, point, credential))]
  },
  'two agents of one owner, each under its own grant': async ({ call, colleague, there }) => {
    const theirs = await colleague()
    return [(tool) => call(tool), theirs, (tool) => theirs(tool, there)]
  },
  'two agents of one owner, a delegation made before, and one made after': async ({ colleague, handOver }) => {
    const [before, theirs] = [await handOver(0), await colleague()]
    let after: Promise<Awaited<ReturnType<typeof handOver>>> | undefined
    const lately = async (tool: string) => {
      after ??= handOver(1)
      return (await after).call(tool)
    }
    return [before.call, theirs, lately]
  },
  'two decision points and two tasks, where one point hears late': async ({ call, there, late, anotherTask }) => {
    const other = await anotherTask()
    const lately = async (tool: string) => {
      // The other instance's answer is on the log, and has not arrived here yet.
      late.hold('decisions.v1')
      const answer = call(tool, there, other)
      await pause(100)
      late.release('decisions.v1')
      return answer
    }
    return [(tool) => call(tool), lately, lately]
  },
}

describe('the lethal trifecta, one step each by', () => {
  it.each(Object.keys(splits).map((how, n) => ({ how, n })))(
    '$how: nothing leaves after private data and untrusted content',
    patient,
    async ({ how, n }) => {
      for (const order of ordersOf(n)) {
        await using it = await scene()
        const who = await (splits[how] as (typeof splits)[string])(it)
        const answers = []
        for (const [n, tool] of order.entries()) answers.push(await who[n]?.(tool))
        const leaves = order.indexOf('send') < 2
        expect(
          answers.map((answer) => answer?.reason ?? answer?.decision),
          order.join(),
        ).toEqual(leaves ? [true, true, true] : [true, true, 'policy_denied'])
        // Whichever step came last: from now on sending is blocked for each of them.
        for (const act of who) expect(await act('send')).toMatchObject({ reason: 'policy_denied' })
      }
    },
  )
})

it(
  'sees what another instance answered in another task before this call, however late the news arrives (V8)',
  patient,
  async () => {
    await using it = await scene()
    const other = await it.anotherTask()
    for (const tool of ['read', 'fetch']) {
      it.late.hold('decisions.v1')
      expect(await it.call(tool)).toMatchObject({ decision: true })
      it.late.release('decisions.v1')
    }
    it.late.hold('decisions.v1')
    const { decisionId } = await it.call('other')
    expect(await it.system.event(decisionId)).toMatchObject({ type: 'decision.allowed' })
    const sending = it.call('send', it.there, other)
    await pause(100)
    it.late.release('decisions.v1')
    expect(await sending).toMatchObject({ reason: 'policy_denied' })
  },
)

it('stays blocked after any number of other calls, and the agent’s history does not grow with them (V18)', {
  timeout: 300_000 + fillers * 100,
}, async () => {
  const budget = { calls: 2 * fillers, cost: {} }
  await using it = await granted(
    { entities: withTools, policies: trifecta.policies() },
    { authority: { ...authority, budget } },
  )
  const { world, point } = it
  const call = (tool: string, credential: string) => point.call({ credential, tool, properties: {} })
  /** Allowed, executed and reported; on a busy machine, repeated until it is. */
  const filler = (credential: string) =>
    eventually(async () => {
      const call_id = newId('call', world.clock.now(), world.random)
      const answer = await point.call({ credential, tool: 'other', properties: {}, observed: { call_id } })
      if (!answer.decision) return undefined
      const told = point.outcome(answer, call_id, 'succeeded')
      return eventually(async () => (await point.report(told)) < 300 || undefined)
    })
  const tainted = [await call('read', it.credential), await call('fetch', it.credential)]
  expect(tainted.map(({ decision }) => decision)).toEqual([true, true])
  const { history } = world.pdp.pdp.projection.ledger.decisions
  const agent = reconcilerOf(world).id.split('/').slice(0, -1).join('/')
  const memory: number[] = []
  for (let done = 0; done < fillers; done += together) {
    // Each batch has a credential of its own: credentials live for minutes.
    const credential = await credentialFor(world, it.grant.grantId)
    await Promise.all(Array.from({ length: together }, () => filler(credential)))
    memory.push(serialize(history.of(agent, world.clock.now())).length)
  }
  const credential = await credentialFor(world, it.grant.grantId)
  expect(await call('send', credential)).toMatchObject({ reason: 'policy_denied' })
  console.log(
    `trifecta: ${fillers} calls, each allowed, executed and reported, between the tainting calls and a send, which is denied`,
  )
  expect(history.of(agent, world.clock.now()).calls).toBeGreaterThanOrEqual(2 + fillers)
  // The history that a policy reads, and that a decision carries, is as large after all of them as after the first.
  expect(memory.at(-1)).toBeLessThan((memory[0] ?? 0) + 64)
})

it('denies state_stale when it cannot read what other instances decided (V8)', patient, async () => {
  let broken = false
  let asked = 0
  await using it = await granted(
    {
      entities: withTools,
      policies: trifecta.policies(),
      pdpBus: (bus) =>
        faultyBus(bus, ({ method, topic }) => {
          if (method !== 'ends' || topic !== 'decisions.v1') return undefined
          asked++
          return broken ? 'before' : undefined
        }),
    },
    { authority },
  )
  const before = asked
  expect(await it.point.call({ credential: it.credential, tool: 'read', properties: {} })).toMatchObject({
    decision: true,
  })
  expect(asked).toBeGreaterThan(before)
  broken = true
  expect(await it.point.call({ credential: it.credential, tool: 'read', properties: {} })).toMatchObject({
    reason: 'state_stale',
  })
})

it('counts an agent’s denials in all its tasks, and does not count returned calls', patient, async () => {
  const rule =
    '@id("probing") forbid (principal, action, resource) when { context has history && context.history.agent.denials > 2 };\n' +
    '@id("thrice") forbid (principal, action == Action::"tools/call", resource) when { context.history.task.count.reads_private >= 1 };'
  await using it = await granted({ entities: withTools, policies: trifecta.policies(rule) }, { authority })
  const { world, people } = it
  const call = async (tool: string, credential = it.credential) => it.point.call({ credential, tool, properties: {} })
  const first = await call('read')
  expect(first.decision).toBe(true)
  expect(await call('read')).toMatchObject({ reason: 'policy_denied' })
  const { data } = await it.event(first.decisionId)
  const callId = 'call_id' in data ? (data.call_id ?? '') : ''
  expect(await it.point.report(it.point.outcome(first, callId, 'not_executed'))).toBeLessThan(300)
  expect(await call('read')).toMatchObject({ decision: true })
  for (let n = 0; n < 2; n++) expect(await call('never_granted')).toMatchObject({ decision: false })
  const agent = reconcilerOf(world).id.split('/').slice(0, -1).join('/')
  const { history } = world.pdp.pdp.projection.ledger.decisions
  await eventually(() => history.of(agent, world.clock.now()).denials > 2 || undefined)
  const other = await credentialFor(world, (await people.grant({ authority })).grantId)
  const refused = await call('read', other)
  expect(refused).toMatchObject({ reason: 'policy_denied' })
  expect(await it.event(refused.decisionId)).toMatchObject({ data: { policies: ['probing'] } })
})
