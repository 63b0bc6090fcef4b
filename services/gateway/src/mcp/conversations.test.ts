import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Channel } from '../servers/channel.ts'
import { Conversations, type Held } from './conversations.ts'
import { Shares } from './shares.ts'

function aChannel() {
  const channel = {
    era: 'legacy' as const,
    isOver: false,
    ended: 0,
    onListChanged: () => undefined,
    mayAsk: () => false,
    deny: () => undefined,
    exchange: async () => ({ status: 200, headers: [], body: (async function* () {})() }),
    async end() {
      channel.isOver = true
      channel.ended++
    },
  }
  return channel satisfies Channel
}

const owner = (name: string, grant = 'grt_1') => ({ grant, key: name, agent: name })
const limits = { perOwner: 2, most: 3, idleMs: 60_000 }

it('finds a session for its owner alone', async () => {
  await using all = new Conversations(testClock(), limits)
  const made = await all.add(owner('a'), 's1', async () => aChannel())
  expect(all.find(owner('a'), 's1')).toBe(made)
  for (const [who, session] of [
    [owner('b'), 's1'],
    [owner('a'), 's2'],
    [owner('a'), ''],
  ] as const)
    expect(() => all.find(who, session)).toThrow('mcp_session_unknown')
})

it('opens one conversation for callers that come at once', async () => {
  await using all = new Conversations(testClock(), limits)
  let opened = 0
  const open = async () => {
    opened++
    return aChannel()
  }
  const made = await Promise.all(Array.from({ length: 5 }, () => all.ofOwner(owner('a'), open)))
  expect([opened, new Set(made).size]).toEqual([1, 1])
})

it('bounds what one owner holds, and what all hold together (V18)', async () => {
  await using all = new Conversations(testClock(), limits)
  const add = (name: string, session: string) => all.add(owner(name), session, async () => aChannel())
  await add('a', '1')
  await add('a', '2')
  await expect(add('a', '3')).rejects.toMatchObject({ code: 'queue_full' })
  await add('b', '4')
  await expect(add('c', '5')).rejects.toMatchObject({ code: 'queue_full' })
})

it('counts what an owner has of the server as it was reached before, until that ends (V18)', async () => {
  const held: Held = new Set()
  await using before = new Conversations(testClock(), limits, held)
  await using all = new Conversations(testClock(), limits, held)
  const add = (to: Conversations, name: string) => to.add(owner('a'), name, async () => aChannel())
  const first = await add(before, '1')
  await add(before, '2')
  await expect(add(all, '3')).rejects.toMatchObject({ code: 'queue_full' })
  await before.end(first)
  await add(all, '3')
  await expect(add(all, '4')).rejects.toMatchObject({ code: 'queue_full' })
  await before.endOwners((key) => key === owner('a').key)
  await add(all, '4')
  expect([before.size, all.size, held.size]).toEqual([0, 2, 2])
})

it.each(['processes', 'sessions'] as const)(
  'bounds the %s of an agent over several servers, until one of them ends (V18)',
  async (kind) => {
    const shares = new Shares(() => ({ streams: 1, processes: 2, sessions: 2 }))
    const bounded = { ...limits, check: ({ agent }: { agent: string }) => shares.checkHeld(kind, agent) }
    const server = () => new Conversations(testClock(), bounded, new Set(), [shares[kind]])
    await using one = server()
    await using two = server()
    const opened: string[] = []
    const add = (to: Conversations, name: string, session: string) =>
      to.add(owner(name), session, async () => {
        opened.push(session)
        return aChannel()
      })
    const first = await add(one, 'a', '1')
    await add(two, 'a', '2')
    for (const server of [one, two]) await expect(add(server, 'a', '3')).rejects.toMatchObject({ code: 'queue_full' })
    await add(two, 'b', '4')
    await one.end(first)
    await add(two, 'a', '5')
    await expect(add(one, 'a', '6')).rejects.toMatchObject({ code: 'queue_full' })
    expect(opened).toEqual(['1', '2', '4', '5'])
    await two.endGrant('grt_1')
    expect(shares[kind].size).toBe(0)
  },
)

it('counts what is being opened, before it opens more (V18)', async () => {
  await using all = new Conversations(testClock(), limits)
  const begun = Promise.withResolvers<void>()
  let opened = 0
  const adding = Array.from({ length: 10 }, (_, n) =>
    all.add(owner('a'), `s${n}`, async () => {
      opened++
      await begun.promise
      return aChannel()
    }),
  )
  const settled = Promise.allSettled(adding)
  begun.resolve()
  expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(limits.perOwner)
  expect(opened).toBe(limits.perOwner)
  await all.endGrant('grt_1')
  expect((await all.add(owner('a'), 'again', async () => aChannel())).session).toBe('again')
})

it('ends what is still being opened when its grant ends', async () => {
  await using all = new Conversations(testClock(), limits)
  const [begun, channel] = [Promise.withResolvers<void>(), aChannel()]
  const adding = all.add(owner('a'), '1', async () => {
    await begun.promise
    return channel
  })
  await all.endGrant('grt_1')
  begun.resolve()
  await expect(adding).rejects.toMatchObject({ code: 'mcp_session_unknown' })
  expect([channel.ended, all.size]).toEqual([1, 0])
})

it('ends what one holder of a grant has, and nothing of another holder', async () => {
  await using all = new Conversations(testClock(), limits)
  const [parent, child] = [aChannel(), aChannel()]
  await all.add(owner('parent'), '1', async () => parent)
  await all.add(owner('child'), '2', async () => child)
  await all.endOwner(owner('child'))
  expect([parent.ended, child.ended]).toEqual([0, 1])
})

it('ends what a grant has, and nothing of another', async () => {
  await using all = new Conversations(testClock(), limits)
  const [one, two] = [aChannel(), aChannel()]
  await all.add(owner('a', 'grt_1'), '1', async () => one)
  await all.add(owner('b', 'grt_2'), '2', async () => two)
  await all.endGrant('grt_1')
  expect([one.ended, two.ended, all.size]).toEqual([1, 0, 1])
  expect(() => all.find(owner('a', 'grt_1'), '1')).toThrow('mcp_session_unknown')
})

it('ends what is silent for too long', async () => {
  const clock = testClock()
  await using all = new Conversations(clock, limits)
  const channel = aChannel()
  await all.add(owner('a'), '1', async () => channel)
  clock.advance(limits.idleMs - 1)
  all.use(all.find(owner('a'), '1'))
  clock.advance(limits.idleMs)
  await all.add(owner('b'), '2', async () => aChannel())
  expect(channel.ended).toBe(0)
  clock.advance(1)
  // Found by a claim that is not verified.
  all.find(owner('a'), '1')
  await all.add(owner('b'), '3', async () => aChannel())
  expect(channel.ended).toBe(1)
})

it('reads a server again when it says that its lists changed', async () => {
  await using all = new Conversations(testClock(), limits)
  const channel = aChannel()
  const made = await all.add(owner('a'), '1', async () => channel)
  made.observed = { manifest: {} as never, hash: 'h', at: 0 }
  channel.onListChanged()
  expect(made.observed).toBeUndefined()
})

it('ends what was being opened while everything ended, and opens nothing afterwards', async () => {
  const all = new Conversations(testClock(), limits)
  const [begun, channel] = [Promise.withResolvers<void>(), aChannel()]
  let opened = 0
  const open = async () => {
    opened++
    await begun.promise
    return channel
  }
  const adding = all.add(owner('a'), '1', open)
  await all[Symbol.asyncDispose]()
  begun.resolve()
  await expect(adding).rejects.toMatchObject({ code: 'mcp_session_unknown' })
  await expect(all.add(owner('a'), '2', open)).rejects.toMatchObject({ code: 'upstream_unreachable' })
  await expect(all.ofOwner(owner('a'), open)).rejects.toMatchObject({ code: 'upstream_unreachable' })
  expect([channel.ended, opened, all.size]).toEqual([1, 1, 0])
})
