import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { readKeyFile } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { topicSettings } from '@bailiwick/service-host'
import { freePort, ServiceProcess } from '@bailiwick/testkit'
import { residentMiB } from './kafka/resident.ts'
import { type Bench, type Measure, timed } from './measure.ts'
import { readRequest, writeRequests } from './requests.ts'
import { World } from './world.ts'

const answersWithinMs = 20 * 60 * 1000
const settleMs = 3000

/** What a process of approval keeps of requests that are over, and how long it needs to have them again. */
export async function measureFinished({ dir, quick, progress }: Bench): Promise<Measure> {
  const count = quick ? 500 : 100_000
  const { data, approved, denied } = await oneOfEach(dir)
  const before = await started(data)
  await using bus = await embeddedBus({ dir: paths(data).bus, ...topicSettings, now: () => Date.now() })
  const key = readKeyFile(paths(data).keys('approval'), 'event', 'approval-event')
  const half = count / 2
  const likes = [await readRequest(bus, approved), await readRequest(bus, denied)]
  for (const [n, like] of likes.entries())
    await writeRequests({ bus, key, like, count: half, progress: (d) => progress(`finished: ${n * half + d} written`) })
  await bus[Symbol.asyncDispose]()
  progress('finished: approval starts')
  const after = await started(data)
  return {
    id: 'finished',
    title: 'Memory of approval with many finished requests',
    how:
      `Resident memory (VmRSS) of \`bailiwick serve approval\`, by itself on the embedded bus, ${settleMs / 1000} s after it answers: with two ` +
      `requests there, and with ${count.toLocaleString('en-US')} of the last 9 hours, half of them approved by a passkey and half denied, each ` +
      'signed, numbered and chained with its key, as it would have written them. It reads, verifies and folds each event at its ' +
      'start, and answers when it has; a request is forgotten 9 hours after its end.',
    rows: [
      { name: 'two requests', value: before.residentMiB, unit: 'MiB' },
      { name: `${count.toLocaleString('en-US')} finished`, value: after.residentMiB, unit: 'MiB' },
      {
        name: 'for each',
        value: Math.max(0, ((after.residentMiB - before.residentMiB) * 1024 * 1024) / count),
        unit: 'bytes',
      },
      { name: 'from its start to its first answer, two requests', value: before.readyMs / 1000, unit: 's' },
      {
        name: `from its start to its first answer, ${count.toLocaleString('en-US')} finished`,
        value: after.readyMs / 1000,
        unit: 's',
      },
    ],
  }
}

/** A data directory in which one request was approved and one denied, by a system that is no more. */
async function oneOfEach(dir: string): Promise<{ data: string; approved: string; denied: string }> {
  await using world = await World.open(mkdtempSync(join(dir, 'finished-')))
  const agent = world.agent()
  const { requestId: approved } = await agent.request(world.ask())
  await world.approver.approve(approved)
  const { requestId: denied } = await agent.request({ ...world.ask(), expiresInSeconds: 1800 })
  await world.approver.deny(denied)
  return { data: world.system.data, approved, denied }
}

async function started(data: string): Promise<{ residentMiB: number; readyMs: number }> {
  const env = {
    BAILIWICK_DATA: data,
    BAILIWICK_PORT: String(await freePort()),
    BAILIWICK_LOG_LEVEL: 'warn',
    PATH: process.env.PATH ?? '',
  }
  await using approval = new ServiceProcess({ service: 'approval', env })
  const readyMs = await timed(async () => {
    approval.start()
    await answers(approval)
  })
  await new Promise((resolve) => setTimeout(resolve, settleMs))
  return { residentMiB: residentMiB(approval.pid), readyMs }
}

/** Ready it never is: nobody proves to it that its state is fresh, without an issuer. It listens once it has read everything. */
async function answers(approval: ServiceProcess): Promise<void> {
  for (const end = performance.now() + answersWithinMs; ; await new Promise((resolve) => setTimeout(resolve, 25))) {
    const answer = await fetch(`${approval.url}/healthz`).catch(() => undefined)
    if (answer?.ok) return
    if (!approval.running || performance.now() > end) throw new Error(`approval does not answer:\n${approval.output}`)
  }
}
