import { expect, it } from 'vitest'
import type { PolicyAnswer } from '../policy-engine.ts'
import { EngineWatch } from './engine-watch.ts'

const allow = (...policies: string[]): PolicyAnswer => ({ outcome: 'allow', policies })

const each = () => true

function watching(isCompared: () => boolean) {
  const told: unknown[] = []
  const later: (() => void)[] = []
  const watch = new EngineWatch(
    {
      answered: (...answered) => told.push(answered),
      compared: (result) => told.push(result),
      different: (difference) => told.push(difference),
    },
    isCompared,
    (compare) => later.push(compare),
  )
  const run = () => {
    for (const compare of later.splice(0)) compare()
    return told.splice(0)
  }
  return { watch, run, later }
}

it('compares decisions after they were answered', () => {
  let asks = 0
  const { watch, run, later } = watching(() => ++asks % 3 === 0)
  const asked: number[] = []
  const decide = (n: number) =>
    watch.decided('set', allow('p'), () => {
      asked.push(n)
      return allow('p')
    })
  for (let n = 1; n <= 7; n++) decide(n)
  expect([later.length, asked]).toEqual([2, []])
  expect(run()).toEqual(['same', 'same'])
  expect(asked).toEqual([3, 6])
  expect(watch.isOff('set')).toBe(false)
})

it.each<[string, PolicyAnswer]>([
  ['another outcome', { outcome: 'deny', policies: ['p'] }],
  ['other policies', allow('q')],
  ['more policies', allow('p', 'q')],
  ['no policies', { outcome: 'invalid', why: 'secret' }],
])('leaves a set to Cedar once Cedar gave %s, and no other set (V13)', (_, cedar) => {
  const { watch, run } = watching(each)
  watch.decided('set', allow('p'), () => cedar)
  expect(watch.isOff('set')).toBe(false)
  expect(run()).toEqual(['different', { policySet: 'set', compiled: allow('p'), cedar }])
  expect([watch.isOff('set'), watch.isOff('other')]).toEqual([true, false])
})

it.each<[string, string[], string[]]>([
  ['fewer policies', ['p', 'q'], ['p']],
  ['one other policy', ['p', 'q'], ['p', 'r']],
  ['another order', ['p', 'q'], ['q', 'p']],
])('also where Cedar names %s', (_, compiled, cedar) => {
  const { watch, run } = watching(each)
  watch.decided('set', allow(...compiled), () => allow(...cedar))
  run()
  expect(watch.isOff('set')).toBe(true)
})

it('takes two answers that name no policy for the same', () => {
  const { watch, run } = watching(each)
  watch.decided('set', { outcome: 'invalid' }, () => ({ outcome: 'invalid' }))
  expect(run()).toEqual(['same'])
})

it('compares nothing when Cedar can no longer be asked', () => {
  const { watch, run } = watching(each)
  watch.decided('set', allow('p'), () => undefined)
  expect(run()).toEqual([])
})

it('goes on when Cedar throws, and says so', () => {
  const { watch, run } = watching(each)
  watch.decided('set', allow('p'), () => {
    throw new Error('Cedar gave up, and may quote a secret')
  })
  expect(run()).toEqual(['failed'])
  expect(watch.isOff('set')).toBe(false)
})
