import type { Agent } from '@bailiwick/agent'
import type { Bus } from '@bailiwick/bus'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import type { Approver } from '@bailiwick/testkit'
import { type Bench, type Measure, median, percentile, type Row, timed } from './measure.ts'
import { patiently } from './patience.ts'
import { World } from './world.ts'

export const approvalsOf = (quick: boolean) => (quick ? 20 : 1000)
const visibleWithinMs = 15_000

/** What a person waits for: from the click on Approve until the grant is there for whoever reads the bus. */
export async function measureApprovals({ dir, quick, progress }: Bench): Promise<Measure> {
  const count = approvalsOf(quick)
  await using world = await World.open(dir)
  const rows = await approveMany({
    agent: world.agent(),
    approver: world.approver,
    bus: world.system.host.bus,
    count,
    progress,
  })
  return {
    id: 'approvals',
    title: 'From the click on Approve to the grant',
    how:
      `${howOf(count)} Everything runs in one process and on one thread: agent, approver, the four services and the reader ` +
      'of the bus.',
    rows,
  }
}

export const howOf = (count: number) =>
  `${count.toLocaleString('en-US')} requests, one after the other: the agent hands one in; then the clock starts, the statement is ` +
  'rendered, a software passkey signs it, approval verifies and publishes the answer, the issuer verifies it again and publishes ' +
  'the grant. The clock stops when `grant.created` is there for a reader of `grants.v1`, and again when the console has answered.'

/** Asks, approves, and notes when a follower of the bus saw the grant. */
export async function approveMany(options: {
  agent: Agent
  approver: Approver
  bus: Bus
  count: number
  progress: (line: string) => void
}): Promise<Row[]> {
  const { agent, approver, bus, count, progress } = options
  const seen = new Map<string, number>()
  const arrived = new Map<string, () => void>()
  await using follower = await bus.follow(['grants.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const event = JSON.parse(Buffer.from(bytes).toString()) as { type: string; subject: string }
      if (event.type !== 'grant.created') continue
      seen.set(event.subject, performance.now())
      arrived.get(event.subject)?.()
    }
  })
  await follower.caughtUp
  const visible: number[] = []
  const answered: number[] = []
  for (let n = 0; n < count; n++) {
    progress(`approvals: ${n} of ${count}`)
    const authority = { ...sampleAuthority, task: `reconcile-${n}` }
    // An agent may ask ten times a second.
    const { requestId } = await patiently(() => agent.request({ authority, mode: 'window', expiresInSeconds: 3600 }))
    const started = performance.now()
    let grantId: string | undefined
    answered.push(
      await timed(async () => {
        grantId = (await approver.approve(requestId)).grant_id
      }),
    )
    if (grantId === undefined) throw new Error('approved, without a grant')
    visible.push((await timeOf(grantId, seen, arrived)) - started)
  }
  return [
    { name: 'click → grant.created visible, p50', value: median(visible), unit: 'ms' },
    { name: 'click → grant.created visible, p99', value: percentile(visible, 0.99), unit: 'ms' },
    { name: 'click → answered, p50', value: median(answered), unit: 'ms' },
    { name: 'click → answered, p99', value: percentile(answered, 0.99), unit: 'ms' },
  ]
}

async function timeOf(id: string, seen: Map<string, number>, arrived: Map<string, () => void>): Promise<number> {
  if (!seen.has(id)) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => reject(new Error(`${id} was not seen`)), visibleWithinMs)
    arrived.set(id, resolve)
    if (seen.has(id)) resolve()
    await promise.finally(() => clearTimeout(late))
    arrived.delete(id)
  }
  return seen.get(id) as number
}
