import type { Bus } from '@bailiwick/bus'
import { checkpointsV1, type DecodedEvent, decodeEvent } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { consistencyProof, openCheckpoint, type TreeHead, type VerifierKey, verifyConsistency } from '@bailiwick/tlog'
import type { LogStorage } from './log-storage.ts'

export interface KeptSource {
  bus: Pick<Bus, 'follow'>
  storage: Pick<LogStorage, 'read'>
  key: VerifierKey
  /** ms since the epoch */
  now: number
}

/**
 * Refuses (`log_inconsistent`) a log that has not all that it last announced on the bus: all of its folder was put back from an older
 * copy, or an older copy went on already. Its next checkpoint would be a second history under the same name (V14), and since the bus
 * does not deliver again what was committed, it would lack leaves for good (V2). A checkpoint of an older size says the same of what is before it.
 */
export async function assertLogKept({ bus, storage, key, now }: KeptSource, head: TreeHead): Promise<void> {
  for (const announced of await lastAnnounced(bus, key, now)) {
    if (announced.size > head.size)
      throw lost(`it has ${head.size} leaves, and announced a checkpoint of ${announced.size}`)
    const proof = await consistencyProof(storage.read, announced.size, head.size)
    if (!verifyConsistency(proof, announced, head))
      throw lost(`its first ${announced.size} leaves are not those that it announced a checkpoint of`)
  }
}

/** A log that is not what it was: its files are older than what was said of them. */
export const lost = (detail: string): ServiceError =>
  new ServiceError('log_inconsistent', `the log is older than the bus: ${detail}`)

/** Announced before the log is opened, so no other instance adds to it now. What the log's key did not sign says nothing. */
async function lastAnnounced(bus: Pick<Bus, 'follow'>, log: VerifierKey, now: number): Promise<TreeHead[]> {
  const heads: TreeHead[] = []
  await using follower = await bus.follow(['checkpoints.v1'], { time: now, orLast: true }, async (batch) => {
    for (const { bytes } of batch) {
      const decoded = decodeEvent(checkpointsV1, bytes)
      if (!decoded.ok) continue
      const { data } = decoded.event as DecodedEvent<'checkpoints.v1'>
      const opened = openCheckpoint(data.checkpoint, { log })
      if (opened.ok) heads.push(opened.checkpoint)
    }
  })
  await Promise.race([follower.caughtUp, follower.failed])
  return heads
}
