import { hash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fsck, openCheckpoint, SIGNATURE_TYPE, SignerKey } from '@bailiwick/tlog'
import { diskLogStorage } from './disk/disk-log-storage.ts'
import { type LogFs, systemLogFs } from './disk/log-fs.ts'
import type { LogStorage } from './log-storage.ts'

export const logKey = new SignerKey('log.example/1', new Uint8Array(32).fill(7), SIGNATURE_TYPE.ED25519)

/** Tests that use this do not cut the power. The storage's own tests check that everything is synced. */
export const unsynced: LogFs = {
  ...systemLogFs,
  open: async (path, flags, mode) => {
    const handle = await systemLogFs.open(path, flags, mode)
    const nothing = async () => undefined
    return { write: (...args) => handle.write(...args), sync: nothing, datasync: nothing, close: () => handle.close() }
  },
}

/** A folder for a log, and an outsider's view of it. */
export class LogFolder implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'evidence-log-'))
  readonly log = join(this.dir, 'log')

  open(fs: LogFs = unsynced): Promise<LogStorage> {
    return diskLogStorage({ log: this.log, dir: this.dir, fs })
  }

  readonly read = async (path: string): Promise<Uint8Array | undefined> => {
    const file = join(this.log, path)
    return existsSync(file) ? readFileSync(file) : undefined
  }

  /** The log's files by path, without the checkpoint. */
  files(): Map<string, Buffer> {
    const files = new Map<string, Buffer>()
    for (const name of readdirSync(this.log, { recursive: true, encoding: 'utf8' }))
      if (name !== 'checkpoint' && statSync(join(this.log, name)).isFile())
        files.set(name, readFileSync(join(this.log, name)))
    return files
  }

  /** Checks the log using only its files and public key. Returns the texts of its entries, or the fault. */
  async check() {
    const opened = openCheckpoint(readFileSync(join(this.log, 'checkpoint')), { log: logKey.verifier })
    if (!opened.ok) return { ...opened, entries: [] }
    const entries: string[] = []
    const onEntry = (_: number, entry: Uint8Array) => void entries.push(Buffer.from(entry).toString())
    return { ...(await fsck({ read: this.read, checkpoint: opened.checkpoint, onEntry })), entries }
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}

const sha256 = (...parts: Uint8Array[]) => hash('sha256', Buffer.concat(parts), 'buffer')

/** The Merkle Tree Hash as RFC 6962 §2.1 defines it, recursive. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length < 2) return leaves[0] ?? sha256()
  const k = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1)
  return sha256(Uint8Array.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}

/** The files of a log of these entries as C2SP tlog-tiles defines them. Shares no code with the code under test. */
export function naiveFiles(entries: readonly Uint8Array[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  let hashes: Uint8Array[] = entries.map((entry) => sha256(Uint8Array.of(0), entry))
  for (let level = 0; hashes.length > 0; level++) {
    const full: Uint8Array[] = []
    for (let n = 0; n * 256 < hashes.length; n++) {
      const tile = hashes.slice(n * 256, (n + 1) * 256)
      const place = `${String(n).padStart(3, '0')}${tile.length < 256 ? `.p/${tile.length}` : ''}`
      files.set(`tile/${level}/${place}`, Buffer.concat(tile))
      if (tile.length === 256) full.push(mth(tile))
      if (level > 0) continue
      const bundle = entries.slice(n * 256, n * 256 + tile.length)
      const framed = bundle.flatMap((e) => [Uint8Array.of(Math.floor(e.length / 256), e.length % 256), e])
      files.set(`tile/entries/${place}`, Buffer.concat(framed))
    }
    hashes = full
  }
  return files
}
