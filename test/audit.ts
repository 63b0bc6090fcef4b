import { readFileSync } from 'node:fs'
import { parseTrust } from '@bailiwick/credentials'
import { logSource } from '@bailiwick/verify'
import { type AuditReport, audit as auditLog, everyEntry, type Finding } from '@bailiwick/verify/audit'

/** The oracle of e2e, abuse and chaos: what `bailiwick audit` finds in the files of a data directory. */
export function audit({ logDir, trustPath }: { logDir: string; trustPath: string }): Promise<AuditReport> {
  return auditLog({ log: logSource(logDir), trust: parseTrust(readFileSync(trustPath)) })
}

/** Every entry of a log, each proved. */
export function readLog(logDir: string, vkey: string): Promise<{ entries: Uint8Array[]; findings: Finding[] }> {
  return everyEntry(logSource(logDir), vkey)
}
