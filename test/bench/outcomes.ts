import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { systemClock } from '@bailiwick/kit'
import { type Bench, type Measure, median, percentile } from './measure.ts'
import { type Granted, World } from './world.ts'

/** The input of the enforcement point's process. */
export interface Carrying {
  data: string
  url: string
  htu: string
  tokens: string[]
  perSecond: number
  seconds: number
  mostInFlight: number
}

/** Its output at the end. */
export interface Carried {
  allowed: number
  /** By reason. */
  refused: Record<string, number>
  /** Calls that fell due while too many were in flight. */
  notBegun: number
  ms: number
  /** From the last answer until no outcome was waiting. */
  drainMs: number
  /** CPU time of its process, from the first call until no outcome was waiting. */
  cpuMs: number
}

const own = join(import.meta.dirname, 'outcomes-main.ts')
const trees = 8
const mostInFlight = 256

/** How many ALLOWs and their outcomes one enforcement point carries, and how many of the outcomes are missing. */
export async function measureOutcomes({ dir, quick, count, seconds, progress }: Bench): Promise<Measure> {
  const perSecond = count ?? (quick ? 50 : 500)
  const carrySeconds = seconds ?? (quick ? 3 : 60)
  progress('outcomes: a system starts')
  await using world = await World.open(dir)
  const grants: Granted[] = []
  while (grants.length < trees) grants.push(await world.grant())
  const { projection } = world.system.services.policyDecision.pdp
  const lateMs: number[] = []
  let missing = 0
  const unsubscribe = projection.onFact(({ topic, verdict, event }) => {
    if (topic !== 'decisions.v1' || verdict !== 'counts') return
    if (event.type === 'outcome.missing') missing++
    if (event.type === 'outcome.reported') lateMs.push(systemClock.now() - signedAt(event.data.outcome))
  })
  const carrying: Carrying = {
    ...{ data: world.system.data, url: world.system.url, htu: `${world.system.invoicesUrl}/read` },
    ...{ tokens: grants.map(({ token }) => token), perSecond, seconds: carrySeconds, mostInFlight },
  }
  progress(`outcomes: ${perSecond} calls a second for ${carrySeconds} s`)
  const before = process.cpuUsage()
  const { stdout } = await promisify(execFile)(process.execPath, [own, JSON.stringify(carrying)])
  const carried = JSON.parse(stdout) as Carried
  const { user, system } = process.cpuUsage(before)
  await pause(1000) // for the calls that were abandoned last
  unsubscribe()
  const allows = [...projection.ledger.decisions.trees.values()].flatMap(({ allows }) => [...allows.values()])
  // Without the call that fetched the nonce.
  const reported = lateMs.length - 1
  return {
    id: 'outcomes',
    title: 'ALLOWs and their outcomes',
    how:
      `${perSecond} calls a second fall due for ${carrySeconds} s, under ${trees} grants, at one enforcement point in a process of its own, which ` +
      `also plays the agents and signs a proof for each call; at most ${mostInFlight} are in flight, and what falls due beyond that is not begun. All ` +
      'four services run in one other process on the embedded bus. The point keeps its outcomes in a file and tells evidence of them too. An outcome ' +
      'is late by the time from its signature until the decision point has read it back.',
    rows: [
      { name: 'allowed', value: carried.allowed / (carried.ms / 1000), unit: '/s', target: { atLeast: 500 } },
      { name: 'allowed', value: carried.allowed, unit: '' },
      ...Object.entries(carried.refused).map(([reason, value]) => ({
        name: `refused: ${reason}`,
        value,
        unit: '' as const,
      })),
      { name: 'not begun', value: carried.notBegun, unit: '' },
      {
        name: 'ALLOWs without an outcome at the end',
        value: carried.allowed - reported,
        unit: '',
        target: { atMost: 0 },
      },
      // The enforcement point has no answer for such an ALLOW either: nothing happened under it.
      {
        name: 'ALLOWs that no enforcement point knows, still open',
        value: openOf(allows) - (carried.allowed - reported),
        unit: '',
      },
      { name: 'said to be missing', value: missing, unit: '', target: { atMost: 0 } },
      { name: 'outcome late, p50', value: median(lateMs), unit: 'ms' },
      { name: 'outcome late, p99', value: percentile(lateMs, 0.99), unit: 'ms' },
      { name: 'from the last answer until no outcome waited', value: carried.drainMs, unit: 'ms' },
      // At one rate, these two say the same beside any load.
      { name: 'CPU of the services for each ALLOW', value: (user + system) / 1000 / carried.allowed, unit: 'ms' },
      { name: 'CPU of the point and its agents for each ALLOW', value: carried.cpuMs / carried.allowed, unit: 'ms' },
    ],
  }
}

const openOf = (allows: readonly { standing: string }[]): number =>
  allows.filter(({ standing }) => standing === 'open' || standing === 'missing').length

const signedAt = (outcome: string): number =>
  Date.parse(JSON.parse(Buffer.from(outcome.split('.')[1] ?? '', 'base64url').toString()).at)
