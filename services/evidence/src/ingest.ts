import type { Bus, Handled, Message, Subscription } from '@bailiwick/bus'
import { errorCode } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/projection'
import { judgeLeaf, type LeafVerdict, type Refusal } from './judge-leaf.ts'
import type { LeafIndex } from './leaf-index.ts'
import { park, parkedId } from './park.ts'
import type { Sequencer } from './sequencer.ts'
import { leafTopics } from './topics.ts'

export interface IngestOptions {
  bus: Bus
  participant: Voice
  sequencer: Sequencer
  index: Pick<LeafIndex, 'isTold'>
  onParked: (topic: string) => void
}

/** More than the bus delivers twice before the log has it. */
const remembered = 10_000
/** How long a partition rests when the log has too much to write, or a key cannot be looked up, ms. */
const restMs = 200

/**
 * Takes every event of every leaf topic into the log. A message is committed on the bus only once its leaf is under a
 * published checkpoint, or what stands for it is on its parked topic; so nothing is lost, and what comes twice is one leaf.
 */
export async function startIngest(options: IngestOptions): Promise<Subscription> {
  const parked = new Set<string>()
  return options.bus.consume(leafTopics, 'evidence', (batch) => takeBatch(batch, { ...options, parked }))
}

/** `parked`: what this process parked, of which the log may not know yet. */
type Ingest = IngestOptions & { parked: Set<string> }

async function takeBatch(batch: readonly Message[], options: Ingest): Promise<readonly Handled[]> {
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

async function judge(message: Message, { bus, participant }: IngestOptions): Promise<LeafVerdict | undefined> {
  try {
    return await judgeLeaf(message, participant, async () => (await bus.ends('registry.v1'))[0] ?? 0)
  } catch (error) {
    if (errorCode(error) === 'deadline_exceeded') return undefined
    throw error
  }
}

async function take(message: Message, verdict: LeafVerdict, options: Ingest): Promise<Handled> {
  const { sequencer } = options
  if (verdict.kind === 'leaf') {
    try {
      await sequencer.add(message.bytes, message)
    } catch (error) {
      if (errorCode(error) === 'queue_full') return { again: restMs }
      throw error
    }
  } else {
    await parkOnce(message, verdict, options)
    sequencer.cover(message)
  }
  return 'done'
}

/** Delivered again, it is not told again; only a crash between the two can make it so, and both then say the same. */
async function parkOnce(message: Message, verdict: Refusal, { participant, index, parked, onParked }: Ingest) {
  const id = parkedId(message)
  if (parked.has(id) || index.isTold(id)) return
  parked.add(id)
  for (const oldest of parked) if (parked.size > remembered) parked.delete(oldest)
  await park(message, verdict, participant.producer)
  onParked(message.topic)
}
