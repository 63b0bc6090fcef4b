import type { Bus, Handled, Message, Subscription } from '@bailiwick/bus'
import { errorCode } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/projection'
import { judgeLeaf, type LeafVerdict } from './judge-leaf.ts'
import type { LeafIndex } from './leaf-index.ts'
import { park, parkedId, tellRefused } from './park.ts'
import type { Sequencer } from './sequencer.ts'
import { assertNoneSkipped } from './skipped.ts'
import { leafTopics } from './topics.ts'

export interface IngestOptions {
  bus: Bus
  participant: Voice
  sequencer: Sequencer
  index: Pick<LeafIndex, 'isTold'>
  onParked: (topic: string) => void
  /** Told of each change of the registry that nobody authorised. */
  onRefused: (type: string) => void
  /** Given what an enforcement point signed and the decision point did not take. */
  onOutcomeRefused: (jws: string) => Promise<void>
  /** This log must not go on: it lacks what it had. */
  onFatal: (error: unknown) => void
}

/** More than the bus delivers twice before the log has it. */
const remembered = 10_000
/** How long a partition rests when the log has too much to write, or a key cannot be looked up, ms. */
const restMs = 200

/**
 * Takes every event of every leaf topic into the log. A message is committed on the bus only once its leaf has its place
 * for good, or what stands for it is on its parked topic; so nothing is lost, and what comes twice is one leaf.
 */
export async function startIngest(options: IngestOptions): Promise<Subscription> {
  const ingest = { ...options, told: new Map<string, Promise<void>>(), begun: new Set<string>() }
  return options.bus.consume(leafTopics, 'evidence', (batch) => takeBatch(batch, ingest))
}

/** `told`: what this process tells or told of, of which the log may not know yet. `begun`: partitions that it reads from where the log ends. */
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
  // Behind an `again` everything comes again.
  return batch.map((_, n) => answers[n] ?? { again: restMs })
}

/** Where a partition begins, for the bus, must be where it ends, for the log. Only once: from then on this process moves both. */
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
    // Before the message is committed: it comes again where this process dies in between.
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
 * Delivered again, it is not told again, unless telling failed: a message is not done before what stands for it is durable. A crash
 * between the two, or an outage of the bus, can make it be told twice, and both then say the same.
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
