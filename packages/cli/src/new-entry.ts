import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'

/** An entry for the registry as its schema has it. Throws `config_invalid`, by the schema's words, for what `registry apply` would refuse. */
export function usableEntry<T>(schema: z.ZodType<T>, entry: unknown): T {
  const read = schema.safeParse(entry)
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new ServiceError('config_invalid', faults.join('; '))
}

/** A name as key files have them. */
export function fileNameOf(name: string): string {
  const usable = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  return usable.slice(0, 50) || 'key'
}
