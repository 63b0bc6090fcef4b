import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { lacks, startRedis } from '@bailiwick/native'
import { sample } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { onTopic } from '@bailiwick/verify/audit'
import { expect, it } from 'vitest'
import { adjust, type CallAnswer, Point } from '../e2e/agent-side.ts'
import { callsOnly } from '../e2e/two-points.ts'
import { again } from './again.ts'
import { dyingAt, files, type Place } from './die-at.ts'
import { overTheWire } from './over-the-wire.ts'
import { leavesIn, quiet, reckon } from './reckoning.ts'
import { generator, seed } from './seed.ts'
import { standalone } from './standalone.ts'
import { Acknowledged } from './story.ts'
import { tally } from './tally.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 500 : 20))
/** Of a machine on which others work too. */
const [readyWithinMs, patienceMs] = [120_000, 60_000]
/** More than is lost in the rounds: what is left is taken at the end, to the last of it. */
const budget = rounds * 3

/** Between a reservation and its settlement; undefined: all were answered, but no outcome is reported yet. */
const places: readonly (Place | undefined)[] = [
  { step: 'decision.allowed', side: 'before' },
  { step: 'decision.allowed', side: 'after', delayMs: 4 },
  undefined,
  { step: 'outcome.reported', side: 'before' },
  { step: 'outcome.reported', side: 'after', delayMs: 4 },
]

interface Taken {
  answer: CallAnswer
  callId: string
}

/** What the store still holds of a writer that died is what Redis remembers; embedded, it starts anew with its process. */
const stores = process.env.BAILIWICK_NIGHTLY === '1' ? ['embedded', 'redis'] : ['redis']
const title = `a decision point that is killed between reserve and settle, ${rounds} times, never lets more be taken than was approved, and loses nothing that is left, with the grant store %s (V9)`

it.skipIf(lacks('redis')).each(stores)(title, { timeout: rounds * 60_000 + 120_000 }, async (store) => {
  await using redis = store === 'redis' ? await startRedis() : undefined
  const random = generator(seed)
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-reserve-kills-'))
  const file = (name: keyof typeof files) => join(folder, files[name])
  const reached = () => existsSync(file('reached'))
  // Where `Point` says that it stands.
  const place = await preparePlace({ invoicesPort: Number(new URL(sample.invoicesUrl).port) })
  const { data, url, trust } = place
  await using system = standalone(place, {
    ...(redis && { BAILIWICK_GRANT_STORE: redis.url, BAILIWICK_DEV: '1' }),
    ...dyingAt(folder),
  })
  system.start()
  await system.ready(readyWithinMs)
  const approver = await enrolApprover({ url, data })
  const agent = sampleAgent({ data, trust, clock: systemClock, random: systemRandom }, 'reconciler')
  const { requestId } = await agent.request({
    authority: callsOnly(budget),
    mode: 'window',
    expiresInSeconds: 28_800,
  })
  const { grant_id: grantId = '' } = await approver.approve(requestId)
  const world = { clock: systemClock, random: systemRandom, url, data, trust, http: overTheWire(url) }
  const point = new Point(world)
  const acknowledged = new Acknowledged()

  async function call(): Promise<Taken | CallAnswer> {
    const callId = newId('call', systemClock.now(), systemRandom)
    const { token: credential } = await agent.credential({ grantId })
    const answer = await point.call({ credential, ...adjust('1'), observed: { call_id: callId } })
    if (!answer.decision) return answer
    acknowledged.allows.add(answer.decisionId)
    return { answer, callId }
  }
  const threeCalls = async (): Promise<Taken[]> => {
    const told = await Promise.all([0, 1, 2].map(() => call().catch(() => undefined)))
    return told.filter((each) => each !== undefined && 'callId' in each)
  }
  async function restart(): Promise<void> {
    await system.kill()
    tally('SIGKILL', `standalone between reserve and settle, store ${store}`)
    system.start()
    await system.ready(readyWithinMs)
  }
  /** Acts, over and over, until the process stands still there; gives what was told before it was killed. */
  async function killedAt<T>(at: Place, act: () => Promise<T>): Promise<T[]> {
    writeFileSync(
      file('armed'),
      JSON.stringify(at.delayMs === undefined ? at : { ...at, delayMs: random() * at.delayMs }),
    )
    const end = performance.now() + patienceMs
    const told: T[] = []
    const acting = (async () => {
      for (; !reached() && performance.now() < end; await pause(20)) told.push(await act())
    })()
    for (; !reached(); await pause(5))
      if (performance.now() > end) throw new Error(`never came to ${JSON.stringify(at)}: ${system.output}`)
    await restart()
    rmSync(file('reached'))
    await acting
    return told
  }
  const settled = (outcome: string) =>
    again(async () => {
      const status = await point.report(outcome)
      if (status >= 300) throw new Error(`an outcome is answered ${status}`)
    })

  for (let round = 0; round < rounds; round++) {
    const at = places[round % places.length]
    const taken = at?.step === 'decision.allowed' ? (await killedAt(at, threeCalls)).flat() : []
    for (const end = performance.now() + patienceMs; at?.step !== 'decision.allowed' && taken.length === 0; ) {
      taken.push(...(await threeCalls()))
      if (performance.now() > end) throw new Error('no call is let through')
    }
    // Most did not happen: what was reserved for them comes back, once.
    const outcomes = taken.map(({ answer, callId }, n) =>
      point.outcome(answer, callId, round % 4 === 3 && n === 0 ? 'succeeded' : 'not_executed'),
    )
    if (at === undefined) await restart()
    else if (at.step === 'outcome.reported')
      await killedAt(at, () => Promise.all(outcomes.map((outcome) => point.report(outcome).catch(() => 0))))
    for (const outcome of outcomes) await settled(outcome)
  }

  // The rest of the budget can be spent, to the last call and no further, with late ALLOWs that are taken back meanwhile.
  for (let empty = 0; empty < 2; ) {
    const told = await again(call)
    if ('callId' in told) {
      empty = 0
      await settled(point.outcome(told.answer, told.callId, 'succeeded'))
    } else if (told.reason === 'budget_exhausted') {
      empty++
      await quiet(url)
    } else await pause(100)
  }
  await system.stop()

  const effects = acknowledged.allows.size
  const report = await reckon(data, { seed, store, rounds, budget }, { acknowledged, effects, errors: system.errors })
  const counting = new Set(report.counting)
  let calls = 0
  for (const { event, index } of onTopic(await leavesIn(data), 'decisions.v1'))
    if (!counting.has(index)) continue
    else if (event.type === 'decision.allowed') calls++
    else if (event.type === 'decision.abandoned') calls--
    else if (event.type === 'outcome.reported') calls -= event.data.released.calls
  expect(calls).toBe(budget)
  expect(system.crashes, system.output).toBe(0)
  rmSync(folder, { recursive: true })
  place.leave()
})
