import { type Authority, parseAuthority, parseMicros } from '@bailiwick/authority'
import { emptySpend } from '@bailiwick/projection'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { storeAmounts, treeStateOf } from '../order/store-amounts.ts'
import { reserve, reserveRound } from './reserve.ts'

function authority(budget: object, permissions: object[] = [{}]): Authority {
  const resource = { type: 'tool', id: 'invoices/adjust' }
  const parsed = parseAuthority({
    type: 'bailiwick_task',
    task: 'task',
    permissions: permissions.map((more) => ({ actions: ['tools/call'], resource, ...more })),
    budget,
    max_depth: 0,
    max_children: 0,
  })
  if (!parsed.ok) throw new Error(parsed.detail)
  return parsed.authority
}
const priced = { cost: { amount: '/amount', currency: '/currency' } }

it('never lets the sum of what it reserves exceed calls, cost or uses, in any order (V9)', () => {
  const limits = fc.record({ calls: fc.nat(12), cents: fc.nat(2000), uses: fc.integer({ min: 1, max: 6 }) })
  fc.assert(
    fc.property(limits, fc.array(fc.nat(600), { maxLength: 30 }), ({ calls, cents, uses }, amounts) => {
      const limit = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
      const granted = authority({ calls: calls + 1, cost: { EUR: limit } }, [{ ...priced, max_uses: uses }, priced])
      const spent = emptySpend()
      for (const amount of amounts) {
        const cost = { currency: 'EUR', micros: BigInt(amount) * 10_000n }
        const covering = [
          { index: 0, cost },
          { index: 1, cost },
        ]
        const reservation = reserve([{ authority: granted, covering, spent }])
        if (!reservation.ok) continue
        spent.taken.calls += BigInt(reservation.reserved.calls)
        const euros = parseMicros(reservation.reserved.cost.EUR ?? '0') ?? 0n
        spent.taken.cost.set('EUR', (spent.taken.cost.get('EUR') ?? 0n) + euros)
        const [used] = reservation.permissions
        spent.uses.set(used, (spent.uses.get(used) ?? 0) + 1)
      }
      expect(spent.taken.calls).toBeLessThanOrEqual(BigInt(calls + 1))
      expect(spent.taken.cost.get('EUR') ?? 0n).toBeLessThanOrEqual(BigInt(cents) * 10_000n)
      expect(spent.uses.get(0) ?? 0).toBeLessThanOrEqual(uses)
    }),
  )
})

it('charges the first covering permission that has uses left, at its own price', () => {
  const granted = authority({ calls: 9, cost: { EUR: '10', USD: '10' } }, [{ ...priced, max_uses: 1 }, priced])
  const covering = [
    { index: 0, cost: { currency: 'EUR', micros: 1_000_000n } },
    { index: 1, cost: { currency: 'USD', micros: 2_000_000n } },
  ]
  const fresh = emptySpend()
  const level = { authority: granted, covering, spent: fresh }
  expect(reserve([level])).toMatchObject({ permissions: [0], reserved: { cost: { EUR: '1' } } })
  fresh.uses.set(0, 1)
  expect(reserve([level])).toMatchObject({ permissions: [1], reserved: { cost: { USD: '2' } } })
})

it('takes money of a currency that the budget has, up to its last millionth, and of no other', () => {
  const level = (micros: bigint, currency = 'EUR') => ({
    authority: authority({ cost: { EUR: '2' } }, [priced]),
    covering: [{ index: 0, cost: { currency, micros } }],
    spent: emptySpend(),
  })
  expect(reserve([level(2_000_000n)])).toMatchObject({ ok: true, reserved: { calls: 1, cost: { EUR: '2' } } })
  expect(reserve([level(2_000_001n)])).toEqual({ ok: false, reason: 'budget_exhausted' })
  expect(reserve([level(1n, 'USD')])).toEqual({ ok: false, reason: 'budget_exhausted' })
  expect(reserve([{ ...level(1n), authority: authority({}, [priced]) }])).toEqual({
    ok: false,
    reason: 'budget_exhausted',
  })
  expect(reserve([{ ...level(1n), covering: [] }])).toEqual({ ok: false, reason: 'uses_exhausted' })
})

it('takes a call as long as there is one, of the tree and of each link', () => {
  const level = (calls: bigint) => {
    const spent = emptySpend()
    spent.taken.calls = calls
    return { authority: authority({ calls: 2 }), covering: [{ index: 0 }], spent }
  }
  expect(reserve([level(1n)])).toMatchObject({ ok: true, reserved: { calls: 1 } })
  expect(reserve([level(2n)])).toEqual({ ok: false, reason: 'budget_exhausted' })
  expect(reserve([level(1n), level(2n)])).toEqual({ ok: false, reason: 'budget_exhausted' })
})

describe('bytes', () => {
  const of = (more: object, limit = 80) => ({
    authority: authority({ egress_bytes: limit }),
    covering: [{ index: 0 }],
    spent: { ...emptySpend(), ...more },
  })
  const taken = (egressBytes: number) => ({ taken: { calls: 1n, egressBytes: BigInt(egressBytes), cost: new Map() } })
  const free = { ...of({}), authority: authority({}) }
  const bytes = (reserved: ReturnType<typeof reserve>) =>
    reserved.ok ? reserved.reserved.egress_bytes : reserved.reason
  const asked = (n: number | undefined, most?: number) => ({ asked: n, most })

  it('are reserved: a share of the least limit, or what is asked for, and never more than policy lets out', () => {
    expect(bytes(reserve([free]))).toBe(0)
    expect(bytes(reserve([of({})]))).toBe(10)
    expect(bytes(reserve([of({}), free, of({}, 41)]))).toBe(6)
    expect(bytes(reserve([of({})], asked(70)))).toBe(70)
    expect(bytes(reserve([of({})], asked(undefined, 4)))).toBe(4)
    expect(bytes(reserve([of({})], asked(70, 30)))).toBe(30)
    expect(bytes(reserve([free], asked(70, 30)))).toBe(0)
  })

  it('wait for the calls under way where less is left, and then are what is left (V9)', () => {
    for (const chain of [
      (level: ReturnType<typeof of>) => [level] as const,
      (level: ReturnType<typeof of>) => [free, level] as const,
      (level: ReturnType<typeof of>) => [of({}, 800), level] as const,
    ]) {
      expect(bytes(reserve(chain(of({ ...taken(71), open: 1 }))))).toBe('budget_held')
      expect(bytes(reserve(chain(of({ ...taken(80), open: 1 }))))).toBe('budget_held')
      expect(bytes(reserve(chain(of({ ...taken(70), open: 1 }))))).toBe(10)
      expect(bytes(reserve(chain(of(taken(71)))))).toBe(9)
      expect(bytes(reserve(chain(of(taken(1))), asked(80)))).toBe(79)
      expect(bytes(reserve(chain(of(taken(80)))))).toBe('budget_exhausted')
    }
  })

  it('that were sent beyond the reservation leave none, nor do unmeasured ones (V9)', () => {
    expect(bytes(reserve([of(taken(90))]))).toBe('budget_exhausted')
    expect(bytes(reserve([of({ unmeasured: 1 })]))).toBe('budget_exhausted')
    expect(bytes(reserve([{ ...free, spent: of({ unmeasured: 1 }).spent }]))).toBe(0)
  })

  it('never exceed the limit, for any requests and any bytes sent, in any order (V9)', () => {
    const calls = fc.array(
      fc.record({
        asked: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
        sent: fc.nat(60),
        ends: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), calls, (limit, all) => {
        const level = of({}, limit)
        const open: number[] = []
        for (const { asked: wanted, sent, ends } of all) {
          const reservation = reserve([level], asked(wanted))
          if (reservation.ok) {
            open.push(reservation.reserved.egress_bytes)
            level.spent.open++
            level.spent.taken.egressBytes += BigInt(reservation.reserved.egress_bytes)
          }
          const first = ends ? open.shift() : undefined
          if (first !== undefined) {
            level.spent.open--
            level.spent.taken.egressBytes -= BigInt(Math.max(0, first - sent))
          }
          expect(level.spent.taken.egressBytes).toBeLessThanOrEqual(BigInt(limit))
        }
      }),
    )
  })
})

describe('under a delegation', () => {
  const cost = { currency: 'EUR', micros: 2_000_000n }
  const levelOf = (
    budget: object,
    permissions: object[],
    covering: readonly { index: number; cost?: typeof cost }[],
  ) => ({
    authority: authority(budget, permissions),
    covering,
    spent: emptySpend(),
  })

  it('takes from the tree and from each link, and never more than the least of them has (V9)', () => {
    const grant = levelOf({ calls: 9, cost: { EUR: '9' } }, [priced], [{ index: 0, cost }])
    const link = levelOf({ calls: 9, cost: { EUR: '3' } }, [priced], [{ index: 0, cost }])
    expect(reserve([grant, link])).toMatchObject({ permissions: [0, 0], reserved: { cost: { EUR: '2' } } })
    link.spent.taken.cost.set('EUR', 2_000_000n)
    expect(reserve([grant, link])).toEqual({ ok: false, reason: 'budget_exhausted' })
    expect(reserve([grant])).toMatchObject({ ok: true })
    const few = levelOf({ calls: 1 }, [priced], [{ index: 0, cost }])
    few.spent.taken.calls = 1n
    expect(reserve([grant, few])).toEqual({ ok: false, reason: 'budget_exhausted' })
    expect(
      reserve([
        { ...grant, spent: few.spent },
        { ...few, spent: emptySpend() },
      ]),
    ).toMatchObject({ ok: false })
  })

  it('never lets a link that must pay act by a permission above it that is free (V9)', () => {
    const covering = [{ index: 0 }, { index: 1, cost }]
    const grant = levelOf({ calls: 9, cost: { EUR: '1' } }, [{}, priced], covering)
    const link = levelOf({ calls: 9, cost: { EUR: '9' } }, [priced], [{ index: 0, cost }])
    expect(reserve([grant, link])).toEqual({ ok: false, reason: 'budget_exhausted' })
    expect(reserve([grant])).toMatchObject({ permissions: [0], reserved: { cost: {} } })
  })

  it('is charged as the last link, and no holder above it, names what covers the call first', () => {
    const other = { currency: 'USD', micros: 1_000_000n }
    const of = (first: typeof cost, second: typeof cost) => {
      const covering = [
        { index: 0, cost: first },
        { index: 1, cost: second },
      ]
      return levelOf({ cost: { EUR: '9', USD: '9' } }, [priced, priced], covering)
    }
    const [above, last] = [of(other, cost), of(cost, other)]
    expect(reserve([above, last])).toMatchObject({ permissions: [1, 0], reserved: { cost: { EUR: '2' } } })
    expect(reserve([above, above, last])).toMatchObject({ permissions: [1, 1, 0], reserved: { cost: { EUR: '2' } } })
    const cheaper = { ...cost, micros: 1n }
    expect(reserve([of(cheaper, cheaper), of(cost, cost)])).toEqual({ ok: false, reason: 'uses_exhausted' })
    expect(reserve([last, of(cheaper, cheaper), last])).toEqual({ ok: false, reason: 'uses_exhausted' })
    const dollars = { ...cost, currency: 'USD' } // the same amount in another currency
    expect(reserve([of(dollars, dollars), of(cost, cost)])).toEqual({ ok: false, reason: 'uses_exhausted' })
  })

  it('finds a permission with uses left at each level', () => {
    const twice = [{ index: 0 }, { index: 1 }]
    const grant = levelOf({ calls: 9 }, [{ max_uses: 1 }, { max_uses: 1 }], twice)
    const link = levelOf({ calls: 9 }, [{ max_uses: 1 }, { max_uses: 1 }], twice)
    grant.spent.uses.set(0, 1)
    expect(reserve([grant, link])).toMatchObject({ permissions: [1, 0] })
    grant.spent.uses.set(1, 1)
    expect(reserve([grant, link])).toEqual({ ok: false, reason: 'uses_exhausted' })
    link.spent.uses.set(0, 1)
    expect(reserve([levelOf({ calls: 9 }, [{}], [{ index: 0 }]), link])).toMatchObject({ permissions: [0, 1] })
  })
})

it('refills the store with what the log leaves, and never with more than nothing', () => {
  const spent = emptySpend()
  spent.version = 7
  spent.taken.calls = 5n
  spent.taken.cost.set('EUR', 3_000_000n)
  spent.uses.set(0, 2)
  const granted = authority({ calls: 4, cost: { EUR: '10' } }, [{ ...priced, max_uses: 3 }])
  expect(treeStateOf(granted, spent, 1)).toEqual({
    version: 7,
    left: { calls: 0n, 'cost:EUR': 7_000_000n, 'uses:0': 1n },
    labels: [],
    expiresAt: 1,
  })
  const limited = authority({ egress_bytes: 9 }, [{}])
  expect(treeStateOf(limited, undefined, 2)).toEqual({
    version: 0,
    left: { egress_bytes: 9n },
    labels: [],
    expiresAt: 2,
  })
  spent.taken.egressBytes = 2n
  spent.labels.set('reads_private', { count: 1, spent: new Map(), lastAt: 0 })
  expect(treeStateOf(limited, spent, 2)).toMatchObject({ left: { egress_bytes: 7n }, labels: ['reads_private'] })
  expect(treeStateOf(authority({ calls: 5 }), spent, 2).left).toEqual({ calls: 0n })
  expect(treeStateOf(authority({ calls: 7 }), undefined, 2).left).toEqual({ calls: 7n })
  expect(storeAmounts({ calls: 1, egress_bytes: 0, cost: { EUR: '0.5' } }, 0, 1n)).toEqual({
    calls: 1n,
    egress_bytes: 0n,
    'uses:0': 1n,
    'cost:EUR': 500_000n,
  })
})

describe('a further round of a call', () => {
  const level = (budget: object, taken: Partial<ReturnType<typeof emptySpend>['taken']>, open = 0) => {
    const spent = emptySpend()
    Object.assign(spent.taken, taken)
    return { authority: authority(budget, [{ max_uses: 1 }, {}]), covering: [{ index: 0 }], spent: { ...spent, open } }
  }

  it('takes bytes alone, where nothing else is left (V9)', () => {
    const grant = level({ calls: 1, egress_bytes: 80 }, { calls: 1n, egressBytes: 70n })
    grant.spent.uses.set(0, 1)
    expect(reserveRound([grant], [0], { asked: 7, most: undefined })).toEqual({
      ok: true,
      permissions: [0],
      reserved: { calls: 0, egress_bytes: 7, cost: {} },
      amounts: { calls: 0n, egress_bytes: 7n, 'uses:0': 0n },
    })
  })

  it.each<[string, ReturnType<typeof level>, string]>([
    ['no bytes are left', level({ egress_bytes: 80 }, { egressBytes: 80n }), 'budget_exhausted'],
    ['calls under way may give bytes back', level({ egress_bytes: 80 }, { egressBytes: 79n }, 1), 'budget_held'],
  ])('is refused where %s (V9)', (_, grant, reason) => {
    expect(reserveRound([grant], [0])).toEqual({ ok: false, reason })
  })

  it('is charged where its first round was, at each level, or not at all (V3)', () => {
    const [grant, link] = [level({}, {}), level({}, {})]
    expect(reserveRound([grant, link], [0, 0])).toMatchObject({ ok: true, permissions: [0, 0] })
    for (const permissions of [[1, 0], [0, 1], [0], [0, 0, 0], []])
      expect(reserveRound([grant, link], permissions)).toEqual({ ok: false, reason: 'round_invalid' })
  })
})

describe('what calls without an outcome hold may come back: reserved, and not exhausted', () => {
  const level = (of: { max_uses?: number; budget?: object }, takes: { all: number; held: number }) => {
    const spent = emptySpend()
    const amounts = (count: number) => ({ calls: BigInt(count), cost: new Map([['EUR', BigInt(count) * 1_000_000n]]) })
    spent.taken = { ...amounts(takes.all), egressBytes: 0n }
    spent.uses.set(0, takes.all)
    spent.held = { ...amounts(takes.held), uses: new Map([[0, takes.held]]) }
    spent.open = takes.held
    const { max_uses, budget = { cost: { EUR: '9' } } } = of
    const permission = max_uses === undefined ? priced : { ...priced, max_uses }
    const covering = [{ index: 0, cost: { currency: 'EUR', micros: 1_000_000n } }]
    return { authority: authority(budget, [permission]), covering, spent }
  }
  const reasonOf = (...levels: [ReturnType<typeof level>, ...ReturnType<typeof level>[]]) => {
    const reservation = reserve(levels)
    return reservation.ok ? true : reservation.reason
  }

  it.each<[string, Parameters<typeof level>[0], string, string]>([
    ['uses', { max_uses: 2 }, 'uses_reserved', 'uses_exhausted'],
    ['calls', { budget: { calls: 2, cost: { EUR: '9' } } }, 'budget_reserved', 'budget_exhausted'],
    ['cost', { budget: { cost: { EUR: '2' } } }, 'budget_reserved', 'budget_exhausted'],
  ])('%s, of the tree and of each link (V10)', (_, of, reserved, exhausted) => {
    const free = level({}, { all: 0, held: 0 })
    for (const around of [
      (one: typeof free) => [one],
      (one: typeof free) => [free, one],
      (one: typeof free) => [one, free],
    ]) {
      const at = (all: number, held: number) => reasonOf(...(around(level(of, { all, held })) as [typeof free]))
      expect([at(1, 1), at(2, 2), at(2, 1), at(2, 0)]).toEqual([true, reserved, reserved, exhausted])
    }
  })

  it('is exhausted where one of both is settled', () => {
    const uses = level({ max_uses: 1 }, { all: 1, held: 1 })
    const cost = level({ budget: { cost: { EUR: '1' } } }, { all: 1, held: 0 })
    expect([reasonOf(uses, cost), reasonOf(cost, uses)]).toEqual(['budget_exhausted', 'budget_exhausted'])
  })
})
