import type { Bus, Handled, Message, Subscription } from '@bailiwick/bus'
import type { DecodedEvent } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/instance'
import type { LeafIndex } from '../index/leaf-index.ts'
import { judgeLeaf } from '../ingest/judge-leaf.ts'
import { attachmentTopics } from '../ingest/topics.ts'
import type { ValueStore } from './value-store.ts'

export interface TakeValuesOptions {
  bus: Bus
  participant: Voice
  values: ValueStore
  index: Pick<LeafIndex, 'isTold'>
}

/** How long a partition rests when a key cannot be looked up, in ms. */
const restMs = 200
const attachment = /^att_([\w-]{43})$/

/**
 * Keeps the values that services hand over beside the log, until the service that wrote a value erases it. The value is then deleted here,
 * and the log records that (`value.erased`). A message is committed once its effect is durable.
 */
export function takeValues(options: TakeValuesOptions): Promise<Subscription> {
  return options.bus.consume(attachmentTopics, 'evidence-values', async (batch) => {
    const answers: Handled[] = []
    for (const message of batch) {
      const answer = await take(message, options)
      answers.push(answer)
      if (typeof answer === 'object') break
    }
    return batch.map((_, n) => answers[n] ?? { again: restMs })
  })
}

async function take(message: Message, { bus, participant, values, index }: TakeValuesOptions): Promise<Handled> {
  let verdict: Awaited<ReturnType<typeof judgeLeaf>>
  try {
    verdict = await judgeLeaf(message, participant, async () => (await bus.ends('registry.v1'))[0] ?? 0)
  } catch (error) {
    if (errorCode(error) === 'deadline_exceeded') return { again: restMs }
    throw error
  }
  if (verdict.kind !== 'leaf') return 'refused'
  const { topic } = message
  const event = verdict.event as DecodedEvent<'attachments.approval.v1'>
  const hash = attachment.exec(event.data.attachment_id)?.[1]
  if (hash === undefined) return 'refused'
  if (event.type === 'attachment.stored')
    return event.data.salted_sha256 === hash && (await values.keep(topic, hash, event.data)) ? 'done' : 'refused'
  const { by, reason } = event.data
  await values.erase(topic, hash, { erased_at: event.time, by, reason })
  // A message that is delivered again is not reported again. Only a crash between the two can cause that, and both reports then agree.
  const subject = `${topic} ${event.data.attachment_id}`
  if (!index.isTold(subject))
    await participant.producer.publish('findings.v1', [
      { type: 'value.erased', subject, data: { ...event.data, topic, salted_sha256: hash } },
    ])
  return 'done'
}
