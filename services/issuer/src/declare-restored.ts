import { type BackupMark, backupMark, settleBackup } from '@bailiwick/installation'
import type { Issuer } from './context.ts'
import { revoke } from './revoke.ts'

/** The data directory's mark of a backup, and how it goes away. */
export interface Restored {
  mark: BackupMark
  settle: () => void
}

export function restoredFrom(data: string): Restored | undefined {
  const mark = backupMark(data)
  return mark && { mark, settle: () => settleBackup(data) }
}

/**
 * A log that was put back knows nothing of what was withdrawn since. So everything that it remembers dies, durably, before the mark is gone;
 * until then nothing of this folder serves (V7). Killed in between, the next start finds it declared by its name.
 */
export async function declareRestored(issuer: Issuer, { mark, settle }: Restored): Promise<void> {
  const { sequence } = await revoke(issuer, {
    revocation_id: `rev_${mark.backup}`,
    ...{ kind: 'all', target: '*', reason: 'restored_from_backup' },
    by: { kind: 'operator', id: 'restore' },
  })
  issuer.logger.warn({ backup: mark.backup, made_at: mark.made_at, sequence }, 'RESTORED: everything was revoked')
  settle()
}
