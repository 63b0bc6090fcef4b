import { join } from 'node:path'
import { parseStrictJson } from '@bailiwick/contracts'
import { type DurableFs, ensureDir, readFileIfExists, writeFileDurably } from '@bailiwick/kit'
import { z } from 'zod'

/** Leaves that a feed dropped and that are not reported yet. */
const droppedSchema = z.strictObject({
  reason: z.enum(['backlog', 'refused']),
  from: z.int().min(0),
  to: z.int().min(0),
  count: z.int().min(1),
})
export type Dropped = z.infer<typeof droppedSchema>

const schema = z.strictObject({
  v: z.literal(1),
  origin: z.string(),
  next: z.int().min(0),
  dropped: z.array(droppedSchema).max(2),
})

export interface Position {
  /** The leaf that comes next. */
  next: number
  dropped: readonly Dropped[]
}

/** The position of one feed in the log, kept in a file of its own. */
export class FeedPosition {
  readonly #path: string
  readonly #origin: string
  readonly #fs: DurableFs | undefined

  constructor(folder: string, name: string, origin: string, fs?: DurableFs) {
    this.#path = join(folder, `${name}.json`)
    this.#origin = origin
    this.#fs = fs
  }

  /**
   * Undefined if there is no file, or if its content is not a position in this log: truncated, edited, of another log, or beyond the end.
   * The feed then begins anew and sends the same leaves again, under the same ids.
   */
  async read(size: number): Promise<Position | undefined> {
    const bytes = await readFileIfExists(this.#path, this.#fs)
    if (bytes === undefined) return undefined
    let json: unknown
    try {
      json = parseStrictJson(bytes)
    } catch {
      return undefined
    }
    const read = schema.safeParse(json)
    if (!read.success || read.data.origin !== this.#origin || read.data.next > size) return undefined
    return { next: read.data.next, dropped: read.data.dropped }
  }

  async write({ next, dropped }: Position): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify({ v: 1, origin: this.#origin, next, dropped })}\n`)
    await ensureDir(join(this.#path, '..'))
    await writeFileDurably(this.#path, bytes, this.#fs === undefined ? {} : { fs: this.#fs })
  }
}
