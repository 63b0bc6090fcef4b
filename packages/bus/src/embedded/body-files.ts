import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

const name = /^\d{1,15}$/

/**
 * The events of one partition of an erasable topic, each in a file of its own, named by its offset. An entry removed from lmdb
 * stays in its file until the page is reused. A file removed here is gone from the disk, as far as the file system permits.
 */
export class BodyFiles {
  readonly #dir: string

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    this.#dir = dir
  }

  /** The stored offsets, oldest first, including files that a crash left behind before they were committed. */
  offsets(): number[] {
    return readdirSync(this.#dir)
      .filter((file) => name.test(file))
      .map(Number)
      .sort((a, b) => a - b)
  }

  /** Resolves once it is durable. Overwrites a file that a crash left at this offset, which belonged to no message. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const file = await open(this.#path(offset), 'w', 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    const directory = await open(this.#dir, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }

  /** undefined if it was removed. */
  read(offset: number): Uint8Array | undefined {
    try {
      return new Uint8Array(readFileSync(this.#path(offset)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** If a power cut undoes a removal, it is repeated when the partition is opened. */
  remove(offset: number): void {
    rmSync(this.#path(offset), { force: true })
  }

  #path(offset: number): string {
    return join(this.#dir, String(offset))
  }
}
