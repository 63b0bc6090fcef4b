import { canonical, hashed } from './ceremonies.ts'

/** One action with all its arguments, read from the text whose hash is its digest. */
export interface ExactAction {
  name: string
  resource: { type: string; id: string }
  properties: Readonly<Record<string, unknown>>
  /** Its body is not JSON: the action holds only a hash of it. */
  isOpaque: boolean
}

export type Checked = { ok: true; action: ExactAction } | { ok: false; why: string }

const no = (why: string): Checked => ({ ok: false, why })

/**
 * Checks in this page that the digest is the hash of the text, and that the text is one action in canonical form (RFC
 * 8785), which can be read in only one way. Values are then shown exactly as they were hashed, numbers included.
 */
export async function exactAction(text: string, digest: string): Promise<Checked> {
  // TextEncoder replaces a lone surrogate: the page would hash another text than it shows.
  if (!text.isWellFormed() || (await hashed(text)) !== digest) return no('The digest is not their hash.')
  const parsed = parsedAs(text)
  if (parsed === undefined) return no('They are not one action in canonical form.')
  const { name, resource, properties } = parsed
  const members = Object.keys(properties)
  const isOpaque = members.length === 1 && typeof properties.body_sha256 === 'string'
  return { ok: true, action: { name, resource, properties, isOpaque } }
}

function parsedAs(text: string): Omit<ExactAction, 'isOpaque'> | undefined {
  try {
    const { action, resource } = JSON.parse(text)
    const { name, properties } = action
    const { type, id } = resource
    const isNamed = [name, type, id].every((each) => typeof each === 'string')
    const isObject = typeof properties === 'object' && properties !== null && !Array.isArray(properties)
    const again = canonical({ action: { name, properties }, resource: { type, id } })
    return isNamed && isObject && again === text ? { name, resource: { type, id }, properties } : undefined
  } catch {
    return undefined
  }
}
