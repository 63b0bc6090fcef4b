import { randomUUID } from 'node:crypto'
import { type RedisGrantStore, redisGrantStore } from '@bailiwick/grant-store/redis'
import { logger } from '@bailiwick/host'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { adjust, type CallAnswer, type CallAsk, Point } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import type { World, WorldOptions } from './world.ts'

const [, { where, cost, actions, resource }] = sampleAuthority.permissions

/** Less than a proof's leeway of 5 s. */
const aheadMs = 4_800

/** The given number of calls, and enough money for all of them. */
export const callsOnly = (calls: number) => ({
  ...sampleAuthority,
  permissions: [{ actions, resource, where, cost }],
  budget: { calls, cost: { EUR: '9000.00' } },
})

/**
 * An enforcement point that records its requests, so that a thief may send them again elsewhere. Its agents' clocks are
 * as far ahead as is allowed: an instance that lost its memory seconds ago sees their proofs as recent, so Redis
 * decides.
 */
export class RecordingPoint extends Point {
  readonly bodies: Record<string, unknown>[] = []
  readonly #now: () => number

  constructor(world: World, http?: World['http']) {
    super(world, http)
    this.#now = () => world.clock.now()
  }

  override body(ask: CallAsk) {
    const made = super.body({ ...ask, proof: { now: this.#now() + aheadMs, ...ask.proof } })
    this.bodies.push(made.body)
    return made
  }
}

/** Two decision points that share a bus and a Redis, each over a connection of its own, and one grant. */
export interface TwoPoints extends AsyncDisposable {
  system: Granted
  points: readonly [RecordingPoint, RecordingPoint]
  stores: readonly [RedisGrantStore, RedisGrantStore]
  /** Simultaneous calls, alternating between the two. */
  race(calls: number, at?: readonly Point[]): Promise<CallAnswer[]>
  /** The state of the tree that each decision point has folded. */
  folded(): { version: number; calls: bigint }[]
}

export async function twoPoints(
  url: string,
  calls: number,
  { authority = callsOnly(calls), ...more }: WorldOptions & { authority?: object } = {},
): Promise<TwoPoints> {
  await using opened = new AsyncDisposableStack()
  const options = { url, namespace: randomUUID(), logger: logger({ service: 'two-points', level: 'silent' }) }
  const one = opened.use(await redisGrantStore(options))
  const two = opened.use(await redisGrantStore(options))
  const system = opened.use(await granted({ ...more, grantStore: () => one }, { authority }))
  const { world, credential, grant } = system
  const second = await world.startPdp(undefined, two)
  const points = [new RecordingPoint(world), new RecordingPoint(world, second.http)] as const
  for (const point of points) await point.call({ credential, ...adjust('501') })
  const owned = opened.move()
  return {
    system,
    points,
    stores: [one, two],
    race: (count, at = points) =>
      Promise.all(
        Array.from({ length: count }, (_, n) => (at[n % at.length] ?? points[0]).call({ credential, ...adjust('1') })),
      ),
    folded: () =>
      [world.pdp, second].map(({ pdp }) => {
        const tree = pdp.projection.ledger.decisions.trees.get(grant.grantId)
        return { version: tree?.version ?? 0, calls: tree?.taken.calls ?? 0n }
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

export const allowedOf = (answers: readonly CallAnswer[]) => answers.filter(({ decision }) => decision)
