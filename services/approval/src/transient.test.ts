import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Transient } from './transient.ts'

const made = (clock = testClock(0)) => ({ clock, shown: new Transient<number>({ lifeMs: 1000, max: 20, clock }) })

it('what one session was shown is not pushed out by another that is shown more than all may be (V18)', () => {
  const { shown } = made()
  shown.put('quiet', 1, 'olga')
  for (let n = 0; n < 100; n++) shown.put(`loud ${n}`, n, 'mallory')
  expect(shown.get('quiet')).toBe(1)
  expect([97, 98, 99].map((n) => shown.get(`loud ${n}`))).toEqual([undefined, 98, 99])
  for (let n = 0; n < 100; n++) shown.put(`crowd ${n}`, n, `mallory ${n % 12}`)
  expect(shown.get('quiet')).toBe(1)
})

it('is given to the first who takes it, until its time is over (V10)', () => {
  const { clock, shown } = made()
  shown.put('one', 1, 'olga')
  shown.put('two', 2, 'olga')
  expect([shown.take('one'), shown.take('one')]).toEqual([1, undefined])
  clock.advance(1000)
  expect(shown.get('two')).toBeUndefined()
})
