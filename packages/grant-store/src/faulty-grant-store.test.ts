import { expect, it } from 'vitest'
import { aTake, aTree } from './contract/fixtures.ts'
import { type Break, faultyGrantStore, type GrantStoreMethod } from './faulty-grant-store.ts'
import type { GrantStore } from './grant-store.ts'

/** A store that records its calls. */
function aRecorder(): { store: GrantStore; calls: string[] } {
  const calls: string[] = []
  const record = <T>(method: string, answer: T) => {
    calls.push(method)
    return Promise.resolve(answer)
  }
  const store: GrantStore = {
    epoch: () => record('epoch', 'e'),
    adopt: () => record('adopt', 'e'),
    refill: () => record('refill', true),
    reset: () => record('reset', true),
    get: () => record('get', aTree()),
    advance: () => record('advance', { outcome: 'advanced' }),
    settle: () => record('settle', undefined),
    remember: () => record('remember', true),
    count: () => record('count', 1),
    [Symbol.asyncDispose]: () => record('dispose', undefined),
  }
  return { store, calls }
}

const calls: Record<GrantStoreMethod, (store: GrantStore) => Promise<unknown>> = {
  epoch: (store) => store.epoch(),
  adopt: (store) => store.adopt(),
  refill: (store) => store.refill('grt_1', aTree()),
  reset: (store) => store.reset('grt_1', aTree()),
  get: (store) => store.get('grt_1'),
  advance: (store) => store.advance('grt_1', aTake()),
  settle: (store) => store.settle('grt_1', { takeId: 'dec_1', to: 2, giveBack: {} }),
  remember: (store) => store.remember('jti', 0, 1),
  count: (store) => store.count('agent', 1, 0),
}

it.each(Object.entries(calls))(
  'a broken %s has an unknown outcome on either side of its effect',
  async (method, call) => {
    for (const [where, happened] of [
      ['before', []],
      ['after', [method]],
    ] as [Break, string[]][]) {
      const { store: real, calls } = aRecorder()
      const asked: string[] = []
      const store = faultyGrantStore(real, (broken) => {
        asked.push(broken)
        return asked.length === 1 ? where : undefined
      })
      await expect(call(store)).rejects.toMatchObject({ code: 'outcome_unknown' })
      expect(calls).toEqual(happened)
      expect(await call(store)).toEqual(await call(real))
      expect(asked).toEqual([method, method])
      expect(calls).toEqual([...happened, method, method])
    }
  },
)

it('disposes what it wraps', async () => {
  const { store: real, calls } = aRecorder()
  await faultyGrantStore(real, () => 'before')[Symbol.asyncDispose]()
  expect(calls).toEqual(['dispose'])
})
