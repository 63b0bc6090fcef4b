import { cpuMs } from '../cpu-time.ts'
import { lateOrThrow } from '../decisions.ts'
import { inFlight, perSecond } from '../measure.ts'
import { passing } from '../patience.ts'
import { type Answer, Load, paced } from './load.ts'
import type { Server } from './server.ts'

export interface Run {
  /** ALLOWs a second. */
  rate: number
  /** The same of a second of its CPU time: what others do on the machine is not in it. */
  ofCore: number
  /** ms of each request. */
  each: number[]
  /** Denied for being late. */
  late: number
}

/** All requests, `width` in flight over as many connections. Throws for a decision that is no ALLOW for any reason but being late. */
export async function closed(server: Server, requests: readonly Buffer[], width: number): Promise<Run> {
  using load = await Load.open(server.url, width)
  const counted = { allowed: 0, late: 0 }
  const before = cpuMs(server.pid)
  const { each, totalMs } = await inFlight(width, requests.length, async (n) =>
    count(await load.ask(requests[n] as Buffer), counted),
  )
  const { allowed, late } = counted
  const spentMs = cpuMs(server.pid) - before
  return { rate: perSecond(allowed, totalMs), ofCore: perSecond(allowed, spentMs), each, late }
}

/** At this rate, in requests a second, whatever becomes of them. */
export async function open(
  server: Server,
  requests: readonly Buffer[],
  rate: number,
): Promise<Pick<Run, 'each' | 'late'>> {
  using load = await Load.open(server.url, 128)
  const counted = { allowed: 0, late: 0 }
  const each = await paced(rate, requests.length, async (n) => count(await load.ask(requests[n] as Buffer), counted))
  return { each, late: counted.late }
}

function count({ status, body }: Answer, counted: { allowed: number; late: number }): void {
  const answer = JSON.parse(body) as Decision & { evaluations?: Decision[]; code?: string }
  if (status !== 200) {
    // A busy machine may have its issuer stand by for a moment, and no decision point answers on state that is not fresh.
    if (answer.code === undefined || !passing.has(answer.code)) throw new Error(`no answer but ${status} ${body}`)
    counted.late++
    return
  }
  for (const { decision, context } of answer.evaluations ?? [answer])
    if (decision) counted.allowed++
    else counted.late += lateOrThrow(context?.reason)
}

interface Decision {
  decision: boolean
  context?: { reason?: string }
}

/** What an echo of such requests does, in requests a second. */
export async function echoed(server: Server, requests: readonly Buffer[], width: number): Promise<Run> {
  using load = await Load.open(server.url, width)
  const before = cpuMs(server.pid)
  const { each, totalMs } = await inFlight(width, requests.length, async (n) => {
    const { status } = await load.ask(requests[n] as Buffer)
    if (status !== 200) throw new Error(`the echo says ${status}`)
  })
  const spentMs = cpuMs(server.pid) - before
  return { rate: perSecond(requests.length, totalMs), ofCore: perSecond(requests.length, spentMs), each, late: 0 }
}
