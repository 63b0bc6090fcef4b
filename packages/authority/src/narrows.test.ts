import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Action, type CoveringPermission, covers } from './covers.ts'
import { parseMicros } from './decimal.ts'
import { narrows } from './narrows.ts'
import type { Authority } from './schema.ts'
import { authorities, everyAction, narrowed, relatives } from './small-universe.ts'

const isNarrower = (child: Authority, parent: Authority) => narrows(child, parent).narrower
const below = (parent: Authority) => fc.oneof(relatives(parent), narrowed(parent))
const families = authorities.chain((parent) => fc.tuple(below(parent), fc.constant(parent)))
const covering = (authority: Authority, action: Action): readonly CoveringPermission[] => {
  const coverage = covers(authority, action)
  return coverage.covered ? coverage.permissions : []
}

describe('what narrows its parent', () => {
  it('covers no action that the parent does not (V5)', { timeout: 30_000 }, () => {
    const answers = { narrower: 0, wider: 0 }
    fc.assert(
      fc.property(families, ([child, parent]) => {
        answers[isNarrower(child, parent) ? 'narrower' : 'wider']++
        if (!isNarrower(child, parent)) return
        for (const action of everyAction) {
          if (covers(child, action).covered && !covers(parent, action).covered) {
            expect.unreachable(JSON.stringify({ child, parent, action }))
          }
        }
      }),
      { numRuns: 600 },
    )
    expect(Math.min(answers.narrower, answers.wider)).toBeGreaterThan(60)
  })

  it('allows no sequence of actions that the parent does not, within its uses and its budget (V5)', {
    timeout: 30_000,
  }, () => {
    let longest = 0
    fc.assert(
      fc.property(families, ([child, parent]) => {
        if (!isNarrower(child, parent)) return
        for (const sequence of sequencesAllowed(child, parent)) {
          longest = Math.max(longest, sequence.length)
          if (!canAllow(parent, sequence)) expect.unreachable(JSON.stringify({ child, parent, sequence }))
        }
      }),
      { numRuns: 300 },
    )
    expect(longest).toBe(4)
  })

  it('is what can only narrow, so that refusing everything is no answer', () => {
    fc.assert(
      fc.property(
        authorities.chain((parent) => fc.tuple(narrowed(parent), fc.constant(parent))),
        ([child, parent]) => {
          expect(narrows(child, parent)).toEqual({ narrower: true })
        },
      ),
    )
  })
})

/** The amount spent so far: uses of each permission, calls, micros of each currency. */
interface Spent {
  readonly uses: readonly number[]
  readonly calls: number
  readonly micros: Readonly<Record<string, bigint>>
}
const nothing: Spent = { uses: [], calls: 0, micros: {} }

/** Takes one use of a permission, or returns undefined if there is not enough left. */
function spend(authority: Authority, spent: Spent, { index, cost }: CoveringPermission): Spent | undefined {
  const uses = spent.uses.slice()
  uses[index] = (uses[index] ?? 0) + 1
  const calls = spent.calls + 1
  const micros = cost
    ? { ...spent.micros, [cost.currency]: (spent.micros[cost.currency] ?? 0n) + cost.micros }
    : spent.micros
  const limits = authority.budget.cost ?? {}
  const fits =
    (uses[index] ?? 0) <= (authority.permissions[index]?.max_uses ?? 99) &&
    calls <= (authority.budget.calls ?? 99) &&
    Object.entries(micros).every(([currency, amount]) => amount <= (parseMicros(limits[currency] ?? '0') ?? 0n))
  return fits ? { uses, calls, micros } : undefined
}

/** Whether every action of a sequence can be assigned to some permission: tries all assignments. */
function canAllow(authority: Authority, sequence: readonly Action[], spent: Spent = nothing): boolean {
  const [action, ...rest] = sequence
  if (action === undefined) return true
  return covering(authority, action).some((permission) => {
    const after = spend(authority, spent, permission)
    return after !== undefined && canAllow(authority, rest, after)
  })
}

/** Every sequence of up to four actions that the child allows; one action represents all that both cover in the same way. */
function sequencesAllowed(child: Authority, parent: Authority): Action[][] {
  const kinds = new Map<string, Action>()
  for (const action of everyAction) {
    const kind = [covering(child, action), covering(parent, action)]
    const text = JSON.stringify(kind, (_, value) => (typeof value === 'bigint' ? String(value) : value))
    if (kind[0]?.length) kinds.set(text, action)
  }
  const alphabet = [...kinds.values()].slice(0, 5)
  let sequences: Action[][] = [[]]
  const allowed: Action[][] = []
  for (let length = 1; length <= 4; length++) {
    sequences = sequences
      .flatMap((sequence) => alphabet.map((action) => [...sequence, action]))
      .filter((sequence) => canAllow(child, sequence))
    allowed.push(...sequences)
  }
  return allowed
}

it('holds between an authority and itself', () => {
  fc.assert(
    fc.property(authorities, (authority) => {
      expect(narrows(authority, authority)).toEqual({ narrower: true })
    }),
  )
})

it('holds between a child and its grandparent (V5)', { timeout: 30_000 }, () => {
  let chains = 0
  const lines = authorities
    .chain((top) => fc.tuple(below(top), fc.constant(top)))
    .chain(([middle, top]) => fc.tuple(below(middle), fc.constant(middle), fc.constant(top)))
  fc.assert(
    fc.property(lines, ([bottom, middle, top]) => {
      if (!isNarrower(bottom, middle) || !isNarrower(middle, top)) return
      chains++
      expect(narrows(bottom, top)).toEqual({ narrower: true })
    }),
    { numRuns: 1500 },
  )
  expect(chains).toBeGreaterThan(100)
})

it('holds whichever permission is taken away', () => {
  fc.assert(
    fc.property(authorities, (parent) => {
      for (const index of parent.permissions.keys()) {
        const permissions = parent.permissions.toSpliced(index, 1)
        if (permissions.length > 0) expect(narrows({ ...parent, permissions }, parent)).toEqual({ narrower: true })
      }
    }),
  )
})

describe('says where a child is wider', () => {
  const parent: Authority = {
    type: 'bailiwick_task',
    task: 'reconcile',
    permissions: [
      { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices.read' } },
      {
        actions: ['tools/call'],
        resource: { type: 'tool', id: 'adjustments.post' },
        where: { '/amount': { max: '500' }, '/currency': { in: ['EUR'] } },
        cost: { amount: '/amount', currency: '/currency' },
        max_uses: 10,
      },
    ],
    budget: { calls: 200, cost: { EUR: '2000.00' }, egress_bytes: 1_000_000 },
    max_depth: 2,
    max_children: 5,
  }
  const adjust = parent.permissions[1] as Authority['permissions'][number]
  const withAdjust = (...edits: object[]): Authority => ({
    ...parent,
    permissions: edits.map((edit) => ({ ...adjust, ...edit })),
  })
  const { max_uses: _, ...unlimited } = adjust
  const { cost: __, ...free } = adjust

  it.each<[string, string, string, Authority]>([
    ['another task', '/task', 'another task', { ...parent, task: 'other' }],
    [
      'another resource',
      '/permissions/0/resource',
      'no permission of the parent holds the resource',
      withAdjust({ resource: { type: 'tool', id: 'x' } }),
    ],
    [
      'another type',
      '/permissions/0/resource',
      'no permission of the parent holds the resource',
      withAdjust({ resource: { type: 'api', id: 'adjustments.post' } }),
    ],
    [
      'one more action',
      '/permissions/1/actions',
      'an action that the parent does not have for the resource',
      withAdjust({}, { actions: ['tools/call', 'tools/list'], max_uses: 1 }),
    ],
    [
      'a higher bound',
      '/permissions/0/where',
      'an argument is bounded less than in the parent',
      withAdjust({ where: { ...adjust.where, '/amount': { max: '500.01' } } }),
    ],
    [
      'a bound left out',
      '/permissions/0/where',
      'an argument is bounded less than in the parent',
      withAdjust({ where: { '/amount': { max: '1' } } }),
    ],
    [
      'a bound on another argument',
      '/permissions/0/where',
      'an argument is bounded less than in the parent',
      withAdjust({ where: { '/currency': { eq: 'EUR' }, '/Amount': { max: '1' } } }),
    ],
    [
      'no cost declared',
      '/permissions/0/cost',
      'the cost is not declared as in the parent',
      { ...parent, permissions: [free] },
    ],
    [
      'a cost read elsewhere',
      '/permissions/0/cost',
      'the cost is not declared as in the parent',
      withAdjust({ cost: { amount: '/fee', currency: '/currency' } }),
    ],
    [
      'a cost in another currency',
      '/permissions/0/cost',
      'the cost is not declared as in the parent',
      withAdjust({ cost: { amount: '/amount', currency: '/money' } }),
    ],
    [
      'unlimited uses',
      '/permissions/0/max_uses',
      'no limit of uses, where the parent has one',
      { ...parent, permissions: [unlimited] },
    ],
    [
      'one use more',
      '/permissions/0/max_uses',
      'more uses than the parent has, over all permissions that share them',
      withAdjust({ max_uses: 11 }),
    ],
    [
      'uses that only together are more',
      '/permissions/1/max_uses',
      'more uses than the parent has, over all permissions that share them',
      withAdjust({ max_uses: 6 }, { max_uses: 5 }),
    ],
    [
      'no limit of calls',
      '/budget/calls',
      'more than the parent',
      { ...parent, budget: { cost: { EUR: '1' }, egress_bytes: 1 } },
    ],
    [
      'more bytes',
      '/budget/egress_bytes',
      'more than the parent',
      { ...parent, budget: { ...parent.budget, egress_bytes: 1_000_001 } },
    ],
    [
      'a micro more money',
      '/budget/cost/EUR',
      'more than the parent',
      { ...parent, budget: { ...parent.budget, cost: { EUR: '2000.000001' } } },
    ],
    [
      'another currency',
      '/budget/cost/USD',
      'a currency that the parent does not have',
      { ...parent, budget: { ...parent.budget, cost: { USD: '1' } } },
    ],
    [
      'no limit of money',
      '/budget/cost',
      'not stated, where the parent limits it',
      { ...parent, budget: { calls: 1, egress_bytes: 1 } },
    ],
    ['deeper', '/max_depth', 'deeper than the parent', { ...parent, max_depth: 3 }],
    ['more children', '/max_children', 'more than the parent', { ...parent, max_children: 6 }],
  ])('%s', (_, path, why, child) => {
    expect(narrows(child, parent)).toEqual({ narrower: false, path, why })
  })

  it('of several permissions by the one that comes closest, wherever it stands', () => {
    const [read, post] = parent.permissions as [Authority['permissions'][number], Authority['permissions'][number]]
    const child = withAdjust({ where: {} })
    for (const permissions of [
      [read, post],
      [post, read],
    ])
      expect(narrows(child, { ...parent, permissions })).toMatchObject({ path: '/permissions/0/where' })
  })

  it('and no limit of uses where any permission of the parent has none', () => {
    const [read] = parent.permissions as [Authority['permissions'][number]]
    for (const permissions of [
      [read, { ...read, max_uses: 1 }],
      [{ ...read, max_uses: 1 }, read],
    ])
      expect(narrows({ ...parent, permissions: [read] }, { ...parent, permissions })).toEqual({ narrower: true })
  })

  it('of a parent without permissions, that it has none', () => {
    expect(narrows(parent, { ...parent, permissions: [] })).toEqual({
      ...{ narrower: false, path: '/permissions/0/', why: 'the parent has no permission' },
    })
  })

  it('and lets uses be shared out among permissions', () => {
    expect(narrows(withAdjust({ max_uses: 6 }, { max_uses: 4 }), parent)).toEqual({ narrower: true })
  })
})
