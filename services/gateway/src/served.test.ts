import { expect, it, vi } from 'vitest'
import { type Behind, mostAfterMs, prepareAll, Served } from './served.ts'

/** Entries are texts; one with the text `broken` cannot be opened. Answers flow until `over` is called. */
function opened() {
  const told: string[] = []
  const over = new Map<string, () => void>()
  const served = new Served<string, Behind>({
    open(name, entry) {
      const id = `${name} ${entry}`
      if (entry === 'broken') throw new Error('config_invalid')
      told.push(`open ${id}`)
      return {
        retire() {
          told.push(`retire ${id}`)
          return new Promise((resolve) => over.set(id, resolve))
        },
        [Symbol.asyncDispose]: async () => void told.push(`end ${id}`),
      }
    },
  })
  const news = async () => {
    await new Promise(setImmediate)
    return told.splice(0)
  }
  return { served, news, over: (id: string) => over.get(id)?.() }
}

it('keeps what did not change, lets what changed end after its answers, and ends at once what is gone', async () => {
  const { served, news, over } = opened()
  served.prepare({ same: '1', changed: '1', gone: '1' }).use()
  const [same, changed] = [served.get('same'), served.get('changed')]
  await news()
  expect(served.prepare({ same: '1', changed: '2', more: '1' }).use()).toEqual({
    added: ['more'],
    changed: ['changed'],
    removed: ['gone'],
  })
  expect(await news()).toEqual(['open changed 2', 'open more 1', 'retire changed 1', 'end gone 1'])
  expect([served.get('same') === same, served.get('changed') === changed, served.get('gone')]).toEqual([
    true,
    false,
    undefined,
  ])
  over('changed 1')
  expect(await news()).toEqual(['end changed 1'])
  await served[Symbol.asyncDispose]()
  expect(await news()).toEqual(['end same 1', 'end changed 2', 'end more 1'])
})

it('cuts the answers of an entry that changed after five minutes, and when the gateway ends', async () => {
  const { served, news } = opened()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    served.prepare({ one: '1' }).use()
    served.prepare({ one: '2' }).use()
    vi.advanceTimersByTime(mostAfterMs - 1)
    expect(await news()).toEqual(['open one 1', 'open one 2', 'retire one 1'])
    vi.advanceTimersByTime(1)
    expect(await news()).toEqual(['end one 1'])
    served.prepare({ one: '3' }).use()
    await news()
    await served[Symbol.asyncDispose]()
    expect(await news()).toEqual(['end one 3', 'end one 2'])
  } finally {
    vi.useRealTimers()
  }
})

it('changes nothing before it is put into use, and nothing at all for a file with a fault', async () => {
  const { served, news } = opened()
  served.prepare({ one: '1' }).use()
  const one = served.get('one')
  const prepared = served.prepare({ one: '2' })
  await news()
  expect(() => served.prepare({ one: '3', two: 'broken' })).toThrow('config_invalid')
  // What was opened for it is not left open.
  expect([served.get('one') === one, await news()]).toEqual([true, ['open one 3', 'end one 3']])
  prepared.use()
  expect(await news()).toEqual(['retire one 1'])
})

it('uses the entries of all kinds, or drops them all if one kind has a fault', async () => {
  const [first, second] = [opened(), opened()]
  const prepare = (one: Record<string, string>, two: Record<string, string>) =>
    prepareAll([() => first.served.prepare(one), () => second.served.prepare(two)])
  expect(prepare({ a: '1' }, { b: '1' }).use()).toEqual({ added: ['a', 'b'], changed: [], removed: [] })
  await Promise.all([first.news(), second.news()])
  expect(() => prepare({ a: '2', c: '1' }, { b: '2', d: 'broken' })).toThrow('config_invalid')
  expect(await first.news()).toEqual(['open a 2', 'open c 1', 'end a 2', 'end c 1'])
  expect(await second.news()).toEqual(['open b 2', 'end b 2'])
  expect([first.served.names, second.served.names]).toEqual([['a'], ['b']])
  expect(prepare({}, { b: '2' }).use()).toEqual({ added: [], changed: ['b'], removed: ['a'] })
})
