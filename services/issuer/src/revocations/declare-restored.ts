import { type BackupMark, backupMark, settleBackup } from '@bailiwick/installation'
import type { Issuer } from '../context.ts'
import { revoke } from './revoke.ts'

/** The data directory's mark of a backup, and how to remove it. */
export interface Restored {
  mark: BackupMark
  settle: () => void
}

export function restoredFrom(data: string): Restored | undefined {
  const mark = backupMark(data)
  return mark && { mark, settle: () => settleBackup(data) }
}

/**
 * A restored log lacks every revocation since its backup. So everything that it remembers is revoked, durably, before the mark is removed.
 * Until then nothing in this folder serves (V7). If the process is killed in between, the next start finds the revocation by its name.
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
