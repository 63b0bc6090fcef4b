import { dirname } from 'node:path'
import { compactJwsSchema, parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { ensureDir, lockFile, readFileIfExists, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'

const stateSchema = z.strictObject({
  v: z.literal(2),
  /** Signed and not known to be delivered, in their order. */
  pending: z.array(compactJwsSchema),
})

/** The state of a version without instances. Its undelivered outcomes are delivered as they were signed. */
const numberedSchema = stateSchema.extend({ v: z.literal(1), sequence: z.int().min(0) })

/** The outcomes that an enforcement point has signed and not delivered yet, those of its earlier instances included. */
export interface OutcomeState {
  readonly pending: readonly string[]
}

/** Keeps the state of one process: replicas of an enforcement point have one each, because each overwrites what another saved. */
export interface OutcomeStore {
  /**
   * Takes the state for this process until it is disposed, or until the process ends, however it dies. Throws `outcomes_locked` while another
   * one has it. Leave it out only where no other process can reach the state.
   */
  lock?(): Promise<Disposable>
  /** The state that was saved last; undefined: there never was one. Rejects when it cannot be read: then do not start. */
  load(): Promise<OutcomeState | undefined>
  /** Resolves once the state survives a power cut. A rejection says nothing about which state is there. */
  save(state: OutcomeState): Promise<void>
}

/**
 * In a file of its own. Deleting it loses the outcomes that were not delivered, and nothing else. The lock is the operating system's, on
 * `<path>.lock`: a network file system must support such locks.
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
      await ensureDir(dirname(path))
      await writeFileDurably(path, Buffer.from(JSON.stringify({ v: 2, pending })))
    },
  }
}

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
