import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Bus } from '@bailiwick/bus'
import {
  decodeEvent,
  encodeEnvelope,
  formatSequence,
  type ServiceName,
  type TopicName,
  topicNamed,
} from '@bailiwick/contracts'
import { encodeBase64url, readKeyFile, saltedHash, sha256, signEvent } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { newId } from '@bailiwick/kit'

const perPublish = 256
const publishing = 32
const read = ['attachments.approval.v1', 'approvals.v1', 'grants.v1'] as const
type Read = (typeof read)[number]
const writers = {
  'attachments.approval.v1': 'approval',
  'approvals.v1': 'approval',
  'grants.v1': 'issuer',
} as const satisfies Record<Read, ServiceName>
const eventPurposes = { approval: 'approval-event', issuer: 'issuer-event' } as const

interface Told {
  topic: Read
  event: Parameters<typeof encodeEnvelope>[0]
}

/** The events of one request that was really made, and the end of each writer's chain. */
export interface RequestLife {
  told: Told[]
  ids: { requestId: string; grantId: string; purposeHash: string }
  predecessors: Partial<Record<ServiceName, string>>
}

/** Reads the life of one request from the bus of a system that has ended. */
export async function readLife(bus: Bus, requestId: string, grantId: string): Promise<RequestLife> {
  const told: Told[] = []
  const predecessors: RequestLife['predecessors'] = {}
  let purposeHash = ''
  await using reading = await bus.follow(read, 'start', async (batch) => {
    for (const { topic, bytes } of batch) {
      const definition = topicNamed(topic)
      const decoded = definition && decodeEvent(definition, bytes)
      if (!decoded?.ok) continue
      const { event } = decoded
      const writer = writers[topic as Read]
      if (event.sequence !== undefined) predecessors[writer] = `${event.source}#${event.sequence}:${sha256(bytes)}`
      const data = event.data as { about?: string; salted_sha256?: string }
      const isOf = event.partitionkey === requestId || event.partitionkey === grantId || data.about === requestId
      if (!isOf) continue
      if (event.type === 'attachment.stored') purposeHash = data.salted_sha256 ?? ''
      told.push({ topic: topic as Read, event: event as Told['event'] })
    }
  })
  await reading.caughtUp
  return { told, ids: { requestId, grantId, purposeHash }, predecessors }
}

/** Writes the same life again under new ids, `count` times, each event signed, numbered and chained as its writer would. */
export async function writeRequests(options: {
  bus: Bus
  data: string
  like: RequestLife
  count: number
  progress: (written: number) => void
}): Promise<void> {
  const { bus, data, like, count } = options
  const chains = Object.fromEntries(
    Object.entries(eventPurposes).map(([service, purpose]) => [
      service,
      {
        key: readKeyFile(paths(data).keys(service), 'event', purpose),
        sequence: 0,
        previous: like.predecessors[service as ServiceName],
      },
    ]),
  )
  const sign = ({ topic, event }: Told, changed: (text: string) => string) => {
    const writer = writers[topic]
    const chain = chains[writer]
    if (chain === undefined) throw new Error(`no key of ${writer}`)
    const text = changed(JSON.stringify(event))
    const again = JSON.parse(text) as typeof event
    const unsigned = encodeEnvelope({
      ...again,
      specversion: '1.0',
      datacontenttype: 'application/json',
      dataschema: `urn:bailiwick:schema:${topic}:${event.type}`,
      id: newId('evt', Date.now(), (n) => randomBytes(n)),
      source: `/${writer}/bench`,
      time: new Date().toISOString(),
      ...(event.sequence === undefined
        ? {}
        : { sequence: formatSequence(++chain.sequence), ...(chain.previous ? { previous: chain.previous } : {}) }),
    })
    const bytes = signEvent(unsigned, chain.key)
    if (event.sequence !== undefined) chain.previous = sha256(bytes)
    return { key: again.partitionkey ?? again.subject, bytes }
  }
  const fresh = (prefix: string) => `${prefix}_${encodeBase64url(randomBytes(32))}`
  const pending = new Set<Promise<unknown>>()
  for (let done = 0; done < count; ) {
    const events = new Map<TopicName, { key: string; bytes: Uint8Array }[]>(read.map((topic) => [topic, []]))
    for (let n = 0; n < perPublish && done < count; n++, done++) {
      const { requestId, grantId, purposeHash } = like.ids
      const salt = encodeBase64url(randomBytes(16))
      const changes: [from: string, to: string][] = [
        [requestId, fresh('req')],
        [grantId, fresh('grt')],
      ]
      for (const each of like.told) {
        const { text, salt: was } = each.event.data as { text?: string; salt?: string }
        if (text === undefined || was === undefined) continue
        changes.push([purposeHash, saltedHash({ salt, text }) ?? ''], [was, salt])
      }
      const changed = (text: string) => changes.reduce((all, [from, to]) => all.replaceAll(from, to), text)
      for (const each of like.told) events.get(each.topic)?.push(sign(each, changed))
    }
    for (const [topic, messages] of events) {
      const published = bus.publish(topic, messages).finally(() => pending.delete(published))
      pending.add(published)
    }
    options.progress(done)
    if (pending.size >= publishing) await Promise.race(pending)
    await setImmediate()
  }
  await Promise.all(pending)
}
