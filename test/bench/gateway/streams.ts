import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { cpuMs } from '../cpu-time.ts'
import { residentMiB } from '../kafka/resident.ts'
import { inFlight, median, percentile, type Row } from '../measure.ts'
import { patiently } from '../patience.ts'
import type { Server } from '../pdp/server.ts'
import type { Agents, Holder } from './agents.ts'
import { OpenStream } from './open-stream.ts'

export interface Streaming {
  quick: boolean
  progress: (line: string) => void
  agents: Agents
  gateway: Server
  /** The processes that decide and record. */
  services: readonly number[]
  /** How many streams the server itself has open. */
  open: () => Promise<number>
  /** Resolves when the operator has the answer. */
  revoke: (grantId: string) => Promise<unknown>
}

export const streamsOfAgent = 10
const opening = 16
/** How often a stream says something that stays open for long, and one whose end is measured. */
const [calmMs, busyMs] = [10_000, 5]
const heldMs = 10_000
/** The descriptors of a process that has no streams, generously. */
const otherDescriptors = 300

/** How many of these agents can have all their streams: a stream takes two descriptors of the gateway. */
export function agentsThatFit(wanted: number): number {
  const most = Math.floor((descriptorLimit() - otherDescriptors) / 2 / streamsOfAgent)
  return Math.min(wanted, most)
}

/** The descriptors that one process may have, as Node raises its own limit at its start. */
export function descriptorLimit(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard)
}

/** The memory of the gateway while each agent has its streams open, and how soon they end when their grants are revoked meanwhile. */
export async function streamRows(streaming: Streaming, holders: readonly Holder[]): Promise<Row[]> {
  const { quick, progress, gateway, services, open } = streaming
  const before = residentMiB(gateway.pid)
  const streams = new Map<Holder, OpenStream[]>(holders.map((holder) => [holder, []]))
  try {
    await streaming.agents.begin(holders)
    await inFlight(opening, holders.length * streamsOfAgent, async (n) => {
      const holder = holders[n % holders.length] as Holder
      const own = streams.get(holder) as OpenStream[]
      own.push(await opened(streaming, holder, calmMs))
      progress(`gateway: stream ${n + 1} of ${holders.length * streamsOfAgent}`)
    })
    const spent = { gateway: cpuMs(gateway.pid), services: cpuOf(services) }
    const started = performance.now()
    await setTimeout(quick ? 500 : heldMs)
    const seconds = (performance.now() - started) / 1000
    const all = [...streams.values()].flat()
    const living = await sameAtTheServer(all, open)
    const after = residentMiB(gateway.pid)
    const name = 'open streams'
    const rows: Row[] = [
      { name: `${name}: agents`, value: holders.length, unit: '' },
      { name: `${name}: of all agents`, value: living, unit: '' },
      { name: `${name}: cut because the decision point was late`, value: all.length - living, unit: '' },
      { name: `${name}: memory of the gateway before`, value: before, unit: 'MiB' },
      { name: `${name}: memory of the gateway`, value: after, unit: 'MiB', target: { atMost: 1024 } },
      { name: `${name}: memory for each`, value: ((after - before) * 2 ** 20) / Math.max(1, living), unit: 'bytes' },
      { name: `${name}: descriptors of the gateway`, value: descriptorsOf(gateway.pid), unit: '' },
      {
        name: `${name}: CPU time of the gateway, for a second`,
        value: (cpuMs(gateway.pid) - spent.gateway) / seconds,
        unit: 'ms',
      },
      {
        name: `${name}: CPU time of the services, for a second`,
        value: (cpuOf(services) - spent.services) / seconds,
        unit: 'ms',
      },
    ]
    return [...rows, ...(await manyRevoked(streaming, streams))]
  } finally {
    for (const stream of [...streams.values()].flat()) stream[Symbol.dispose]()
  }
}

/** How many of these streams are open. Throws if the server does not come to have as many. */
async function sameAtTheServer(all: readonly OpenStream[], open: () => Promise<number>): Promise<number> {
  let known = Number.NaN
  for (let n = 0; n < 20; n++, await setTimeout(250)) {
    const living = all.filter(({ endedAt }) => endedAt === undefined).length
    known = await open()
    if (known === living) return living
  }
  throw new Error(`of ${all.length} streams, the server has ${known}, and the clients have others`)
}

/** From the revocation of a grant to the end of its streams, while all others stay open. */
async function manyRevoked(streaming: Streaming, streams: Map<Holder, OpenStream[]>): Promise<Row[]> {
  const count = Math.min(streaming.quick ? 1 : 50, Math.floor(streams.size / 2))
  const ends: number[] = []
  for (const [holder, streamsOfHolder] of [...streams].slice(0, count)) {
    const own = streamsOfHolder.filter(({ endedAt }) => endedAt === undefined)
    streaming.progress(`gateway: revocation among open streams, ${ends.length}`)
    const sentAt = performance.now()
    await streaming.revoke(holder.grantId)
    await Promise.all(own.map(({ ended }) => ended))
    ends.push(...own.map(({ endedAt = Number.NaN }) => endedAt - sentAt))
  }
  // A busy machine may have cut all of them before.
  if (ends.length === 0) return []
  const name = `open streams: revocation sent → end, of the ${streamsOfAgent} of a grant`
  return [
    { name: `${name}, p50`, value: median(ends), unit: 'ms' },
    { name: `${name}, p99`, value: percentile(ends, 0.99), unit: 'ms', target: { atMost: 1000 } },
  ]
}

/** From the revocation of a grant to the last byte of its one stream, which says something every few milliseconds. */
export async function revocationRows(name: string, streaming: Streaming, holders: readonly Holder[]): Promise<Row[]> {
  await streaming.agents.begin(holders)
  const sent: number[] = []
  const acknowledged: number[] = []
  for (const holder of holders) {
    streaming.progress(`gateway: ${name}, revocation ${sent.length} of ${holders.length}`)
    using stream = await patiently(() => settled(streaming, holder))
    const sentAt = performance.now()
    await streaming.revoke(holder.grantId)
    const acknowledgedAt = performance.now()
    await stream.ended
    sent.push(stream.lastByteAt - sentAt)
    acknowledged.push(Math.max(0, stream.lastByteAt - acknowledgedAt))
  }
  const what = `${name}, one open stream: revocation`
  return [
    { name: `${what} sent → last byte, p50`, value: median(sent), unit: 'ms' },
    { name: `${what} sent → last byte, p99`, value: percentile(sent, 0.99), unit: 'ms' },
    { name: `${what} acknowledged → last byte, p50`, value: median(acknowledged), unit: 'ms' },
    {
      name: `${what} acknowledged → last byte, p99`,
      value: percentile(acknowledged, 0.99),
      unit: 'ms',
      target: { atMost: 1000 },
    },
    { name: `${name}: revocations`, value: holders.length, unit: '' },
  ]
}

/** The gateway begins to ask about a call once it is this old, ms. */
const settledMs = 400

/** A stream that the gateway already asks about. Fails like a late service if a busy machine had it cut before. */
async function settled(streaming: Streaming, holder: Holder): Promise<OpenStream> {
  const stream = await opened(streaming, holder, busyMs)
  await setTimeout(settledMs)
  if (stream.endedAt !== undefined) throw late()
  return stream
}

const late = () => Object.assign(new Error('late'), { code: 'service_unready' })

/** Opened again while a busy machine is late for it. */
function opened({ agents, gateway }: Streaming, holder: Holder, everyMs: number): Promise<OpenStream> {
  return patiently(async () => {
    await agents.renew([holder])
    const stream = await OpenStream.open(gateway.url, agents.listen(holder, everyMs))
    if (stream === undefined) throw late()
    agents.tally.streams++
    return stream
  })
}

const cpuOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0)
const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
