import { ServiceError } from '@bailiwick/errors'
import type { SecretPort } from './secret-port.ts'

/** A text with secrets in it: `Bearer ${secret:file:/run/secrets/billing}`. */
export interface SecretTemplate {
  /** The text with the current values, and these values, for a check that none of them comes back. Keep neither. */
  fill(): Promise<{ text: string; values: readonly string[] }>
}

const place = /\$\{secret:([^}]+)\}/g

/**
 * Reads a template. Throws `config_invalid` for a reference that can never be read, for a `${` that is not a secret, and for text that a
 * header field cannot hold.
 */
export function secretTemplate(template: string, secrets: SecretPort): SecretTemplate {
  const references = [...template.matchAll(place)].map(([, reference = '']) => reference)
  for (const reference of references) secrets.check(reference)
  const rest = template.replaceAll(place, '')
  if (rest.includes('${') || !/^[\x20-\x7e]*$/.test(rest))
    throw new ServiceError('config_invalid', 'a text for a header field: only ${secret:…} and visible ASCII')
  return {
    async fill() {
      const values = await Promise.all(references.map(async (reference) => (await secrets.read(reference)).reveal()))
      let n = 0
      return { text: template.replaceAll(place, () => values[n++] ?? ''), values }
    },
  }
}
