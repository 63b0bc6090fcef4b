import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Bus } from '@bailiwick/bus'
import { type DecodedEvent, decodeEvent, encodeEnvelope, formatSequence, topicNamed } from '@bailiwick/contracts'
import { type SigningKey, sha256, signEvent } from '@bailiwick/credentials'
import { newId } from '@bailiwick/service-kit'

const topic = 'approvals.v1'
const definition = topicNamed(topic)
const perPublish = 256

export type ApprovalsEvent = DecodedEvent<typeof topic>

/** What stands on the topic of one request, in its order. */
export async function readRequest(bus: Bus, requestId: string): Promise<ApprovalsEvent[]> {
  const events: ApprovalsEvent[] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const decoded = definition && decodeEvent(definition, bytes)
      if (decoded?.ok && decoded.event.subject === requestId) events.push(decoded.event as ApprovalsEvent)
    }
  })
  await follower.caughtUp
  return events
}

/**
 * Writes `count` requests like this one, each with another id and the same events, as an approval instance would have written
 * them: signed with its key, numbered and chained. They are of now, so that a reader keeps them.
 */
export async function writeRequests(options: {
  bus: Bus
  key: SigningKey<'approval-event'>
  like: readonly ApprovalsEvent[]
  count: number
  progress: (written: number) => void
}): Promise<void> {
  const { bus, key, like, count, progress } = options
  const texts = like.map(({ type, version, data }) => ({ type, version, data: JSON.stringify(data) }))
  const old = like[0]?.subject ?? ''
  let sequence = 0
  let previous = 'none'
  const sign = (id: string, { type, version, data }: (typeof texts)[number]) => {
    const now = Date.now()
    const unsigned = encodeEnvelope({
      specversion: '1.0',
      id: newId('evt', now, (n) => randomBytes(n)),
      source: '/approval/bench',
      type,
      time: new Date(now).toISOString(),
      subject: id,
      datacontenttype: 'application/json',
      dataschema: `urn:bailiwick:schema:${topic}:${type}`,
      partitionkey: id,
      version,
      sequence: formatSequence(++sequence),
      previous,
      data: JSON.parse(data.replaceAll(old, id)),
    })
    const bytes = signEvent(unsigned, key)
    previous = sha256(bytes)
    return { key: id, bytes }
  }
  for (let done = 0; done < count; ) {
    const events = []
    for (; events.length < perPublish && done < count; done++) {
      const id = `req_${randomBytes(32).toString('base64url')}`
      events.push(...texts.map((event) => sign(id, event)))
    }
    await bus.publish(topic, events)
    progress(done)
    await setImmediate()
  }
}
