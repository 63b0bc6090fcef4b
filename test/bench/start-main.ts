import { embeddedBus } from '@bailiwick/bus/embedded'
import type { ServiceName, TopicName } from '@bailiwick/contracts'
import { readKeyFile } from '@bailiwick/credentials'
import { topicSettings } from '@bailiwick/host/process'
import { paths, readInstallation } from '@bailiwick/installation'
import { openParticipant } from '@bailiwick/instance'
import { systemClock, systemRandom } from '@bailiwick/kit'

// One start, in a process of its own: reads what a service reads from the embedded bus of a data directory until everything is folded, and
// prints how long that took. At its end it leaves a snapshot at the path that it is given, if any; the next start there begins with it.

const follows = {
  'policy-decision': ['approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'],
  approval: ['approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'],
  issuer: ['approvals.v1', 'grants.v1', 'revocations.v1'],
  evidence: ['findings.v1'],
} as const satisfies Record<ServiceName, readonly TopicName[]>
const purposes = {
  'policy-decision': 'pdp-event',
  approval: 'approval-event',
  issuer: 'issuer-event',
  evidence: 'evidence-event',
} as const

const [data = '', name = '', path] = process.argv.slice(2)
const service = name as ServiceName
const { trust } = readInstallation(data)
const eventKey = readKeyFile(paths(data).keys(service), 'event', purposes[service])
await using bus = await embeddedBus({ dir: paths(data).bus, ...topicSettings, now: () => systemClock.now() })
let folded = 0
for (const topic of ['registry.v1', ...follows[service]]) for (const end of await bus.ends(topic)) folded += end
let snapshot: object | undefined
const snapshots =
  path === undefined
    ? undefined
    : {
        path,
        key: new Uint8Array(32),
        onRead: (read: object) => {
          snapshot = { ...snapshot, ...read }
        },
        onWritten: (written: object) => console.log(JSON.stringify({ written })),
        onError: (error: unknown) => {
          throw error
        },
      }
const begun = performance.now()
const cpu = process.cpuUsage()
const thread = process.threadCpuUsage()
const participant = await openParticipant({
  bus,
  trust,
  service,
  instance: `bench-${Buffer.from(systemRandom(8)).toString('hex')}`,
  eventKey,
  follows: follows[service],
  time: systemClock,
  newEventId: () => `evt_${Buffer.from(systemRandom(16)).toString('hex')}`,
  onFatal: (error) => {
    throw error
  },
  onHeadError: () => undefined,
  snapshots,
})
const ms = performance.now() - begun
const sum = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000
const cpuMs = sum(process.cpuUsage(cpu))
const threadMs = sum(process.threadCpuUsage(thread))
const { trees } = participant.projection.ledger.decisions
let decisions = 0
for (const { allows } of trees.values()) decisions += allows.size
console.log(
  JSON.stringify({ ms, cpuMs, threadMs, events: folded, decisions, rss: process.memoryUsage.rss(), snapshot }),
)
await participant[Symbol.asyncDispose]()
