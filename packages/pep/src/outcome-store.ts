import { dirname } from 'node:path'
import { compactJwsSchema, parseStrictJson } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { ensureDir, readFileIfExists, writeFileDurably } from '@bailiwick/service-kit'
import { z } from 'zod'

const stateSchema = z.strictObject({
  v: z.literal(1),
  /** Of the last outcome that was signed. */
  sequence: z.int().min(0),
  /** Signed and not known to be delivered, in their order. */
  pending: z.array(compactJwsSchema),
})

/** What an enforcement point must not forget: where its numbering stands, and what it has not delivered yet. */
export interface OutcomeState {
  readonly sequence: number
  readonly pending: readonly string[]
}

/** Keeps the state of one enforcement point, for one process at a time: two that number alike deny each other's outcomes. */
export interface OutcomeStore {
  /** The state that was saved last; undefined: there never was one. Rejects when it cannot be read: then do not start. */
  load(): Promise<OutcomeState | undefined>
  /** Resolves once the state survives a power cut. A rejection says nothing about which state is there. */
  save(state: OutcomeState): Promise<void>
}

/** In a file of its own. Whoever deletes it starts the numbering again, which evidence reports as a repetition. */
export function fileOutcomeStore(path: string): OutcomeStore {
  return {
    async load() {
      const bytes = await readFileIfExists(path)
      if (bytes === undefined) return undefined
      try {
        const { sequence, pending } = stateSchema.parse(parseStrictJson(bytes))
        return { sequence, pending }
      } catch (error) {
        throw new ServiceError('config_invalid', 'the outcome file is not readable', { cause: error })
      }
    },
    async save({ sequence, pending }) {
      await ensureDir(dirname(path))
      await writeFileDurably(path, Buffer.from(JSON.stringify({ v: 1, sequence, pending })))
    },
  }
}

/** For tests, and for points that live as long as their process: a new one has a new id. */
export function memoryOutcomeStore(state?: OutcomeState): OutcomeStore {
  let saved = state
  return {
    load: async () => saved,
    save: async (next) => {
      saved = { sequence: next.sequence, pending: [...next.pending] }
    },
  }
}
