import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'

/** A registry entry that matches its schema. Throws `config_invalid`, with the schema's message, if `registry apply` would refuse it. */
export function usableEntry<T>(schema: z.ZodType<T>, entry: unknown): T {
  const read = schema.safeParse(entry)
  if (read.success) return read.data
  const faults = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new ServiceError('config_invalid', faults.join('; '))
}

/** The form of a name in key files. */
export function fileNameOf(name: string): string {
  const usable = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  return usable.slice(0, 50) || 'key'
}
