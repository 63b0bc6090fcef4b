import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { seededRandom } from '@bailiwick/kit'
import {
  bundlesToWrite,
  encodeEntryBundle,
  leafHash,
  RightEdge,
  SIGNATURE_TYPE,
  SignerKey,
  signCheckpoint,
  tilePath,
} from '@bailiwick/tlog'

export const logKey = (name = 'log.example/cli', seed = 1) =>
  new SignerKey(name, seededRandom(seed)(32), SIGNATURE_TYPE.ED25519)

export const entryOf = (index: number): Uint8Array => new TextEncoder().encode(`entry ${index}`)

/** Writes the log of these entries into a folder, with a checkpoint at each of `sizes`; returns the checkpoints. */
export function writeLog(
  folder: string,
  sizes: readonly number[],
  { key = logKey(), entry = entryOf }: { key?: SignerKey; entry?: (index: number) => Uint8Array } = {},
): string[] {
  const edge = new RightEdge()
  return sizes.map((size) => {
    const before = edge.size
    for (let index = before; index < size; index++) edge.append(leafHash(entry(index)))
    for (const { path, bytes } of edge.take()) put(folder, path, bytes)
    for (const bundle of bundlesToWrite(before, size)) {
      const entries = Array.from({ length: bundle.width }, (_, at) => entry(bundle.index * 256 + at))
      put(folder, tilePath(bundle), encodeEntryBundle(entries))
    }
    const checkpoint = signCheckpoint({ origin: key.verifier.name, size, root: edge.root(), extensions: [] }, key)
    put(folder, 'checkpoint', Buffer.from(checkpoint))
    return checkpoint
  })
}

export function put(folder: string, path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), bytes)
}
