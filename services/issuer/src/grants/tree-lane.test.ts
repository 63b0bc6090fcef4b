import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { complete } from './complete.ts'
import { inTreeLane } from './tree-lane.ts'

// The bound of a wait is measured time: no load of the machine may be taken for one.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

const issuer = (over: object = {}) =>
  ({ producer: { source: '/issuer/lanes', publishOne: async () => undefined }, ...over }) as never
const codeOf = (error: { code: string }) => error.code

it('an agent that asks for as many credentials as it can does not delay the end of its task (V18)', async () => {
  const tree = { id: 'grt_1', state: 'active', version: 1, grant: {} }
  const order: string[] = []
  const publishOne = async () => {
    order.push('completed')
    tree.state = 'completed'
  }
  const busy = issuer({
    producer: { source: '/issuer/lanes', publishOne },
    projection: { ledger: { grants: { trees: new Map([['grt_1', tree]]) } } },
  })
  const gate = Promise.withResolvers<void>()
  const mints = Array.from({ length: 256 }, () =>
    inTreeLane(busy, 'grt_1', () => gate.promise.then(() => void order.push('minted')), 'spiffe://x/agent/rogue'),
  )
  const more = inTreeLane(busy, 'grt_1', async () => undefined, 'spiffe://x/agent/rogue')
  await expect(more).rejects.toMatchObject({ code: 'queue_full' })
  const ended = complete(busy, 'grt_1', 'done')
  gate.resolve()
  await Promise.all([...mints, ended])
  expect(order.indexOf('completed')).toBe(1)
})

it('the tasks of one agent keep no other from the token endpoint (V18)', async () => {
  const it1 = issuer()
  const gate = Promise.withResolvers<void>()
  const said: Promise<unknown>[] = []
  for (let tree = 0; tree < 16; tree++)
    for (let n = 0; n < 256; n++)
      said.push(inTreeLane(it1, `rogue ${tree}`, () => gate.promise, 'spiffe://x/agent/rogue').catch(codeOf))
  const honest = inTreeLane(it1, 'honest', async () => 'minted', 'spiffe://x/agent/honest').catch(codeOf)
  gate.resolve()
  expect(await honest).toBe('minted')
  expect((await Promise.all(said)).filter((each) => each === 'queue_full')).toHaveLength(15 * 256)
})
