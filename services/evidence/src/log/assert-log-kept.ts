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
 * Refuses (`log_inconsistent`) a log that lacks a part of what it last announced on the bus: its whole folder was restored from an older
 * copy, or an older copy was already continued. Its next checkpoint would be a second history under the same name (V14). It would also
 * lack leaves for good (V2), since the bus does not deliver committed messages again. A checkpoint of an older size proves the same about
 * the leaves before it.
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

/** The error for a log whose files are older than the statements about them. */
export const lost = (detail: string): ServiceError =>
  new ServiceError('log_inconsistent', `the log is older than the bus: ${detail}`)

/** Read before the log is opened, so no other instance is adding to it now. A checkpoint without the log key's signature proves nothing. */
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
