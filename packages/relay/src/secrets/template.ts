import { ServiceError } from '@bailiwick/errors'
import type { SecretPort } from './secret-port.ts'

/** A text with references to secrets in it, in the order of the text. */
export type Template = readonly (string | { readonly secret: string })[]

/** `Bearer ${secret:file:/run/secrets/x}`. Undefined for any other use of `$`: a reference that is misspelt must not become a value. */
export function parseTemplate(text: string): Template | undefined {
  const parts: (string | { secret: string })[] = []
  let at = 0
  for (const { 0: whole, 1: secret = '', index } of text.matchAll(/\$\{secret:([^{}$\s][^{}$\r\n]*)\}/g)) {
    if (index > at) parts.push(text.slice(at, index))
    parts.push({ secret })
    at = index + whole.length
  }
  if (at < text.length) parts.push(text.slice(at))
  return parts.some((part) => typeof part === 'string' && /\$|[\r\n\0]/.test(part)) ? undefined : parts
}

export interface Filled {
  readonly text: string
  /** The secrets in it, for a check that none comes back. */
  readonly values: readonly string[]
}

/**
 * The text with its secrets. Keep it nowhere: call it where the bytes for the upstream are made. Throws `secret_unavailable`, also for a
 * secret with a line break, which would end a header field.
 */
export async function fillTemplate(template: Template, secrets: Pick<SecretPort, 'read'>): Promise<Filled> {
  const values: string[] = []
  const parts = await Promise.all(
    template.map(async (part) => {
      if (typeof part === 'string') return part
      const value = (await secrets.read(part.secret)).reveal()
      values.push(value)
      return value
    }),
  )
  const text = parts.join('')
  if (/[\r\n\0]/.test(text)) throw new ServiceError('secret_unavailable', 'a secret has a line break in it')
  return { text, values }
}

/** The references in it. */
export const secretsIn = (template: Template): string[] =>
  template.flatMap((part) => (typeof part === 'string' ? [] : [part.secret]))

/**
 * The template of a header field. Throws `config_invalid` for a `$` that begins no reference, and for text that a field cannot hold.
 */
export function headerTemplate(given: string | Template): Template {
  const template = typeof given === 'string' ? parseTemplate(given) : given
  if (template?.every((part) => typeof part !== 'string' || /^[\x20-\x7e]*$/.test(part))) return template
  throw new ServiceError('config_invalid', 'a text for a header field: only ${secret:…} and visible ASCII')
}
