import { testClock } from '@bailiwick/kit'
import type { Found, Refusal, Search } from '@bailiwick/pep'
import { expect, it } from 'vitest'
import { Searches } from './searches.ts'

/** A decision point that answers when a test says so. */
function point() {
  const waiting: { credential: string | undefined; answer: (found: Found | Refusal) => void }[] = []
  return {
    waiting,
    search: ({ credential }: Search) =>
      new Promise<Found | Refusal>((resolve) => waiting.push({ credential, answer: resolve })),
    /** Answers everything that was asked, and what is asked then, until nothing is. Gives the order. */
    async answerAll(): Promise<(string | undefined)[]> {
      const order: (string | undefined)[] = []
      for (await settled(); waiting.length > 0; await settled())
        for (const { credential, answer } of waiting.splice(0)) {
          order.push(credential)
          answer({ found: [] })
        }
      return order
    },
  }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))
const full: Refusal = { allowed: false, reason: 'queue_full' }
const search = (credential: string): Search =>
  ({ credential, action: { name: 'tools/call' }, resource: { type: 'tool' } }) as never

it('makes one at a time with a credential, and answers everyone', async () => {
  const at = point()
  const searches = new Searches(at, testClock())
  const all = Array.from({ length: 200 }, (_, n) => searches.make(search(`credential-${n % 50}`)))
  await settled()
  expect(at.waiting).toHaveLength(50)
  expect(await at.answerAll()).toHaveLength(200)
  expect(await Promise.all(all)).toEqual(Array.from({ length: 200 }, () => ({ found: [] })))
})

it('bounds what waits with one credential, and holds up no other (V18)', async () => {
  const at = point()
  const searches = new Searches(at, testClock())
  const greedy = Array.from({ length: 40 }, () => searches.make(search('greedy')))
  const other = searches.make(search('other'))
  const order = await at.answerAll()
  expect(order.indexOf('other')).toBeLessThan(2)
  expect(await other).toEqual({ found: [] })
  const refused = (await Promise.all(greedy)).filter((answer) => 'allowed' in answer && answer.reason === 'queue_full')
  expect(refused).toHaveLength(24)
})

it('lets no search wait for those with other credentials, also if they name the same agent (V18)', async () => {
  const at = point()
  const searches = new Searches(at, testClock())
  const strangers = Array.from({ length: 500 }, (_, n) => searches.make(search(`forged-${n}`)))
  const living = searches.make(search('living'))
  await settled()
  at.waiting.find(({ credential }) => credential === 'living')?.answer({ found: ['x'] })
  expect(await living).toEqual({ found: ['x'] })
  await at.answerAll()
  expect(await Promise.all(strangers)).toHaveLength(500)
})

it('asks again where the decision point had no room, and gives up in the end', async () => {
  const found: Found = { found: ['x'] }
  const answers = [full, found, full, full, full, found]
  const searches = new Searches({ search: async () => answers.shift() ?? found }, testClock(), [1, 1])
  expect(await searches.make(search('a'))).toEqual(found)
  expect(await searches.make(search('a'))).toEqual(full)
  expect(answers).toEqual([found])
})
