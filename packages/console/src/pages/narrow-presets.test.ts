import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Authority } from '../types.ts'
import { half } from '../ui/amounts.ts'
import { halved, presetsOf } from './narrow-presets.ts'

const authority: Authority = {
  task: 't',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'invoices/adjust' },
      where: {
        '/amount': { max: '500' },
        '/currency': { in: ['EUR'] },
        '/low': { min: '8', max: '10' },
        '/debt': { max: '-4' },
      },
      max_uses: 1,
    },
  ],
  budget: { calls: 201, cost: { EUR: '2000.00', CHF: '5' }, egress_bytes: 1001 },
  max_depth: 2,
  max_children: 5,
}

it.each([
  ['500', '250'],
  ['5', '2.5'],
  ['2000.00', '1000.00'],
  ['99.99', '49.99'],
  ['0.01', '0.00'],
  ['0', '0'],
  ['1', '0.5'],
])('half of %s is %s', (whole, less) => {
  expect(half(whole)).toBe(less)
})

it('is never more than half, and a decimal as the server takes it', () => {
  const decimals = fc.tuple(fc.nat(), fc.constantFrom('', '.0', '.25', '.000001')).map(([n, tail]) => `${n}${tail}`)
  fc.assert(
    fc.property(decimals, (text) => {
      expect(half(text)).toMatch(/^(0|[1-9]\d*)(\.\d+)?$/)
      expect(2 * Number(half(text))).toBeLessThanOrEqual(Number(text) + 1e-6)
    }),
  )
})

it('halves each amount, leaves those that cannot be halved, and passes on as asked', () => {
  expect(halved(authority)).toEqual({
    ...authority,
    permissions: [
      authority.permissions[0],
      {
        ...authority.permissions[1],
        where: { ...authority.permissions[1]?.where, '/amount': { max: '250' } },
        max_uses: 1,
      },
    ],
    budget: { calls: 100, cost: { EUR: '1000.00', CHF: '2.5' }, egress_bytes: 500 },
  })
})

it('offers what was last approved only where that is less', () => {
  const last = (as_last_time: object | null) => ({ as_last_time }) as never
  const names = (...args: Parameters<typeof presetsOf>) => [...presetsOf(...args).keys()]
  expect(names({ authority, last: null }, 60)).toEqual(['asked', 'half'])
  expect(names({ authority, last: last(null) }, 60)).toEqual(['asked', 'half'])
  const common = last({ authority: { ...authority, max_depth: 0 }, minutes: 30 })
  expect(presetsOf({ authority, last: common }, 60).get('last')).toMatchObject({
    authority: { max_depth: 0 },
    minutes: 30,
  })
  expect(presetsOf({ authority, last: common }, 20).get('last')?.minutes).toBeUndefined()
  expect(presetsOf({ authority, last: common }, 1).get('half')?.minutes).toBe(1)
})
