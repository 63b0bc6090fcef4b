import { expect, it } from 'vitest'
import { type Done, historyFacts } from './history-facts.ts'
import { historyIn } from './known-history.ts'
import { shapesOf } from './schema-shapes.ts'

const wanted = (history: string) => {
  const schema = `entity A; action a appliesTo { principal: A, resource: A, context: { history: ${history} } };`
  return historyIn(shapesOf(schema).context({ type: 'Action', id: 'a' }))
}
const done: Done = {
  calls: 5,
  denials: 2,
  depth: 1,
  spent: new Map([['EUR', 1_234_501n]]),
  labels: new Map([['secret', { count: 3, lastAt: 10_001, spent: new Map([['EUR', 500_000n]]) }]]),
}
const asked = (history: string, over: Partial<Done> = {}, depth = 0, now = 12_000) => {
  const whose: string[] = []
  const tell = (name: string) => () => {
    whose.push(name)
    return { ...done, ...over }
  }
  const facts = historyFacts(wanted(history), {
    ...{ task: tell('task'), agent: tell('agent'), owner: tell('owner') },
    ...{ depth, now },
  })
  return { facts, whose }
}
const taskOf = (facts: Record<string, unknown>) => facts.task as Record<string, unknown>

it('says only what is declared, and asks only for the owners that this needs', () => {
  const { facts, whose } = asked(
    '{ task: { calls: Long, denials: Long, labels: Set<String>, count: { secret: Long, never: Long }, last: { secret?: Long, never?: Long } } }',
  )
  expect(facts).toEqual({
    task: { calls: 5, denials: 2, labels: ['secret'], count: { secret: 3, never: 0 }, last: { secret: 1 } },
  })
  expect(whose).toEqual(['task'])
  expect(asked('{ agent: { calls: Long } }')).toEqual({ facts: { agent: { calls: 5 } }, whose: ['agent'] })
  expect(asked('{ owner: { calls: Long } }')).toEqual({ facts: { owner: { calls: 5 } }, whose: ['owner'] })
  const all = { task: () => done, agent: () => done, owner: () => done }
  expect(historyFacts(undefined, { ...all, depth: 0, now: 0 })).toEqual({})
})

it('takes the deeper of what was and what is, and a touch of later for one of now', () => {
  expect(taskOf(asked('{ task: { depth: Long } }', {}, 4).facts)).toEqual({ depth: 4 })
  expect(taskOf(asked('{ task: { depth: Long } }', { depth: 6 }, 4).facts)).toEqual({ depth: 6 })
  expect(taskOf(asked('{ task: { last: { secret?: Long } } }', {}, 0, 9000).facts)).toEqual({ last: { secret: 0 } })
})

it('tells what was spent by currency and by label, in four places, nothing as nothing', () => {
  const { facts } = asked(
    '{ task: { spent: { EUR: decimal, USD: decimal, secret: { EUR: decimal }, never: { EUR: decimal } } } }',
  )
  expect(taskOf(facts)).toEqual({
    spent: { EUR: '1.2346', USD: '0.0000', secret: { EUR: '0.5000' }, never: { EUR: '0.0000' } },
  })
})

it.each([
  [1n, '0.0001'],
  [99n, '0.0001'],
  [100n, '0.0001'],
  [101n, '0.0002'],
  [1_000_000n, '1.0000'],
  [2n ** 80n, '922337203685477.5807'],
])('rounds %s micros up to %s, and stops where Cedar does (V9)', (micros, said) => {
  const { facts } = asked('{ task: { spent: { EUR: decimal } } }', { spent: new Map([['EUR', micros]]) })
  expect(taskOf(facts)).toEqual({ spent: { EUR: said } })
})
