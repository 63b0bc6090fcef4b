import { systemRandom, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { Challenges } from './challenges.ts'

const lifeMs = 1000
const made = () => {
  const clock = testClock()
  return { clock, challenges: new Challenges({ lifeMs, clock, random: systemRandom }) }
}

it('finds what it made, for as long as it lives, and makes each anew', () => {
  const { clock, challenges } = made()
  const { id, challenge } = challenges.make('olga')
  expect(challenge).toHaveLength(32)
  expect(challenges.find(id)).toEqual(challenge)
  expect(challenges.make('olga').challenge).not.toEqual(challenge)
  clock.advance(lifeMs - 1)
  expect(challenges.find(id)).toEqual(challenge)
  clock.advance(1)
  expect(challenges.find(id)).toBeUndefined()
  expect(challenges.use(id, 'olga')).toBe(false)
})

it('is used by exactly one of many (V10)', () => {
  const { challenges } = made()
  const { id } = challenges.make('')
  expect(Array.from({ length: 5 }, () => challenges.use(id, 'olga')).filter(Boolean)).toHaveLength(1)
  expect(challenges.find(id)).toBeUndefined()
})

it('says what it was made about, and nothing of what it was not', () => {
  const { challenges } = made()
  const { id } = challenges.make('olga')
  expect([challenges.isAbout(id, 'olga'), challenges.isAbout(id, 'paul'), challenges.isAbout('x', 'olga')]).toEqual([
    true,
    false,
    false,
  ])
})

it('knows no name that was changed, spelt otherwise or made by another process (V12)', () => {
  const { challenges } = made()
  const { id } = challenges.make('')
  const bytes = Buffer.from(id, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(challenges.find(changed.toString('base64url'))).toBeUndefined()
  }
  for (const other of ['', id.slice(1), `${id}A`, `${id}=`, ` ${id}`, `${id}\n`, made().challenges.make('').id])
    expect(challenges.find(other)).toBeUndefined()
})

it('forgets none, however many are asked for', () => {
  const { challenges } = made()
  const { id, challenge } = challenges.make('')
  for (let n = 0; n < 30_000; n++) challenges.make('')
  expect(challenges.find(id)).toEqual(challenge)
})
