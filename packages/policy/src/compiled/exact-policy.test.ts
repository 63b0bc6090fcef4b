import { expect, it } from 'vitest'
import { parsePolicySet } from '../policy-set.ts'
import { holds } from './compiled.fixture.ts'
import { exactConditions } from './exact-policy.ts'

const conditionsOf = (condition: string) => {
  const text = `permit (principal, action, resource) when { ${condition} };`
  const [policy] = parsePolicySet(new Map([['p.cedar', new TextEncoder().encode(text)]])).policies.values()
  return policy && exactConditions(policy)[0]?.body
}

it('keeps Longs that a double would round, also several that it would round to one', () => {
  const [most, next] = ['9223372036854775807', '9223372036854775806']
  expect(conditionsOf(`${most} == ${next}`)).toEqual({
    '==': { left: { Value: BigInt(most) }, right: { Value: BigInt(next) } },
  })
  expect(conditionsOf('-9223372036854775808 == 9007199254740993')).toEqual({
    '==': { left: { Value: -(2n ** 63n) }, right: { Value: 2n ** 53n + 1n } },
  })
  // Of a number that a double holds, the type does not matter: Longs are normal.
  expect(conditionsOf('9007199254740993 == 0000000000000000000007')).toEqual({
    '==': { left: { Value: 2n ** 53n + 1n }, right: { Value: 7 } },
  })
})

it('is not misled by digits that are no number, or that look like a placeholder', () => {
  const odd =
    '100000000000000 == 9007199254740993 && "9007199254740992" == context.x9007199254740991 // 9007199254740997'
  expect(JSON.stringify(conditionsOf(`${odd}\n`), (_, each) => (typeof each === 'bigint' ? `${each}n` : each))).toBe(
    JSON.stringify({
      '&&': {
        left: { '==': { left: { Value: 100000000000000 }, right: { Value: '9007199254740993n' } } },
        right: {
          '==': {
            left: { Value: '9007199254740992' },
            right: { '.': { left: { Var: 'context' }, attr: 'x9007199254740991' } },
          },
        },
      },
    }),
  )
})

it('finds numbers behind comments with quotes, and leaves names with many digits', () => {
  const value = { Value: 2n ** 53n + 1n }
  expect(conditionsOf('// what is "odd\n9007199254740993 == 9007199254740993 // "\n')).toEqual({
    '==': { left: value, right: value },
  })
  expect(conditionsOf('9007199254740993 == context.x19007199254740993123')).toEqual({
    '==': { left: value, right: { '.': { left: { Var: 'context' }, attr: 'x19007199254740993123' } } },
  })
})

it('decides by all 64 bits, as Cedar does', () => {
  const context = { n: (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('9223372036854775806') }
  expect(holds('context.n == 9223372036854775806', { context })).toBe(true)
  expect(holds('context.n == 9223372036854775807', { context })).toBe(false)
  expect(holds('context.n + 1 == 9223372036854775807', { context })).toBe(true)
  expect(holds('context.n + 2 > 0', { context })).toBe('errs')
})
