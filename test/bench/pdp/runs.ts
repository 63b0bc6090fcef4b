import { cpuMs } from '../cpu-time.ts'
import { lateOrThrow } from '../decisions.ts'
import { inFlight, perSecond } from '../measure.ts'
import { passing } from '../patience.ts'
import { type Answer, Load, paced } from './load.ts'
import type { Server } from './server.ts'

export interface Run {
  /** ALLOWs a second. */
  rate: number
  /** ALLOWs for each second of its CPU time, which excludes other work on the machine. */
  ofCore: number
  /** ms of each request. */
  each: number[]
  /** Denied because they were late. */
  late: number
}

/**
 * All requests, `width` in flight over as many connections. Throws for a decision that is not an ALLOW, unless it was
 * only late.
 */
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

/** At this fixed rate, in requests a second: slow answers do not lower it. */
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
    // On a busy machine the issuer may stand by for a moment, and decision points do not answer on stale state.
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

/** The rate of an echo server for such requests, in requests a second. */
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
