import { join } from 'node:path'
import { z } from 'zod'
import { configSchema as standaloneSchema } from '../config.ts'

/** The environment of `bailiwick dev`. */
export const configSchema = standaloneSchema.extend({
  /** A file of answers; without it everything within the two limits below is approved. */
  BAILIWICK_DEV_APPROVE: z.string().optional(),
  BAILIWICK_DEV_MAX_MINUTES: z.coerce.number().positive().default(480),
  BAILIWICK_DEV_MAX_CALLS: z.coerce.number().int().min(0).default(10_000),
  /** A folder of Cedar policies to begin with. The default is the starter policies. */
  BAILIWICK_DEV_POLICIES: z.string().default(join(import.meta.dirname, '../../../../policies')),
  /** A file with the entities of the registry to begin with, as JSON that the CLI made. The default is the sample. */
  BAILIWICK_DEV_ENTITIES: z.string().optional(),
  /** The file for the names and paths that a program needs, as lines of NAME=value. */
  BAILIWICK_DEV_ENV: z.string().optional(),
})
