import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import { ensureDir, readFileIfExists, syncDirectory, writeFileDurably } from '@bailiwick/kit'
import { z } from 'zod'
import { type LogFs, systemLogFs } from '../log/disk/log-fs.ts'

/** The state of a value that an event holds as a salted hash. `altered`: the stored value is not the one that was committed to. */
export type KeptValue =
  | ({ readonly state: 'held' } & SaltedText)
  | ({ readonly state: 'erased' } & Erasure)
  | { readonly state: 'altered' }
  | { readonly state: 'absent' }

export interface Erasure {
  readonly erased_at: string
  readonly by: string
  readonly reason: string
}

const fileSchema = z.union([
  z.strictObject({ salt: z.string(), text: z.string() }),
  z.strictObject({ erased_at: z.string(), by: z.string(), reason: z.string() }),
])

/**
 * The values beside the log, one file each, in a folder for their topic, so that no service can erase a value of another. A value is
 * trusted only if it matches its hash. An erased value leaves a mark, so that it never comes back.
 */
export class ValueStore {
  readonly #folders: ReadonlyMap<string, string>
  readonly #fs: LogFs

  private constructor(folders: ReadonlyMap<string, string>, fs: LogFs) {
    this.#folders = folders
    this.#fs = fs
  }

  /** `topics`: the topics of attachments. Deletes files that a crash left half-written: such a value could not be found to erase it. */
  static async open(dir: string, topics: readonly string[], fs: LogFs = systemLogFs): Promise<ValueStore> {
    const folders = new Map(topics.map((topic) => [topic, join(dir, topic)]))
    for (const folder of folders.values()) {
      await ensureDir(folder, 0o700, fs)
      // An existing folder may have been created by a process that died before the folder was durable.
      for (const parent of [dir, dirname(dir)]) await syncDirectory(parent, fs)
      for (const name of await fs.readdir(folder)) if (name.startsWith('.')) await fs.unlink(join(folder, name))
    }
    return new ValueStore(folders, fs)
  }

  /** Resolves once the value is durable. An erased value stays erased. False for a value that does not match the hash. */
  async keep(topic: string, hash: string, { salt, text }: SaltedText): Promise<boolean> {
    if (saltedHash({ salt, text }) !== hash) return false
    const { state } = await this.#read(topic, hash)
    // Write even if the value exists: the process that wrote it may have died before it was durable.
    if (state !== 'erased') await this.#write(topic, hash, { salt, text })
    return true
  }

  /** Resolves once the value is gone and its mark is durable. If a value is erased twice, the first mark stays. */
  async erase(topic: string, hash: string, erasure: Erasure): Promise<void> {
    const there = await this.#read(topic, hash)
    const { erased_at, by, reason } = there.state === 'erased' ? there : erasure
    await this.#write(topic, hash, { erased_at, by, reason })
  }

  /** Whether this store may have a value for this topic and hash. */
  has(topic: string, hash: string): boolean {
    return this.#folders.has(topic) && isHash(hash)
  }

  /**
   * Deletes the values of a topic that arrived before `before` (ms since the epoch) and are not needed. Returns how many. Marks stay.
   */
  async sweep(topic: string, before: number, isNeeded: (hash: string) => boolean): Promise<number> {
    const folder = this.#folders.get(topic) ?? ''
    let swept = 0
    for (const hash of await this.#fs.readdir(folder)) {
      if (!isHash(hash) || isNeeded(hash)) continue
      const { mtimeMs } = await stat(join(folder, hash))
      if (mtimeMs >= before || (await this.#read(topic, hash)).state === 'erased') continue
      await this.#fs.unlink(join(folder, hash))
      swept++
    }
    if (swept > 0) await syncDirectory(folder, this.#fs)
    return swept
  }

  /** The value that the service of this topic stored. Another service's value or mark for the same hash neither erases nor restores it. */
  find(topic: string, hash: string): Promise<KeptValue> {
    return this.#read(topic, hash)
  }

  async #read(topic: string, hash: string): Promise<KeptValue> {
    const bytes = await readFileIfExists(this.#path(topic, hash), this.#fs)
    if (bytes === undefined) return { state: 'absent' }
    const file = fileSchema.safeParse(orUndefined(() => parseStrictJson(bytes))).data
    if (file === undefined) return { state: 'altered' }
    if ('erased_at' in file) return { state: 'erased', ...file }
    return saltedHash(file) === hash ? { state: 'held', ...file } : { state: 'altered' }
  }

  async #write(topic: string, hash: string, content: SaltedText | Erasure): Promise<void> {
    await writeFileDurably(this.#path(topic, hash), Buffer.from(JSON.stringify(content)), { fs: this.#fs })
  }

  #path(topic: string, hash: string): string {
    const folder = this.#folders.get(topic)
    if (folder === undefined || !isHash(hash)) throw new RangeError('not a topic of attachments, or no hash')
    return join(folder, hash)
  }
}

const isHash = (name: string) => /^[\w-]{43}$/.test(name)

function orUndefined(give: () => unknown): unknown {
  try {
    return give()
  } catch {
    return undefined
  }
}
