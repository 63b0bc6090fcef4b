import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import { ensureDir, readFileIfExists, syncDirectory, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'
import { type LogFs, systemLogFs } from '../disk/log-fs.ts'

/** What is known of a value that an event holds as a salted hash. `altered`: what lies here is not what was committed to. */
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
 * The values beside the log, a file each, below the topic that brought them: nobody erases what another service wrote. Nothing here
 * is believed but under its hash. An erased value leaves a mark, so that it never comes back.
 */
export class ValueStore {
  readonly #folders: ReadonlyMap<string, string>
  readonly #fs: LogFs

  private constructor(folders: ReadonlyMap<string, string>, fs: LogFs) {
    this.#folders = folders
    this.#fs = fs
  }

  /** `topics`: of attachments. What a crash left half-written goes: it may be a value that nobody finds to erase it. */
  static async open(dir: string, topics: readonly string[], fs: LogFs = systemLogFs): Promise<ValueStore> {
    const folders = new Map(topics.map((topic) => [topic, join(dir, topic)]))
    for (const folder of folders.values()) {
      await ensureDir(folder, 0o700, fs)
      // One that is there may have been made by a process that died before it was durable.
      for (const parent of [dir, dirname(dir)]) await syncDirectory(parent, fs)
      for (const name of await fs.readdir(folder)) if (name.startsWith('.')) await fs.unlink(join(folder, name))
    }
    return new ValueStore(folders, fs)
  }

  /** Resolves once it is durable; what was erased stays erased. False for what is not of this hash. */
  async keep(topic: string, hash: string, { salt, text }: SaltedText): Promise<boolean> {
    if (saltedHash({ salt, text }) !== hash) return false
    const { state } = await this.#read(topic, hash)
    // Also where it is there: whoever wrote it may have died before it was durable.
    if (state !== 'erased') await this.#write(topic, hash, { salt, text })
    return true
  }

  /** Resolves once the value is gone and its mark durable. Erased twice, the first word stays. */
  async erase(topic: string, hash: string, erasure: Erasure): Promise<void> {
    const there = await this.#read(topic, hash)
    const { erased_at, by, reason } = there.state === 'erased' ? there : erasure
    await this.#write(topic, hash, { erased_at, by, reason })
  }

  /** Whether this store has values of such a topic, by such a hash. */
  has(topic: string, hash: string): boolean {
    return this.#folders.has(topic) && isHash(hash)
  }

  /**
   * Deletes the values of a topic that were brought before `before` (ms since the epoch) and that nothing needs; gives how many. Marks
   * stay.
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

  /** What the service brought that wrote it. Another's word for the same hash, or a copy of it, is neither an erasure nor a way back. */
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
