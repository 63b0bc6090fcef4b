import { expect, it } from 'vitest'
import { like, money, number } from './numbers.ts'

it.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [-1234567, '-1,234,567'],
  ['2000.00', '2,000.00'],
  ['12345678901234567890.123456', '12,345,678,901,234,567,890.123456'],
  ['1e3', '1e3'],
  ['much', 'much'],
])('writes %s as %s in every language of the browser', (value, text) => {
  expect(number(value)).toBe(text)
})

it('gives what was spent as many decimals as its limit has', () => {
  expect([like('120', '2000.00'), like('120.5', '2000.00'), like('0.125', '1.00'), like(3, 50)]).toEqual([
    '120.00',
    '120.50',
    '0.125',
    '3',
  ])
  expect(money('2000.00', 'EUR')).toBe('2,000.00 EUR')
})
