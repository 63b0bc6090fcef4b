import type { Bus } from '@bailiwick/bus'
import { type Bench, type Measure, median, type Part, percentile, sumMs, timed } from './measure.ts'
import { AppendedFile, countSignatures, signatureCosts } from './physical.ts'
import { eventBytes } from './publish.ts'
import { World } from './world.ts'

/** lmdb's: fdatasync of the pages, then a write-through of the meta page. */
const flushesPerCommit = 2

/** How far the way from an agent's ask to its credential is from what physics asks of it. */
export async function measureCredential({ dir, quick, progress }: Bench): Promise<Measure> {
  const rounds = quick ? 3 : 60
  const commits = { count: 0 }
  await using world = await World.open(dir, { wrapBus: (bus) => countingCommits(bus, commits) })
  using file = new AppendedFile(dir)
  const agent = world.agent()
  for (let n = 0; n < (quick ? 1 : 5); n++) await world.grant({ agent })

  const whole: number[] = []
  const steps = { request: [] as number[], approve: [] as number[], issue: [] as number[] }
  const counted = { commits: [] as number[], signs: [] as number[], verifies: [] as number[] }
  const syncs: number[] = []
  const bytes = Buffer.alloc(eventBytes, 'x')
  for (let n = 0; n < rounds; n++) {
    progress(`credential: ${n} of ${rounds}`)
    for (let m = 0; m < 10; m++) syncs.push(await timed(() => file.append(bytes)))
    commits.count = 0
    using signatures = countSignatures()
    let requestId = ''
    let grantId = ''
    const requested = await timed(async () => {
      requestId = (await agent.request(world.ask())).requestId
    })
    const approved = await timed(async () => {
      grantId = (await world.approver.approve(requestId)).grant_id ?? ''
    })
    const issued = await timed(() => agent.credential({ grantId }))
    whole.push(requested + approved + issued)
    steps.request.push(requested)
    steps.approve.push(approved)
    steps.issue.push(issued)
    counted.commits.push(commits.count)
    counted.signs.push(signatures.signs)
    counted.verifies.push(signatures.verifies)
  }
  const { signMs, verifyMs } = await signatureCosts(bytes)
  const parts: Part[] = [
    {
      name: `durable publishes, ${flushesPerCommit} flushes each`,
      count: median(counted.commits) * flushesPerCommit,
      eachMs: median(syncs),
    },
    { name: 'ES256 signatures', count: median(counted.signs), eachMs: signMs },
    { name: 'ES256 verifications', count: median(counted.verifies), eachMs: verifyMs },
  ]
  const p50 = median(whole)
  return {
    id: 'credential',
    title: 'From request to credential',
    how:
      `${rounds} times, one after the other: the agent hands in a signed request over HTTP, the approver's page renders the ` +
      'statement and a software passkey signs it, the agent asks for its credential. Everything runs in one process and on one ' +
      'thread: agent, approver and the four services. Parts are counted while it runs (medians): signatures and verifications ' +
      'of the whole process, and the durable publishes of approval and issuer, which follow one another.',
    rows: [
      { name: 'request → credential, p50', value: p50, unit: 'ms' },
      { name: 'request → credential, p99', value: percentile(whole, 0.99), unit: 'ms' },
      { name: 'request handed in, p50', value: median(steps.request), unit: 'ms' },
      { name: 'rendered, signed, approved and granted, p50', value: median(steps.approve), unit: 'ms' },
      { name: 'credential issued, p50', value: median(steps.issue), unit: 'ms' },
      { name: 'credential issued, p99', value: percentile(steps.issue, 0.99), unit: 'ms' },
      { name: 'physical parts, sum', value: sumMs(parts), unit: 'ms' },
      { name: 'request → credential ÷ physical parts', value: p50 / sumMs(parts), unit: '×' },
    ],
    parts,
  }
}

/** Counts what the path waits for: evidence writes behind it, and heads never touch the disk. */
function countingCommits(bus: Bus, commits: { count: number }): Bus {
  const onPath = new Set(['approvals.v1', 'registry.v1', 'grants.v1', 'revocations.v1'])
  return new Proxy(bus, {
    get(target, name) {
      const member = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (name === 'publish' && onPath.has(String(args[0]))) commits.count += 1
        return Reflect.apply(member, target, args)
      }
    },
  })
}
