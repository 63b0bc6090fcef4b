import { dirname } from 'node:path'
import { compactJwsSchema, parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { ensureDir, lockFile, readFileIfExists, writeFileDurably } from '@bailiwick/kit'
import { z } from 'zod'

const stateSchema = z.strictObject({
  v: z.literal(2),
  /** Signed and not known to be delivered, in order. */
  pending: z.array(compactJwsSchema),
})

/** The state of a version without instances. Its undelivered outcomes are delivered as they were signed. */
const numberedSchema = stateSchema.extend({ v: z.literal(1), sequence: z.int().min(0) })

/** The outcomes that an enforcement point has signed and not yet delivered, including those of its earlier instances. */
export interface OutcomeState {
  readonly pending: readonly string[]
}

/** Keeps the state of one process. Each replica of an enforcement point needs its own, because each overwrites what another saved. */
export interface OutcomeStore {
  /**
   * Locks the state for this process until it is disposed, or until the process ends, however it dies. Throws `outcomes_locked` while
   * another process holds the lock. Leave it out only if no other process can reach the state.
   */
  lock?(): Promise<Disposable>
  /** The last saved state; undefined if there never was one. Rejects if it cannot be read: then do not start. */
  load(): Promise<OutcomeState | undefined>
  /** Resolves once the state survives a power cut. After a rejection, either the old or the new state may be stored. */
  save(state: OutcomeState): Promise<void>
}

/**
 * Keeps the state in a file of its own. Deleting the file loses the undelivered outcomes, and nothing else. The lock is the operating
 * system's, on `<path>.lock`: a network file system must support such locks.
 */
export function fileOutcomeStore(path: string): OutcomeStore {
  return {
    async lock() {
      await ensureDir(dirname(path))
      return lockFile(`${path}.lock`, 'outcomes_locked')
    },
    async load() {
      const bytes = await readFileIfExists(path)
      if (bytes === undefined) return undefined
      try {
        const { pending } = z.union([stateSchema, numberedSchema]).parse(parseStrictJson(bytes))
        return { pending }
      } catch (error) {
        throw new ServiceError('config_invalid', 'the outcome file is not readable', { cause: error })
      }
    },
    async save({ pending }) {
      const bytes = Buffer.from(JSON.stringify({ v: 2, pending }))
      try {
        await writeFileDurably(path, bytes)
      } catch (error) {
        if (!isMissing(error)) throw error
        await ensureDir(dirname(path))
        await writeFileDurably(path, bytes)
      }
    },
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** For tests, and for processes whose undelivered outcomes may be lost. */
export function memoryOutcomeStore(state?: OutcomeState): OutcomeStore {
  let saved = state
  return {
    load: async () => saved,
    save: async (next) => {
      saved = { pending: [...next.pending] }
    },
  }
}
