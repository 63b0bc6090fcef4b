import { expect, it } from 'vitest'
import { kinds, type Seen } from './compiled/run-cases.ts'
import { type Campaign, goesOn, nextSeed, pageOf, type Slice } from './compiled-campaign-state.ts'

const seen = (n: number) => Object.fromEntries(kinds.map((kind) => [kind, n])) as Seen
const slice = (more: Partial<Slice> = {}): Slice => ({
  seed: 1,
  cases: 100,
  seen: seen(20),
  ms: 1000,
  commit: 'abc',
  ...more,
})
const campaign = (...slices: Slice[]): Campaign => ({
  ...{ seed: 2 ** 31 - 2, count: 250, began: '2026-11-30T01:00:00.000Z', page: 'test/runs/x.md', slices },
})

it('goes on until there were as many requests as are wanted, and with more if more are', () => {
  expect(goesOn(campaign(slice(), slice()), 250)).toBe(true)
  expect(goesOn(campaign(slice(), slice(), slice()), 250)).toBe(false)
  expect(goesOn(campaign(slice(), slice(), slice()), 400)).toBe(true)
})

it('gives each slice a seed of its own, and an interrupted one the same again', () => {
  const seeds = Array.from({ length: 500 }, (_, n) => nextSeed(campaign(...Array.from({ length: n }, () => slice()))))
  expect(new Set(seeds).size).toBe(500)
  for (const seed of seeds) expect(seed).toBe(seed | 0)
  expect(seeds).not.toContain(0)
})

it('writes a page that says what was done, and each fault in full', () => {
  const page = pageOf(campaign(slice(), slice({ seed: 5, fault: '{"case":7}' })), 'a machine')
  expect(page).toContain('**1 of 2 slices ended with a fault**, 200 requests of 250 so far')
  expect(page).toContain('| allow | 40 |')
  expect(page).toContain('Seed 5:\n\n```text\n{"case":7}\n```')
  expect(pageOf(campaign(slice()), 'm')).toContain('**no difference**')
})
