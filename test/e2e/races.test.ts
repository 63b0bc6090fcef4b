import { sha256 } from '@bailiwick/credentials'
import type { DenialReason } from '@bailiwick/errors'
import { type Break, faultyGrantStore, type GrantStore } from '@bailiwick/grant-store'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, type CallAnswer, Point, read } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { takenOnTheLog } from './taken.ts'
import { Thief } from './thief.ts'
import { eventually } from './world.ts'

const [reading, adjusting] = sampleAuthority.permissions
const { where, cost, actions, resource } = adjusting
const racers = 64

const authorities = {
  calls: {
    ...sampleAuthority,
    permissions: [reading, { actions, resource, where, cost }],
    budget: { calls: 5, cost: { EUR: '9000.00' } },
  },
  cost: { ...sampleAuthority, permissions: [{ actions, resource, where, cost }], budget: { cost: { EUR: '50.00' } } },
  uses: {
    ...sampleAuthority,
    permissions: [{ actions, resource, where, cost, max_uses: 5 }],
    budget: { cost: { EUR: '9000.00' } },
  },
} as const

async function race(system: Granted, points: readonly Point[] = [system.point]): Promise<CallAnswer[]> {
  const { credential } = system
  return Promise.all(
    Array.from({ length: racers }, (_, n) =>
      (points[n % points.length] as Point).call({ credential, ...adjust('10') }),
    ),
  )
}

const allowed = (answers: readonly CallAnswer[]) => answers.filter(({ decision }) => decision)

it.each<[keyof typeof authorities, DenialReason]>([
  ['calls', 'budget_reserved'],
  ['cost', 'budget_reserved'],
  ['uses', 'uses_reserved'],
])('gives the last of the %s to exactly as many of 64 racers as were approved (V9)', async (what, reason) => {
  await using system = await granted({}, { authority: authorities[what] })
  const answers = await race(system)
  expect(allowed(answers)).toHaveLength(5)
  expect(new Set(answers.filter(({ decision }) => !decision).map((answer) => answer.reason))).toEqual(new Set([reason]))
  expect(await takenOnTheLog(system)).toBe(5)
})

it.each<['flushed' | Break]>([['flushed'], ['before'], ['after']])(
  'takes no more than was approved when the grant store is %s meanwhile (V9)',
  async (how) => {
    let calls = 0
    let broken = false
    await using system = await granted(
      {
        grantStore: (real) => {
          const store = faultyGrantStore(real, (method) => {
            if (!broken || method === 'adopt' || how === 'flushed') return undefined
            return ++calls % 3 === 0 ? how : undefined
          })
          // Reset to a state where nothing was taken, as a failover to an old replica would.
          const generous = {
            version: 0,
            left: { calls: 5n, 'cost:EUR': 9_000_000_000n },
            labels: [],
            expiresAt: Date.now() + 3_600_000,
          }
          return {
            ...store,
            async advance(root, take) {
              if (broken && how === 'flushed' && ++calls % 4 === 0)
                await real.reset(root, { ...generous, version: take.from })
              return store.advance(root, take)
            },
          }
        },
      },
      { authority: authorities.calls },
    )
    broken = true
    const answers = [...(await race(system)), ...(await race(system))]
    // A proof whose id a broken store may have seen is refused. That is safe, and does not concern the budget.
    expect(allowed(answers).length).toBeLessThanOrEqual(5)
    expect(await takenOnTheLog(system)).toBe(allowed(answers).length)
    broken = false
    await race(system)
    expect(await takenOnTheLog(system)).toBe(5)
  },
)

it('refills a store that forgets in the middle of a batch from the log, including the batch (V9)', async () => {
  let advances = 0
  await using system = await granted(
    {
      grantStore: (real) => ({
        ...real,
        async advance(root, take) {
          const nothing = { version: -1, left: {}, labels: [], expiresAt: Date.now() + 3_600_000 }
          if (++advances === 20) await real.reset(root, nothing)
          return real.advance(root, take)
        },
      }),
    },
    { authority: { ...authorities.calls, budget: { calls: 100, cost: { EUR: '9000.00' } } } },
  )
  expect(allowed(await race(system))).toHaveLength(racers)
  expect(advances).toBeGreaterThan(racers)
  const tree = await system.world.store.get(system.grant.grantId)
  // A Redis that was too slow for the last ones lags behind, but what it knows is never wrong.
  expect(tree?.version).toBeGreaterThan(20)
  expect(tree?.left.calls).toBe(100n - BigInt(tree?.version ?? 0))
})

it('settles races of two instances by the log while the store is away, and never takes too much (V9)', async () => {
  let away = false
  await using system = await granted(
    {
      grantStore: (real) => faultyGrantStore(real, (method) => (away && method !== 'remember' ? 'before' : undefined)),
    },
    { authority: authorities.cost },
  )
  const second = await system.world.startPdp()
  const other = new Point(system.world, second.http)
  await other.call({ credential: system.credential, ...adjust('501') })
  away = true
  const answers = await race(system, [system.point, other])
  expect(allowed(answers).length).toBeLessThanOrEqual(5)
  expect(await takenOnTheLog(system)).toBe(allowed(answers).length)
})

it('re-evaluates a decision that another writer overtook, and the rest of its batch (V2, V9)', async () => {
  const gate = Promise.withResolvers<void>()
  const batches: number[] = []
  let intrude: (() => Promise<void>) | undefined
  await using system = await granted(
    {
      // The store is away, so that only the log decides.
      grantStore: (real) =>
        faultyGrantStore(real, (method) => (intrude && method !== 'remember' ? 'before' : undefined)),
      wrapRecord: (record) => async (drafts) => {
        const allows = drafts.filter(({ type }) => type === 'decision.allowed').length
        if (!intrude || allows === 0) return record(drafts)
        batches.push(allows)
        if (batches.length === 1) await gate.promise
        if (batches.length === 2) await intrude()
        return record(drafts)
      },
    },
    { authority: { ...authorities.cost, budget: { cost: { EUR: '100.00' } } } },
  )
  const { credential, point, world, grant } = system
  const pdp = await Thief.of(world, 'policy-decision')
  const model = await point.call({ credential, ...adjust('1') })
  const [like] = (await world.events('decisions.v1')).filter(({ subject }) => subject === model.decisionId)
  if (like?.type !== 'decision.allowed') throw new Error('no model')
  // Takes nearly everything. Of our two calls, the second would fit only without the intruder.
  intrude = async () => {
    const { version, head } = await eventually(() => {
      const tree = pdp.projection.ledger.decisions.trees.get(grant.grantId)
      return tree?.version === 2 ? tree : undefined
    })
    const decisionId = `${model.decisionId.slice(0, -4)}ZZZZ`
    await pdp.producer.publishOne('decisions.v1', {
      type: 'decision.allowed',
      subject: decisionId,
      key: grant.grantId,
      version: version + 1,
      data: {
        ...like.data,
        after: head,
        decision_id: decisionId,
        call_id: 'call_intruder00000',
        proof_id: sha256('the proof of the intruder'),
        reserved: { ...like.data.reserved, cost: { EUR: '90' } },
      },
    })
  }
  const held = point.call({ credential, ...adjust('1') })
  await eventually(() => batches.length === 1 || undefined)
  /** A call that waits behind the batch that is held. */
  const waiting = async (amount: string) => {
    const { length } = world.pdp.queues
    const answer = point.call({ credential, ...adjust(amount) })
    await eventually(() => world.pdp.queues.length > length || undefined)
    return { answer }
  }
  const small = await waiting('1')
  const large = await waiting('90')
  gate.resolve()
  expect(await held).toMatchObject({ decision: true })
  expect(await small.answer).toMatchObject({ decision: true })
  expect(await large.answer).toMatchObject({ decision: false, reason: 'budget_reserved' })
  expect(batches.slice(0, 2)).toEqual([1, 2])
  const spend = world.pdp.pdp.projection.ledger.decisions.trees.get(grant.grantId)
  expect(spend?.taken.cost.get('EUR')).toBe(93_000_000n)
})

it('decides by the log alone, within its deadline, when the store hangs (V9)', async () => {
  let hangs = false
  await using system = await granted({
    grantStore: (real) => hanging(real, () => hangs),
  })
  hangs = true
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => system.point.call({ credential: system.credential, ...read })),
  )
  expect(answers.every(({ decision }) => decision)).toBe(true)
  await eventually(() => system.taken() === 10n || undefined)
})

/** A connection on which no answer comes back. */
function hanging(real: GrantStore, hangs: () => boolean): GrantStore {
  const never = () => new Promise<never>(() => undefined)
  return {
    ...faultyGrantStore(real, () => undefined),
    advance: (root, take) => (hangs() ? never() : real.advance(root, take)),
    remember: (id, now, until) => (hangs() ? never() : real.remember(id, now, until)),
  }
}
