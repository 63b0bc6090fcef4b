import fc from 'fast-check'
import { expect, it } from 'vitest'
import { apply, entityOf, history, newLedger, pick, someHistory, stateOf, type Told } from './histories.fixture.ts'

it('of writers that race, exactly one event a version counts, and versions are dense (V10)', async () => {
  let races = 0
  await fc.assert(
    fc.asyncProperty(someHistory, async (moves) => {
      const told = await history(moves, false)
      const verdicts = await apply(newLedger(false), told)
      const counted = new Map<string, number[]>()
      told.forEach((one, n) => {
        const versions = counted.get(entityOf(one)) ?? []
        if (verdicts[n] === 'counts') counted.set(entityOf(one), [...versions, one[1].version as number])
        else races++
      })
      for (const versions of counted.values()) expect(versions).toEqual(versions.map((_, n) => n + 1))
    }),
    { numRuns: 150 },
  )
  expect(races).toBeGreaterThan(100) // with fewer races the test proves nothing
})

it('events that come again, anywhere and any number of times, change nothing (V2)', async () => {
  await fc.assert(
    fc.asyncProperty(
      someHistory,
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }),
      fc.boolean(),
      async (moves, repeats, base) => {
        const told = await history(moves, false)
        const once = newLedger(base)
        await apply(once, told)
        const again: Told[] = [...told]
        for (const [which, where] of repeats) {
          if (told.length === 0) continue
          const event = pick(told, which)
          const first = again.indexOf(event)
          again.splice(first + 1 + (where % (again.length - first)), 0, event)
        }
        const repeated = newLedger(base)
        await apply(repeated, again)
        expect(stateOf(repeated)).toEqual(stateOf(once))
      },
    ),
    { numRuns: 150 },
  )
})

it('what is interleaved with other entities is judged alike: each partition alone says what counts', async () => {
  await fc.assert(
    fc.asyncProperty(someHistory, fc.infiniteStream(fc.nat()), async (moves, choices) => {
      const told = await history(moves, false)
      const [there, here] = [newLedger(false), newLedger(false)]
      await apply(there, told)
      const queues = [...Map.groupBy(told, entityOf).values()].map((events) => [...events])
      while (queues.length > 0) {
        const queue = pick(queues, choices.next().value as number)
        const event = queue.shift()
        if (event) await here.apply(...event)
        else queues.splice(queues.indexOf(queue), 1)
      }
      expect(stateOf(here)).toEqual(stateOf(there))
    }),
    { numRuns: 150 },
  )
})

it('a reader that starts inside agrees on every tree and request whose beginning it saw', async () => {
  await fc.assert(
    fc.asyncProperty(someHistory, fc.nat(), async (moves, cut) => {
      const told = await history(moves, false)
      const from = told.length === 0 ? 0 : cut % told.length
      const [whole, inside] = [newLedger(false), newLedger(true)]
      await apply(whole, told)
      await apply(inside, told.slice(from))
      const unseen = new Set(told.slice(0, from).map(([, { partitionkey }]) => partitionkey))
      for (const [id, record] of inside.requests.requests)
        if (!unseen.has(id)) expect(record).toEqual(whole.requests.requests.get(id))
      for (const [id, tree] of inside.grants.trees)
        if (!unseen.has(id)) expect(tree).toEqual(whole.grants.trees.get(id))
      for (const [id, tree] of inside.decisions.trees)
        if (!unseen.has(id)) expect(tree).toEqual(whole.decisions.trees.get(id))
    }),
    { numRuns: 150 },
  )
})
