import { expect, it } from 'vitest'
import { type Campaign, faultsIn, faultsOf, goesOn, nextKind, nextSeed, pageOf, type Slice } from './campaign-state.ts'
import { type KillKind, killKinds } from './kill-kinds.ts'

const kind = (name: string, share: number): KillKind => ({ name, share, mode: 'embedded', rounds: 1, file: 'x' })
const [often, seldom] = [kind('often', 900), kind('seldom', 100)]
const slice = ({ name }: KillKind, kills: number, more: Partial<Slice> = {}): Slice => ({
  kind: name,
  seed: 1,
  rounds: 1,
  faults: { 'SIGKILL standalone': kills },
  held: true,
  ms: 1000,
  commit: 'abc',
  ...more,
})
const campaign = (...slices: Slice[]): Campaign => ({
  seed: 7,
  count: 1000,
  began: '2026-11-29T01:00:00.000Z',
  page: 'test/runs/x.md',
  slices,
})

it('gives each kind its share of the kills', () => {
  const slices: Slice[] = []
  while (faultsIn(slices) < 1000) {
    const next = nextKind([often, seldom], slices)
    slices.push(slice(next, 10))
  }
  expect(faultsIn(slices.filter(({ kind: of }) => of === 'seldom'))).toBe(100)
})

it('the shares of all kinds add up to a thousand', () => {
  expect(killKinds.reduce((sum, { share }) => sum + share, 0)).toBe(1000)
  expect(new Set(killKinds.map(({ name }) => name)).size).toBe(killKinds.length)
})

it('goes on until there were as many faults as are wanted, and with more if more are', () => {
  const half = campaign(slice(often, 500))
  expect(goesOn(half, 1000)).toBe(true)
  expect(goesOn(half, 500)).toBe(false)
  expect(goesOn(half, 501)).toBe(true)
})

it('runs the slice that was interrupted again, and no other twice', () => {
  expect(nextSeed(campaign(), often)).toBe(nextSeed(campaign(slice(seldom, 1)), often))
  const seeds = [0, 1, 2].map((n) => nextSeed(campaign(...Array.from({ length: n }, () => slice(often, 1))), often))
  expect(new Set(seeds).size).toBe(3)
})

it('counts the faults of a slice that failed, and its page says that it did not hold', () => {
  const faults = faultsOf('SIGKILL broker\nSIGKILL issuer\nSIGKILL broker\n')
  expect(faults).toEqual({ 'SIGKILL broker': 2, 'SIGKILL issuer': 1 })
  const failed = slice(often, 0, { faults, held: false, found: 'AssertionError: lost' })
  const page = pageOf(campaign(slice(seldom, 5), failed), [often, seldom], 'a machine')
  expect(page).toContain('**1 of 2 slices did not hold**, 8 faults of 1000 so far')
  expect(page).toContain('often: 3 in 1 rounds, seed 1, 1 s, DID NOT HOLD: AssertionError: lost')
  expect(pageOf(campaign(slice(often, 1000)), [often], 'a machine')).toContain('**held**, 1000 faults of 1000\n')
})
