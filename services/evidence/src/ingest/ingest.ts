import type { Bus, Handled, Message, Subscription } from '@bailiwick/bus'
import { errorCode } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/instance'
import type { LeafIndex } from '../index/leaf-index.ts'
import type { Sequencer } from '../log/sequencer.ts'
import { judgeLeaf, type LeafVerdict } from './judge-leaf.ts'
import { park, parkedId, tellRefused } from './park.ts'
import { assertNoneSkipped } from './skipped.ts'
import { leafTopics } from './topics.ts'

export interface IngestOptions {
  bus: Bus
  participant: Voice
  sequencer: Sequencer
  index: Pick<LeafIndex, 'isTold'>
  onParked: (topic: string) => void
  /** Called for each change of the registry that was not authorised. */
  onRefused: (type: string) => void
  /** Called with each outcome that an enforcement point signed and the decision point refused. */
  onOutcomeRefused: (jws: string) => Promise<void>
  /** Called if this log must not go on, because it lacks leaves that it had. */
  onFatal: (error: unknown) => void
}

/** More messages than the bus delivers twice before the log has them. */
const remembered = 10_000
/** How long a partition rests when the log has too much to write, or a key cannot be looked up, in ms. */
const restMs = 200

/**
 * Takes every event of every leaf topic into the log. A message is committed on the bus only once its leaf has its final place, or an
 * event that stands for it is on the parked topic. No message is therefore lost, and a message that comes twice is one leaf.
 */
export async function startIngest(options: IngestOptions): Promise<Subscription> {
  const ingest = { ...options, told: new Map<string, Promise<void>>(), begun: new Set<string>() }
  return options.bus.consume(leafTopics, 'evidence', (batch) => takeBatch(batch, ingest))
}

/**
 * `told`: messages that this process reports or has reported, and that the log may not know of yet. `begun`: partitions that it reads from
 * where the log ends.
 */
type Ingest = IngestOptions & { told: Map<string, Promise<void>>; begun: Set<string> }

async function takeBatch(batch: readonly Message[], options: Ingest): Promise<readonly Handled[]> {
  await begin(batch[0], options)
  const taken: Promise<Handled>[] = []
  for (const message of batch) {
    const verdict = await judge(message, options)
    if (verdict === undefined) break
    taken.push(take(message, verdict, options))
  }
  const answers = await Promise.all(taken)
  // After an `again`, all later messages are delivered again.
  return batch.map((_, n) => answers[n] ?? { again: restMs })
}

/** The bus must deliver a partition from where the log ends. Checked only once: from then on this process moves both positions. */
async function begin(first: Message | undefined, options: Ingest): Promise<void> {
  const { bus, sequencer, begun, onFatal } = options
  const partition = `${first?.topic}/${first?.partition}`
  if (first === undefined || begun.has(partition)) return
  try {
    await assertNoneSkipped({ bus, sequencer, judge: (message) => judgeOf(message, options) }, first)
  } catch (error) {
    if (errorCode(error) === 'log_inconsistent') onFatal(error)
    throw error
  }
  begun.add(partition)
}

const judgeOf = (message: Message, { bus, participant }: IngestOptions): Promise<LeafVerdict> =>
  judgeLeaf(message, participant, async () => (await bus.ends('registry.v1'))[0] ?? 0)

async function judge(message: Message, options: IngestOptions): Promise<LeafVerdict | undefined> {
  try {
    return await judgeOf(message, options)
  } catch (error) {
    if (errorCode(error) === 'deadline_exceeded') return undefined
    throw error
  }
}

async function take(message: Message, verdict: LeafVerdict, options: Ingest): Promise<Handled> {
  const { sequencer } = options
  if (verdict.kind === 'leaf') {
    const { refused: code, event } = verdict
    if (code !== undefined)
      await once(message, options, async () => {
        await tellRefused(message, { eventId: event.id, code }, options.participant.producer)
        options.onRefused(event.type)
      })
    try {
      await sequencer.add(message.bytes, message)
    } catch (error) {
      if (errorCode(error) === 'queue_full') return { again: restMs }
      throw error
    }
    // Before the message is committed, so that it comes again if this process dies in between.
    if (event.type === 'outcome.refused') await options.onOutcomeRefused(event.data.outcome)
  } else {
    await once(message, options, async () => {
      await park(message, verdict, options.participant.producer)
      options.onParked(message.topic)
    })
    sequencer.cover(message)
  }
  return 'done'
}

/**
 * Reports a message once. If it is delivered again it is not reported again, unless reporting failed: a message is not done before the
 * event that stands for it is durable. A crash between the two, or an outage of the bus, can cause two reports, which then say the same.
 */
async function once(message: Message, { index, told }: Ingest, tell: () => Promise<void>): Promise<void> {
  const id = parkedId(message)
  if (index.isTold(id)) return
  const telling = told.get(id) ?? tell()
  told.set(id, telling)
  if (told.size > remembered) told.delete(told.keys().next().value ?? id)
  try {
    await telling
  } catch (error) {
    told.delete(id)
    throw error
  }
}
