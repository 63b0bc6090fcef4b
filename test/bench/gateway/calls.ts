import { cpuMs } from '../cpu-time.ts'
import { inFlight, median, percentile, perSecond, type Row } from '../measure.ts'
import { Load, paced } from '../pdp/load.ts'
import type { Server } from '../pdp/server.ts'
import { type Agents, type Holder, outcomeOf } from './agents.ts'

export interface Calling {
  quick: boolean
  progress: (line: string) => void
  agents: Agents
  holders: readonly Holder[]
  gateway: Server
  mcp: Server
  /** The processes that decide and record. */
  services: readonly number[]
}

/** The steady rate, in calls a second. */
const rate = 100
const rounds = 5
const roundSeconds = 10
const connections = 64
/** Calls of a lot: their proofs are good for a minute, and a slow machine needs long for them. */
const lot = 1000

type Send<T> = (count: number, task: (n: number) => Promise<unknown>) => Promise<T>
const at =
  (rate: number): Send<number[]> =>
  (count, task) =>
    paced(rate, count, task)
const steadily = at(rate)
const atOnce: Send<{ each: number[]; totalMs: number }> = (count, task) => inFlight(connections, count, task)

/** What the gateway adds to a call, at a steady rate. Direct calls and calls through it take turns. */
export async function addedRows(name: string, calling: Calling): Promise<Row[]> {
  const { quick, progress } = calling
  const count = quick ? 30 : rate * roundSeconds
  const direct: number[][] = []
  const through: Through<number[]>[] = []
  await sendThrough(calling, quick ? 10 : 300, steadily) // compiled, as it will be for hours
  for (let round = 0; round < (quick ? 1 : rounds); round++) {
    progress(`gateway: ${name}, round ${round + 1} at ${rate}/s`)
    direct.push(await sendDirect(calling, count, steadily))
    through.push(await sendThrough(calling, count, steadily))
  }
  const added = (share: number) =>
    through.map(({ times }, n) => percentile(times, share) - percentile(direct[n] ?? [], share))
  const all = through.flatMap(({ times }) => times)
  const mean = (of: (each: Through<number[]>) => number) =>
    through.reduce((sum, each) => sum + of(each), 0) / all.length
  const at = `${name}, ${rate}/s`
  return [
    { name: `${at}: direct, p50`, value: median(direct.flat()), unit: 'ms' },
    { name: `${at}: direct, p99`, value: percentile(direct.flat(), 0.99), unit: 'ms' },
    { name: `${at}: through the gateway, p50`, value: median(all), unit: 'ms' },
    { name: `${at}: through the gateway, p99`, value: percentile(all, 0.99), unit: 'ms' },
    { name: `${at}: added p50`, value: median(added(0.5)), unit: 'ms', target: { atMost: 3 } },
    { name: `${at}: added p99`, value: median(added(0.99)), unit: 'ms', target: { atMost: 15 } },
    { name: `${at}: added p99, the worst of ${through.length}`, value: Math.max(...added(0.99)), unit: 'ms' },
    { name: `${at}: CPU time of the gateway for a call`, value: mean(({ gatewayMs }) => gatewayMs), unit: 'ms' },
    { name: `${at}: CPU time of the services for a call`, value: mean(({ servicesMs }) => servicesMs), unit: 'ms' },
    { name: `${at}: denied for being late or contended`, value: lateIn(through), unit: '' },
  ]
}

/** As many calls as go through. */
export async function saturatedRows(name: string, calling: Calling): Promise<Row[]> {
  const { quick, progress } = calling
  const size = quick ? 64 : lot
  progress(`gateway: ${name}, saturated`)
  const direct = await sendDirect(calling, size, atOnce)
  const runs: Through<{ each: number[]; totalMs: number }>[] = []
  for (let round = 0; round < (quick ? 1 : rounds); round++) runs.push(await sendThrough(calling, size, atOnce))
  const rateBy = (ms: (run: (typeof runs)[number]) => number) =>
    median(runs.map((run) => perSecond(size - run.late, ms(run))))
  const each = runs.flatMap(({ times }) => times.each)
  const at = `${name}, ${connections} in flight`
  return [
    { name: `${at}: direct`, value: perSecond(size, direct.totalMs), unit: '/s' },
    { name: `${at}: through the gateway`, value: rateBy(({ times }) => times.totalMs), unit: '/s' },
    { name: `${at}: of a core of the gateway`, value: rateBy(({ gatewayMs }) => gatewayMs), unit: '/s' },
    { name: `${at}: of a core of the services`, value: rateBy(({ servicesMs }) => servicesMs), unit: '/s' },
    { name: `${at}: p50`, value: median(each), unit: 'ms' },
    { name: `${at}: p99`, value: percentile(each, 0.99), unit: 'ms' },
    { name: `${at}: denied for being late or contended`, value: lateIn(runs), unit: '' },
  ]
}

/** ms that each call through the gateway takes, at a steady rate. */
export async function timesAt(rate: number, seconds: number, calling: Calling): Promise<number[]> {
  const times: number[] = []
  for (let left = rate * seconds; left > 0; left -= lot)
    times.push(...(await sendThrough(calling, Math.min(left, lot), at(rate))).times)
  return times
}

/** Calls through the gateway, and the CPU time that they took. */
interface Through<T> {
  times: T
  late: number
  gatewayMs: number
  servicesMs: number
}

// Each turn has new connections: servers close those that were idle meanwhile.

async function sendDirect<T>({ agents, mcp }: Calling, count: number, send: Send<T>): Promise<T> {
  const request = agents.direct()
  using load = await Load.open(mcp.url, connections)
  return await send(count, async () => {
    const { status, body } = await load.ask(request)
    if (outcomeOf(status, body) !== 'answered') throw new Error(`the server says ${body}`)
    agents.tally.direct++
  })
}

async function sendThrough<T>(calling: Calling, count: number, send: Send<T>): Promise<Through<T>> {
  const { agents, holders, gateway, services } = calling
  await agents.renew(holders)
  const requests = agents.calls(holders, count)
  using load = await Load.open(gateway.url, connections)
  const before = [cpuMs(gateway.pid), cpuOf(services)] as const
  let late = 0
  const times = await send(count, async (n) => {
    const { status, body } = await load.ask(requests[n] as Buffer)
    if (outcomeOf(status, body) === 'answered') agents.tally.through++
    else late++
  })
  return { times, late, gatewayMs: cpuMs(gateway.pid) - before[0], servicesMs: cpuOf(services) - before[1] }
}

const cpuOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
const lateIn = (runs: readonly { late: number }[]): number => runs.reduce((sum, { late }) => sum + late, 0)
