import { createHash } from 'node:crypto'
import { parseVkey } from '@bailiwick/tlog'
import { readLog } from '../log/read-log.ts'
import type { LogSource } from '../log/source.ts'
import type { Finding } from './leaf.ts'

/**
 * Every entry under the log's checkpoint. Each tile and entry is checked against the checkpoint, and the root is computed again from the
 * entries alone by the recursion of RFC 6962 §2.1. Throws `config_invalid` if there is no part of a log.
 */
export async function everyEntry(
  source: LogSource,
  vkey: string,
): Promise<{ entries: Uint8Array[]; findings: Finding[] }> {
  const entries: Uint8Array[] = []
  const fault = (detail: string, leaf = -1) => ({ entries, findings: [{ leaf, rule: 'V14' as const, detail }] })
  const key = parseVkey(vkey)
  if (key === undefined) return fault('there is no checkpoint')
  const log = await readLog({ source, vkey: key }, ({ bytes }) => void entries.push(bytes))
  if (!log.ok && log.path === 'checkpoint' && log.reason === 'missing') return fault('there is no checkpoint')
  if (!log.ok) return fault(`${log.path}: ${log.reason}`, log.index)
  if (!naiveRoot(entries).equals(Buffer.from(log.checkpoint.root))) return fault('the entries give another root')
  return { entries, findings: [] }
}

function naiveRoot(entries: readonly Uint8Array[]): Buffer {
  if (entries.length === 0) return hash()
  if (entries.length === 1) return hash(Uint8Array.of(0), entries[0] as Uint8Array)
  const half = 2 ** Math.ceil(Math.log2(entries.length) - 1)
  return hash(Uint8Array.of(1), naiveRoot(entries.slice(0, half)), naiveRoot(entries.slice(half)))
}

function hash(...parts: readonly Uint8Array[]): Buffer {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return sum.digest()
}
