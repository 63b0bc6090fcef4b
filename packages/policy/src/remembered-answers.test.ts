import { expect, it } from 'vitest'
import { cedarEngine } from './cedar-engine.ts'
import type { PolicyAnswer, PolicyRequest } from './policy-engine.ts'
import { RememberedAnswers } from './remembered-answers.ts'

const asked = (context: Record<string, unknown>, more: Partial<PolicyRequest> = {}): PolicyRequest => ({
  principal: { type: 'U', id: 'a' },
  action: 'go',
  resource: { type: 'R', id: 'r' },
  context,
  ...more,
})
const allow = (): PolicyAnswer => ({ outcome: 'allow', policies: ['p'] })
const never = (): PolicyAnswer => {
  throw new Error('asked again')
}

it('asks the same question once', () => {
  const remembered = new RememberedAnswers()
  expect(remembered.answer(asked({ n: 1 }), allow, 'decision')).toEqual(allow())
  expect(remembered.answer(asked({ n: 1 }), never, 'decision')).toEqual(allow())
})

it.each<[why: string, PolicyRequest]>([
  ['context', asked({ n: 2 })],
  ['member of the context', asked({ n: 1, m: 1 })],
  ['type in the context', asked({ n: '1' })],
  ['principal', asked({ n: 1 }, { principal: { type: 'U', id: 'b' } })],
  ['attribute', asked({ n: 1 }, { principal: { type: 'U', id: 'a', attributes: { x: 1 } } })],
  ['action', asked({ n: 1 }, { action: 'stay' })],
  ['namespace of the action', asked({ n: 1 }, { action: { type: 'N::Action', id: 'go' } })],
  ['resource', asked({ n: 1 }, { resource: { type: 'S', id: 'r' } })],
  ['entity', asked({ n: 1 }, { entities: [] })],
  ['value that JSON lacks', asked({ n: 1, m: undefined })],
  ['number that JSON lacks', asked({ n: 1, m: Number.NaN })],
  ['function', asked({ n: 1, m: () => 1 })],
  ['symbol', asked({ n: 1, m: Symbol.iterator })],
])('takes another %s for another question (V13)', (_, other) => {
  const remembered = new RememberedAnswers()
  remembered.answer(asked({ n: 1 }), allow, 'decision')
  remembered.answer(asked({ n: 1, m: null }), allow, 'decision')
  expect(remembered.answer(other, () => ({ outcome: 'deny', policies: [] }), 'decision')).toMatchObject({
    outcome: 'deny',
  })
})

it('and what has no name for one that was never asked (V13)', () => {
  const remembered = new RememberedAnswers()
  const long = (letter: string) => asked({ n: letter.repeat(16_384) })
  const deny = (): PolicyAnswer => ({ outcome: 'deny', policies: [] })
  for (const [first, other] of [
    [long('a'), long('b')],
    [asked({ n: undefined }), asked({ n: Number.NaN })],
    [asked({ n: () => 1 }), asked({ n: Symbol.iterator })],
  ] as const) {
    expect(remembered.answer(first, allow, 'decision')).toEqual(allow())
    expect(remembered.answer(other, deny, 'decision')).toEqual(deny())
  }
})

it.each<PolicyAnswer>([
  { outcome: 'error', policies: ['p'] },
  { outcome: 'invalid', why: 'no' },
])('asks again what had no answer: $outcome', (first) => {
  const remembered = new RememberedAnswers()
  expect(remembered.answer(asked({}), () => first, 'decision')).toEqual(first)
  expect(remembered.answer(asked({}), allow, 'decision')).toEqual(allow())
})

it('loses nothing to what searches ask, however much they ask: what is asked less goes first (V18)', () => {
  const remembered = new RememberedAnswers(2)
  for (const n of [1, 2]) remembered.answer(asked({ n }), allow, 'decision')
  let answered = 0
  const searched = () => {
    answered++
    return allow()
  }
  for (let n = 3; n < 10_003; n++) expect(remembered.answer(asked({ n }), searched, 'search')).toEqual(allow())
  expect(answered).toBe(10_000)
  // A search may use what decisions remember, but does not refresh it.
  expect(remembered.answer(asked({ n: 1 }), never, 'search')).toEqual(allow())
  expect(remembered.answer(asked({ n: 1 }), never, 'decision')).toEqual(allow())
  remembered.answer(asked({ n: 2 }), never, 'search')
  remembered.answer(asked({ n: 3 }), allow, 'decision')
  expect(remembered.answer(asked({ n: 1 }), never, 'decision')).toEqual(allow())
  expect(() => remembered.answer(asked({ n: 2 }), never, 'decision')).toThrow('asked again')
})

it('gives all callers an answer that they cannot change, and forgets the oldest', () => {
  const remembered = new RememberedAnswers(2)
  const answer = remembered.answer(asked({ n: 1 }), allow, 'decision') as { policies: string[] }
  expect(() => answer.policies.push('x')).toThrow(TypeError)
  for (const n of [2, 3]) remembered.answer(asked({ n }), allow, 'decision')
  expect(() => remembered.answer(asked({ n: 1 }), never, 'decision')).toThrow('asked again')
  expect(remembered.answer(asked({ n: 3 }), never, 'decision')).toEqual(allow())
})

it('keeps no question that is long: callers say what stands in it', () => {
  const remembered = new RememberedAnswers()
  const long = asked({ text: 'x'.repeat(20_000) })
  expect(remembered.answer(long, allow, 'decision')).toEqual(allow())
  expect(() => remembered.answer(long, never, 'decision')).toThrow('asked again')
})

it('is each engine’s own (V13)', () => {
  const schema = 'entity U, R; action go appliesTo { principal: U, resource: R, context: { n: Long } };'
  const engineOf = (policy: string) =>
    cedarEngine(
      new Map([
        ['schema.cedarschema', Buffer.from(schema)],
        ['a.cedar', Buffer.from(`@id("p") ${policy} (principal, action, resource) when { context.n == 1 };`)],
      ]),
    )
  const [one, other] = [engineOf('permit'), engineOf('forbid')]
  for (let times = 0; times < 2; times++) {
    expect(one?.evaluate(asked({ n: 1 }))).toMatchObject({ outcome: 'allow' })
    expect(one?.evaluate(asked({ n: 2 }))).toMatchObject({ outcome: 'deny' })
    expect(other?.evaluate(asked({ n: 1 }))).toMatchObject({ outcome: 'deny', policies: ['p'] })
  }
})
