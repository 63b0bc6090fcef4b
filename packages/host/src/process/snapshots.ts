import { join } from 'node:path'
import { openSnapshotKey } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import type { Logger } from '../observe/logger.ts'

/** Where one service keeps its state between starts, and how the log reports it (decision 86). */
export interface Snapshots {
  path: string
  key: Uint8Array
  onRead(read: { ageMs: number } | { refused: string }): void
  onWritten(written: { bytes: number; tookMs: number; longestMs: number }): void
  onError(error: unknown): void
}

/**
 * `folder`: the setting. undefined where it is `off`, and where the service has no key for it and can make none: then each start reads
 * everything, and the log says why.
 */
export function openSnapshots(
  service: string,
  {
    data,
    folder = paths(data).snapshots,
    secret,
    logger,
  }: { data: string; folder: string | undefined; secret: string | undefined; logger: Logger },
): Snapshots | undefined {
  if (folder === 'off') return undefined
  const log = logger.child({ snapshot: service })
  let key: Uint8Array
  try {
    key = openSnapshotKey(paths(data).keys(service), secret)
  } catch (err) {
    log.warn({ err }, 'no snapshots: each start reads everything')
    return undefined
  }
  return {
    path: join(folder, service),
    key,
    onRead(read) {
      if ('ageMs' in read) log.info({ age_ms: read.ageMs }, 'starts from a snapshot')
      else if (read.refused === 'missing') log.info({ refused: read.refused }, 'no snapshot: everything is read')
      else log.warn({ refused: read.refused }, 'the snapshot is not used: everything is read')
    },
    onWritten: (written) => log.debug(written, 'snapshot written'),
    onError: (err) => log.warn({ err }, 'no snapshot could be written: the next start reads more'),
  }
}
