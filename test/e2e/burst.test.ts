import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, Point } from './agent-side.ts'
import { type Granted, granted } from './granted.ts'
import { takenOnTheLog } from './taken.ts'
import { eventually } from './world.ts'

const [, { where, cost, actions, resource }] = sampleAuthority.permissions
const costing = { actions, resource, where, cost }
const money = { cost: { EUR: '9000.00' } }
const patient = { timeout: 300_000 }

const limited = {
  uses: (limit: number) => ({ permissions: [{ ...costing, max_uses: limit }], budget: money }),
  calls: (limit: number) => ({ permissions: [costing], budget: { ...money, calls: limit } }),
  cost: (limit: number) => ({ permissions: [costing], budget: { cost: { EUR: `${limit}.00` } } }),
}
type Limited = keyof typeof limited

/** Denials that took nothing, after which the same call may be made again. A slow machine answers some calls too late. */
const toRepeat = [
  'uses_reserved',
  'budget_reserved',
  'queue_full',
  'deadline_exceeded',
  'proof_nonce_required',
  'state_stale',
]

/** The default deadline, and a longer one where a shared machine has too little time. */
const world = (machine: 'idle' | 'busy', calls: number) => ({
  pdp: { decisionDeadlineMs: machine === 'busy' || calls > 500 ? 60_000 : 1000 },
})

/** Threads that together want twice the machine's cores. */
async function busy(): Promise<AsyncDisposable> {
  const forever =
    'const { parentPort } = require("node:worker_threads"); parentPort.postMessage("up"); for (;;) Math.sqrt(2)'
  const threads = Array.from({ length: 2 * availableParallelism() }, () => new Worker(forever, { eval: true }))
  await Promise.all(threads.map((thread) => once(thread, 'message')))
  return { [Symbol.asyncDispose]: async () => void (await Promise.all(threads.map((thread) => thread.terminate()))) }
}

/** Prepares all calls before it sends the first. Returns how often each answer came. */
async function burst(
  { credential }: Granted,
  points: readonly Point[],
  calls: number,
): Promise<Record<string, number>> {
  const pointOf = (n: number) => points[n % points.length] as Point
  const callers = points.map((point) => point.assertion())
  const bodies = Array.from({ length: calls }, (_, n) => pointOf(n).body({ credential, ...adjust('1') }).body)
  const told = await Promise.all(
    bodies.map(async (body, n) => {
      const answer = await pointOf(n).send(body, callers[n % points.length])
      const { decision, context, code } = answer.json()
      return decision === true ? 'allowed' : (context?.reason ?? code)
    }),
  )
  const counts: Record<string, number> = {}
  for (const what of told) counts[what] = (counts[what] ?? 0) + 1
  return counts
}

it.each<[number, Limited, number, 'idle' | 'busy']>([
  [500, 'uses', 10, 'idle'],
  [500, 'uses', 10, 'busy'],
  [500, 'calls', 10, 'idle'],
  [500, 'cost', 10, 'busy'],
  [2000, 'uses', 100, 'idle'],
  [2000, 'uses', 100, 'busy'],
])(
  '%i simultaneous calls for %s, limited to %i, machine %s: exactly that many are allowed, and no call hears too early that they are spent (V9, V10)',
  patient,
  async (calls, what, limit, machine) => {
    await using system = await granted(world(machine, calls), {
      authority: { ...sampleAuthority, ...limited[what](limit) },
    })
    await using _ = machine === 'busy' ? await busy() : undefined
    const told = await burst(system, [system.point], calls)
    expect(told).toMatchObject({
      allowed: limit,
      [what === 'uses' ? 'uses_reserved' : 'budget_reserved']: expect.any(Number),
    })
    expect(Object.keys(told).filter((each) => !toRepeat.includes(each))).toEqual(['allowed'])
    expect(await takenOnTheLog(system)).toBe(limit)
  },
)

it.each<['idle' | 'busy']>([['idle'], ['busy']])(
  '2000 simultaneous calls at two decision points for 100 uses, machine %s: exactly 100 are allowed (V9, V10)',
  patient,
  async (machine) => {
    await using system = await granted(world(machine, 2000), {
      authority: { ...sampleAuthority, ...limited.uses(100) },
    })
    const second = new Point(system.world, (await system.world.startPdp()).http)
    await second.call({ credential: system.credential, ...adjust('501') }) // fetches the nonce
    await using _ = machine === 'busy' ? await busy() : undefined
    const told = await burst(system, [system.point, second], 2000)
    expect(told).toMatchObject({ allowed: 100 })
    expect(Object.keys(told).filter((each) => !toRepeat.includes(each))).toEqual(['allowed'])
    expect(await takenOnTheLog(system)).toBe(100)
  },
)

it('reports uses as spent only when they are, and not while calls without an outcome hold them (V10)', async () => {
  await using system = await granted({}, { authority: { ...sampleAuthority, ...limited.uses(2) } })
  const { point, credential } = system
  const call = (call_id: string) => point.call({ credential, ...adjust('1'), observed: { call_id } })
  const [one, two] = [await call(`call_${'1'.repeat(20)}`), await call(`call_${'2'.repeat(20)}`)]
  expect([one.decision, two.decision]).toEqual([true, true])
  const held = { decision: false, reason: 'uses_reserved', context: { retry_after: 1 } }
  expect(await point.call({ credential, ...adjust('1') })).toMatchObject(held)
  expect(await point.report(point.outcome(one, `call_${'1'.repeat(20)}`, 'succeeded'))).toBe(204)
  expect(await point.call({ credential, ...adjust('1') })).toMatchObject(held)
  expect(await point.report(point.outcome(two, `call_${'2'.repeat(20)}`, 'succeeded'))).toBe(204)
  expect(await point.call({ credential, ...adjust('1') })).toMatchObject({ decision: false, reason: 'uses_exhausted' })
})

it('uses allowed to a caller that is gone go to one that waits (V9, V10)', async () => {
  const gate = Promise.withResolvers<void>()
  let held = false
  let proofs = 0
  await using system = await granted(
    {
      pdp: { decisionDeadlineMs: 60_000 },
      grantStore: (store) => ({
        ...store,
        remember(...proof) {
          proofs++
          return store.remember(...proof)
        },
      }),
      wrapRecord: (record) => async (drafts) => {
        if (!held && drafts.some(({ type }) => type === 'decision.allowed')) {
          held = true
          await gate.promise
        }
        return record(drafts)
      },
    },
    { authority: { ...sampleAuthority, ...limited.uses(1) } },
  )
  const { world, credential, point } = system
  await world.http.listen({ port: Number(new URL(world.url).port) })
  const gone = new AbortController()
  const ask = (signal?: AbortSignal) =>
    fetch(`${world.url}/access/v1/evaluation`, {
      method: 'POST',
      ...(signal ? { signal } : {}),
      headers: { authorization: `Bearer ${point.assertion()}`, 'content-type': 'application/json' },
      body: JSON.stringify(point.body({ credential, ...adjust('1') }).body),
    })
  const first = ask(gone.signal).catch(() => 'gone')
  await eventually(() => held)
  gone.abort()
  expect(await first).toBe('gone')
  await eventually(async () => (await connectionsOf(world.http)) === 0)
  const before = proofs
  const waits = ask().then((answer) => answer.json())
  await eventually(() => proofs > before)
  gate.resolve()
  expect(await waits).toMatchObject({ decision: true })
  expect(await takenOnTheLog(system)).toBe(1)
})

const connectionsOf = ({ server }: Granted['world']['http']) =>
  new Promise<number>((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )
