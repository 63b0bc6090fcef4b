import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { paths } from '@bailiwick/installation'
import {
  bundlesToWrite,
  encodeEntryBundle,
  leafHash,
  parseSkey,
  RightEdge,
  signCheckpoint,
  tilePath,
} from '@bailiwick/tlog'

/**
 * Replaces an installation's log by one of these leaves, signed with the log's own key: only the holder of that key can
 * do this.
 */
export function writeLog(data: string, leaves: readonly Uint8Array[]): void {
  const { log, logKey } = paths(data)
  const key = parseSkey(readFileSync(logKey, 'utf8').trim())
  if (key === undefined) throw new Error('no log key')
  rmSync(log, { recursive: true, force: true })
  const put = (path: string, bytes: Uint8Array) => {
    mkdirSync(dirname(join(log, path)), { recursive: true })
    writeFileSync(join(log, path), bytes)
  }
  const edge = new RightEdge()
  for (const leaf of leaves) edge.append(leafHash(leaf))
  for (const { path, bytes } of edge.take()) put(path, bytes)
  for (const bundle of bundlesToWrite(0, leaves.length)) {
    const begin = bundle.index * 256
    put(tilePath(bundle), encodeEntryBundle(leaves.slice(begin, begin + bundle.width)))
  }
  const head = { origin: key.verifier.name, size: leaves.length, root: edge.root(), extensions: [] }
  put('checkpoint', Buffer.from(signCheckpoint(head, key)))
}
