import { setTimeout as pause } from 'node:timers/promises'
import type { Bus, Message } from '@bailiwick/bus'
import { type DecodedEvent, parseStrictJson, termOf } from '@bailiwick/contracts'
import { errorCode, errorKinds } from '@bailiwick/errors'
import type { Voice } from '@bailiwick/instance'
import type { LeafPlace } from '../index/find-leaves.ts'
import type { LeafIndex } from '../index/leaf-index.ts'
import { judgeLeaf, type LeafVerdict } from '../ingest/judge-leaf.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { ValueStore } from './value-store.ts'

type Finding = DecodedEvent<'findings.v1'>
type Values = Pick<ValueStore, 'has' | 'find' | 'erase'>

const atOnce = 500
const againMs = 100

/** Erases values that the log says were erased but that are still here: an older copy of the folder was put beside a newer log. */
export async function eraseAllTold(
  index: Pick<LeafIndex, 'find'>,
  leafAt: LogReader['leaf'],
  values: Values,
): Promise<void> {
  const each = [[termOf('type', 'value.erased')]]
  for (let before: LeafPlace | undefined, more = true; more; ) {
    const { leaves, next } = index.find({ each, before }, atOnce)
    for (const place of leaves) {
      const bytes = await leafAt(place.index)
      if (bytes !== undefined) await eraseTold(parseStrictJson(bytes) as Finding, values)
    }
    before = next
    more = next !== undefined
  }
}

/** Does the same from the bus, as far back as its topic keeps findings: the log itself may be the older copy. */
export async function eraseAsTold(options: {
  bus: Bus
  participant: Voice
  values: Values
  onFatal: (error: unknown) => void
}): Promise<AsyncDisposable> {
  const { bus, participant, values, onFatal } = options
  const registryEnd = async () => (await bus.ends('registry.v1'))[0] ?? 0
  let ended = false
  /** Waits as long as the registry cannot be read: a skipped finding would leave words here that must be erased. */
  const judge = async (message: Message): Promise<LeafVerdict | undefined> => {
    for (; !ended; await pause(againMs))
      try {
        return await judgeLeaf(message, participant, registryEnd)
      } catch (error) {
        if (!errorKinds[errorCode(error)].retryable) throw error
      }
    return undefined
  }
  const subscription = await bus.follow(['findings.v1'], 'start', async (batch) => {
    for (const message of batch) {
      const verdict = await judge(message)
      if (verdict?.kind === 'leaf') await eraseTold(verdict.event as Finding, values)
    }
  })
  subscription.failed.catch(onFatal)
  return {
    [Symbol.asyncDispose]() {
      ended = true
      return subscription[Symbol.asyncDispose]()
    },
  }
}

async function eraseTold(event: Finding, values: Values): Promise<void> {
  if (event.type !== 'value.erased') return
  const { topic, salted_sha256: hash, by, reason } = event.data
  if (!values.has(topic, hash) || (await values.find(topic, hash)).state === 'erased') return
  await values.erase(topic, hash, { erased_at: event.time, by, reason })
}
