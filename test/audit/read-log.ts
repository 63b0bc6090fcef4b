import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fsck, openCheckpoint, parseVkey } from '@bailiwick/tlog'
import type { Finding } from './leaf.ts'

/**
 * Reads every entry under the log's checkpoint from its files. Checks each tile and entry against the checkpoint, and
 * computes the root again from the entries alone by the recursion of RFC 6962 §2.1.
 */
export async function readLog(logDir: string, vkey: string): Promise<{ entries: Uint8Array[]; findings: Finding[] }> {
  const fault = (detail: string, leaf = -1) => ({ entries, findings: [{ leaf, rule: 'V14' as const, detail }] })
  const entries: Uint8Array[] = []
  const read = async (path: string) => {
    const file = join(logDir, path)
    return existsSync(file) ? readFileSync(file) : undefined
  }
  const log = parseVkey(vkey)
  const note = await read('checkpoint')
  if (log === undefined || note === undefined) return fault('there is no checkpoint')
  const opened = openCheckpoint(note, { log })
  if (!opened.ok) return fault(`checkpoint: ${opened.reason}`)
  const { checkpoint } = opened
  const checked = await fsck({
    read,
    checkpoint,
    onEntry: (_, entry) => void entries.push(Uint8Array.from(entry)),
  })
  if (!checked.ok) return fault(`${checked.path}: ${checked.reason}`, checked.index)
  if (!naiveRoot(entries).equals(Buffer.from(checkpoint.root))) return fault('the entries give another root')
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
