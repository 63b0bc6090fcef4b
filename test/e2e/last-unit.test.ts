import { sampleAuthority } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { adjust, Point } from './agent-side.ts'
import { granted } from './granted.ts'
import { takenOnTheLog } from './taken.ts'

const [, { where, cost, actions, resource }] = sampleAuthority.permissions
const costing = { actions, resource, where, cost }
const racers = 64
const patient = { timeout: 300_000 }

const last = {
  call: { permissions: [costing], budget: { calls: 1, cost: { EUR: '9000.00' } } },
  cent: { permissions: [costing], budget: { cost: { EUR: '10.00' } } },
  use: { permissions: [{ ...costing, max_uses: 1 }], budget: { cost: { EUR: '9000.00' } } },
}

describe('the last', () => {
  it.each(Object.keys(last) as (keyof typeof last)[])(
    '%s goes to exactly one of 64 calls that reach four decision points at once (V9, V10)',
    patient,
    async (what) => {
      await using system = await granted({}, { authority: { ...sampleAuthority, ...last[what] } })
      const { world, credential } = system
      const others = await Promise.all([1, 2, 3].map(() => world.startPdp()))
      const points = [system.point, ...others.map(({ http }) => new Point(world, http))]
      for (const point of points) await point.call({ credential, ...adjust('501') }) // learns the nonce
      const answers = await Promise.all(
        Array.from({ length: racers }, (_, n) =>
          (points[n % points.length] as Point).call({ credential, ...adjust('10') }),
        ),
      )
      expect(answers.filter(({ decision }) => decision)).toHaveLength(1)
      expect(await takenOnTheLog(system)).toBe(1)
    },
  )
})

it('64 calls that reach four decision points at once get no more bytes than there are (V9)', patient, async () => {
  const budget = { cost: { EUR: '9000.00' }, egress_bytes: 1001 }
  await using system = await granted({}, { authority: { ...sampleAuthority, permissions: [costing], budget } })
  const { world, credential } = system
  const others = await Promise.all([1, 2, 3].map(() => world.startPdp()))
  const points = [system.point, ...others.map(({ http }) => new Point(world, http))]
  for (const point of points) await point.call({ credential, ...adjust('501') }) // learns the nonce
  const answers = await Promise.all(
    Array.from({ length: racers }, (_, n) =>
      (points[n % points.length] as Point).call({ credential, ...adjust('10'), observed: { answer_bytes: 300 } }),
    ),
  )
  const allowed = answers.filter(({ decision }) => decision)
  // The last 101 wait for what these may give back.
  expect(allowed).toHaveLength(3)
  for (const { context } of allowed)
    expect(context.obligations).toMatchObject([{ properties: { action: 'limit', bytes: 300 } }])
  expect(answers.every(({ decision, reason }) => decision || reason !== 'budget_exhausted')).toBe(true)
  expect(await takenOnTheLog(system)).toBe(3)
})

it(
  'every invalid amount, and every amount in another currency, is refused and takes nothing (V9, V13)',
  patient,
  async () => {
    // The permission has no bounds of its own: only the budget limits the amount.
    const authority = {
      ...sampleAuthority,
      permissions: [{ actions, resource, cost }],
      budget: { cost: { EUR: '100' } },
    }
    await using system = await granted({}, { authority })
    const { credential, point } = system
    const amounts: unknown[] = [
      ...['-1', '-0.000001', 'NaN', 'Infinity', '1e2', '1e400', '0x10', ' 1', '1 ', '1,5', '', '.', '1.', '0.0000001'],
      ...['9'.repeat(30), '9'.repeat(400), '100.000001', '١', '+1'],
      ...[-1, 1e308, 1e21, 0.1 + 0.2, 100.5, Number.MAX_SAFE_INTEGER, null, true, [], ['1'], {}, { amount: '1' }],
    ]
    /** `false`, or the reason why it is no valid request: a number that not every reader could repeat exactly. */
    const ask = (properties: Record<string, unknown>) =>
      point.call({ credential, tool: 'adjust', properties }).then(
        ({ decision }) => decision,
        ({ code }) => code,
      )
    for (const amount of amounts)
      expect([amount, await ask({ amount, currency: 'EUR' })]).toEqual([
        amount,
        expect.toBeOneOf([false, 'json_malformed']),
      ])
    for (const currency of ['USD', 'eur', 'EUR ', '', 'EURO', null, 978, ['EUR'], '__proto__', 'constructor'])
      expect([currency, await ask({ amount: '1', currency })]).toEqual([currency, false])
    expect(await ask({ amount: '1' })).toBe(false)
    expect(system.taken()).toBe(0n)
    expect(await point.call({ credential, ...adjust('100') })).toMatchObject({ decision: true })
    expect(await takenOnTheLog(system)).toBe(1)
  },
)
