import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'

/**
 * A setting with its text for the reference page: what it does, in sentences, and one valid value. The default is read from the schema. Put
 * this around the whole chain: zod keeps the text with exactly this schema, and `.optional()` and `.default()` make another one.
 */
export const setting = <S extends z.ZodType>(does: string, example: string, schema: S): S =>
  schema.meta({ description: does, example })

/** A setting as the page of settings shows it. */
export interface DescribedSetting {
  name: string
  /** As a person would write it; `undefined` if the setting is required, or if no value says the same as its absence. */
  default: string | undefined
  required: boolean
  does: string
  example: string
}

/** The settings of a process, in the order of its schema. Throws for a setting without a text or a valid example. */
export function describedSettings(schema: z.ZodObject): DescribedSetting[] {
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, field]) => {
    const said: { description?: string | undefined; example?: unknown } = field.meta() ?? {}
    const { description: does, example } = said
    if (does === undefined || typeof example !== 'string') throw new Error(`${name}: nothing is said of it`)
    if (!field.safeParse(example).success) throw new Error(`${name}: its example is not taken`)
    const absent = field.safeParse(undefined)
    return { name, default: written(field, absent.data), required: !absent.success, does, example }
  })
}

/** The text that the schema reads as this value, so that a default is not written down a second time. */
function written(field: z.ZodType, value: unknown): string | undefined {
  const texts = [
    ...(typeof value === 'string' ? [value] : []),
    ...(typeof value === 'number' ? [String(value), `${value / 1000}s`, `${value}ms`] : []),
    ...(typeof value === 'boolean' ? [value ? '1' : '0'] : []),
    'embedded',
  ]
  return texts.find((text) => {
    const read = field.safeParse(text)
    return read.success && isDeepStrictEqual(read.data, value)
  })
}
