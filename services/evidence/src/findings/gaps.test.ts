import type { DecodedEvent } from '@bailiwick/contracts'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Chain } from '../index/chain.ts'
import { Gaps, gapName } from './gaps.ts'

const producer = '/issuer/a'
const time = '2026-11-24T12:00:00.000Z'
const head = (sequence: number) =>
  ({ time, data: { producer, service: 'issuer', sequence } }) as DecodedEvent<'heads.v1'>

function aGaps() {
  const clock = testClock()
  const chain: Chain = { whole: 0, ahead: [] }
  const chains = new Map<string, Chain>()
  const crowded: string[] = []
  const gaps = new Gaps({
    chainOf: (source) => chains.get(source) ?? chain,
    monotonic: () => clock.monotonic(),
    onCrowded: (service) => void crowded.push(service),
  })
  /** The end of the bus, and how much of it the log has. */
  const bus = { end: 0, had: 0 }
  const read = () => gaps.reading()({ 'grants.v1': [bus.end] })
  const due = () => gaps.due(bus.had === 0 ? {} : { 'grants.v1': { 0: bus.had - 1 } })
  return { clock, chain, chains, crowded, gaps, bus, read, due }
}

it('tells of every number up to a head that is missing a minute after all was read, the last one included (V15)', () => {
  const { clock, chain, gaps, read, due } = aGaps()
  Object.assign(chain, {
    whole: 2,
    ahead: [
      [4, 4],
      [7, 7],
    ],
  })
  gaps.head(head(9))
  read()
  expect(due()).toEqual([])
  clock.advance(59_999)
  expect(due()).toEqual([])
  clock.advance(1)
  const found = due()
  expect(found.map(({ from, to }) => [from, to])).toEqual([
    [3, 3],
    [5, 6],
    [8, 9],
  ])
  expect(found[0]).toEqual({ producer, service: 'issuer', from: 3, to: 3, headTime: time })
  expect(new Set(found.map(gapName)).size).toBe(3)
})

it('calls nothing a gap while the bus is down or still being read (V15)', () => {
  const { clock, chain, gaps, bus, read, due } = aGaps()
  gaps.head(head(3))
  for (let n = 0; n < 10; n++) {
    // No head says where the chain ends.
    clock.advance(60_000)
    expect(due()).toEqual([])
  }
  bus.end = 3
  for (let n = 0; n < 100; n++) {
    read()
    clock.advance(60_000)
    expect(due()).toEqual([])
  }
  bus.had = 3
  expect(due()).toEqual([])
  chain.whole = 3
  clock.advance(60_000)
  expect(due()).toEqual([])
})

it('finds a lost number under a load that never lets the log catch up, and calls nothing lost that is on its way (V15)', () => {
  const { clock, chain, gaps, bus, read, due } = aGaps()
  const found = new Set<string>()
  // Ten events a second. At each check the log has all except the last five. Number 100 was lost.
  for (let second = 1; second <= 300; second++) {
    const published = second * 10
    bus.end = published
    bus.had = published - 5
    const reached = published - 5
    Object.assign(
      chain,
      reached < 100 ? { whole: reached } : { whole: 99, ahead: reached === 100 ? [] : [[101, reached]] },
    )
    gaps.head(head(published))
    read()
    clock.advance(1000)
    for (const gap of due()) found.add(gapName(gap))
    // Its head came in second 10, and evidence had read past it a second later.
    expect(found.size, `second ${second}`).toBe(second < 71 ? 0 : 1)
  }
  expect([...found]).toEqual([`${producer}#${'0'.repeat(13)}100-${'0'.repeat(13)}100`])
})

it('asks nothing of a head that came after it was looked up where the bus ends', () => {
  const { clock, gaps, bus, due } = aGaps()
  const answer = gaps.reading()
  gaps.head(head(1))
  answer({ 'grants.v1': [bus.end] })
  clock.advance(120_000)
  due()
  clock.advance(120_000)
  expect(due()).toEqual([])
})

it('forgets a gap that was closed, and waits anew for the next one', () => {
  const { clock, chain, gaps, read, due } = aGaps()
  gaps.head(head(1))
  read()
  due()
  clock.advance(50_000)
  chain.whole = 1
  gaps.head(head(2))
  read()
  due()
  clock.advance(50_000)
  expect(due()).toEqual([])
  clock.advance(10_000)
  expect(due()).toHaveLength(1)
})

it('is led back by no older head, and asks nothing of a producer that said nothing', () => {
  const { clock, chain, gaps, read, due } = aGaps()
  chain.whole = 4
  gaps.head(head(5))
  gaps.head(head(0))
  read()
  due()
  clock.advance(60_000)
  expect(due()).toMatchObject([{ from: 5, to: 5 }])
  chain.whole = 5
  expect(due()).toEqual([])
})

const headOf = (name: string, sequence: number, service = 'policy-decision') =>
  ({ time, data: { producer: name, service, sequence } }) as DecodedEvent<'heads.v1'>

it('forgets no producer that lacks a number, however many come after it that lack none (V15)', () => {
  const { clock, chains, crowded, gaps, read, due } = aGaps()
  gaps.head(headOf('/policy-decision/victim', 1))
  for (let n = 0; n < 10_000; n++) {
    chains.set(`/policy-decision/${n}`, { whole: 1, ahead: [] })
    gaps.head(headOf(`/policy-decision/${n}`, 1))
  }
  read()
  due()
  clock.advance(60_000)
  expect(due()).toMatchObject([{ producer: '/policy-decision/victim', from: 1, to: 1 }])
  expect(crowded).toEqual([])
})

it('forgets no producer before it has reported each of its gaps once; then makes room (V15)', () => {
  const { clock, chains, crowded, gaps, read, due } = aGaps()
  gaps.head(headOf('/policy-decision/victim', 1))
  const found: string[] = []
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 900; n++) gaps.head(headOf(`/policy-decision/${round}-${n}`, 1))
    read()
    due()
    clock.advance(60_000)
    for (const gap of due()) {
      found.push(gap.producer)
      gaps.told(gap)
    }
    expect(due()).toEqual([])
  }
  expect(found[0]).toBe('/policy-decision/victim')
  expect(new Set(found).size).toBe(found.length)
  expect(found).toHaveLength(4501)
  expect(crowded).toEqual([])
  for (const name of found) chains.set(name, { whole: 1, ahead: [] })
  read()
  expect(due()).toEqual([])
})

it('says when more producers of a service lack numbers than it waits for; they crowd out no other service’s (V15)', () => {
  const { clock, crowded, gaps, read, due } = aGaps()
  for (let n = 0; n < 5000; n++) gaps.head(headOf(`/policy-decision/${n}`, 1))
  expect(crowded).toEqual(Array.from({ length: 3000 }, () => 'policy-decision'))
  gaps.head(headOf('/issuer/a', 1, 'issuer'))
  read()
  due()
  clock.advance(60_000)
  const found = due().map(({ producer: name }) => name)
  expect(found).toHaveLength(2001)
  expect(found).toContain('/issuer/a')
})

it('tells what was told no more, and of what goes missing around it that alone', () => {
  const { clock, chain, gaps, read, due } = aGaps()
  const found = () => due().map(({ from, to }) => [from, to])
  const tellAll = () => {
    for (const gap of due()) gaps.told(gap)
  }
  Object.assign(chain, { whole: 4, ahead: [[8, 8]] })
  const pass = () => {
    read()
    due()
    clock.advance(60_000)
  }
  gaps.head(head(9))
  pass()
  expect(found()).toEqual([
    [5, 7],
    [9, 9],
  ])
  expect(found()).toHaveLength(2)
  tellAll()
  expect(found()).toEqual([])
  gaps.head(head(12))
  pass()
  expect(found()).toEqual([[10, 12]])
  tellAll()
  // A restored older log lacks more, but ranges that were reported stay reported.
  Object.assign(chain, { whole: 2, ahead: [] })
  pass()
  expect(found()).toEqual([
    [3, 4],
    [8, 8],
  ])
  tellAll()
  expect(found()).toEqual([])
})

it('asks for the last event of a producer that died before its head, by the head of the one that succeeded it (V15)', () => {
  const { clock, chains, gaps, read, due } = aGaps()
  const hash = 'h'.repeat(43)
  const named = (sequence: number, previous: string) =>
    ({
      time,
      data: { producer: '/issuer/b', service: 'issuer', sequence, hash: previous },
    }) as DecodedEvent<'heads.v1'>
  chains.set('/issuer/a', { whole: 6, end: 'another', ahead: [] })
  gaps.head(named(0, `/issuer/a#0000000000000007:${hash}`))
  // A head of one service must not name events of another.
  gaps.head(named(0, `/approval/a#0000000000000009:${hash}`))
  gaps.head(named(0, 'none'))
  read()
  due()
  clock.advance(60_000)
  expect(due().map(gapName)).toEqual(['/issuer/a#0000000000000007-0000000000000007'])
  // The number is there, but its event is not the one that was named.
  chains.set('/issuer/a', { whole: 7, end: 'another', ahead: [] })
  expect(due().map(gapName)).toEqual(['/issuer/a#0000000000000007-0000000000000007'])
  chains.set('/issuer/a', { whole: 7, end: hash, ahead: [] })
  expect(due()).toEqual([])
})

it('asks for the event that a head names under a number, not for any of that number (V15)', () => {
  const { clock, chain, gaps, read, due } = aGaps()
  const { data, ...envelope } = head(3)
  gaps.head({ ...envelope, data: { ...data, hash: 'own 3' } } as DecodedEvent<'heads.v1'>)
  Object.assign(chain, { whole: 3, end: 'another 3' })
  read()
  due()
  clock.advance(60_000)
  expect(due().map(gapName)).toEqual(['/issuer/a#0000000000000003-0000000000000003'])
  Object.assign(chain, { end: 'own 3' })
  expect(due()).toEqual([])
})
