import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import { readFileIfExists, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'

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

  /** `topics`: of attachments. What a crash left half-written goes: it may be a value that nobody finds to erase it. */
  constructor(dir: string, topics: readonly string[]) {
    this.#folders = new Map(topics.map((topic) => [topic, join(dir, topic)]))
    for (const folder of this.#folders.values()) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      for (const name of readdirSync(folder)) if (name.startsWith('.')) rmSync(join(folder, name))
    }
  }

  /** Resolves once it is durable; what was erased stays erased. False for what is not of this hash. */
  async keep(topic: string, hash: string, { salt, text }: SaltedText): Promise<boolean> {
    if (saltedHash({ salt, text }) !== hash) return false
    const { state } = await this.#read(topic, hash)
    if (state === 'absent' || state === 'altered') await this.#write(topic, hash, { salt, text })
    return true
  }

  /** Resolves once the value is gone and its mark durable. Erased twice, the first word stays. */
  async erase(topic: string, hash: string, { erased_at, by, reason }: Erasure): Promise<void> {
    const { state } = await this.#read(topic, hash)
    if (state !== 'erased') await this.#write(topic, hash, { erased_at, by, reason })
  }

  /** What the service brought that wrote it. Another's word for the same hash, or a copy of it, is neither an erasure nor a way back. */
  find(topic: string, hash: string): Promise<KeptValue> {
    return this.#read(topic, hash)
  }

  async #read(topic: string, hash: string): Promise<KeptValue> {
    const bytes = await readFileIfExists(this.#path(topic, hash))
    if (bytes === undefined) return { state: 'absent' }
    const file = fileSchema.safeParse(orUndefined(() => parseStrictJson(bytes))).data
    if (file === undefined) return { state: 'altered' }
    if ('erased_at' in file) return { state: 'erased', ...file }
    return saltedHash(file) === hash ? { state: 'held', ...file } : { state: 'altered' }
  }

  async #write(topic: string, hash: string, content: SaltedText | Erasure): Promise<void> {
    await writeFileDurably(this.#path(topic, hash), Buffer.from(JSON.stringify(content)))
  }

  #path(topic: string, hash: string): string {
    const folder = this.#folders.get(topic)
    if (folder === undefined || !/^[\w-]{43}$/.test(hash))
      throw new RangeError('not a topic of attachments, or no hash')
    return join(folder, hash)
  }
}

function orUndefined(give: () => unknown): unknown {
  try {
    return give()
  } catch {
    return undefined
  }
}
