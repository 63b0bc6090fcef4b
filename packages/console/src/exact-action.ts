import { canonical, hashed } from './ceremonies.ts'

/** One action with all its arguments, as the text says it that its digest is the hash of. */
export interface ExactAction {
  name: string
  resource: { type: string; id: string }
  properties: Readonly<Record<string, unknown>>
  /** Its body is not JSON: of what it says there is a hash, and no more. */
  isOpaque: boolean
}

export type Checked = { ok: true; action: ExactAction } | { ok: false; why: string }

const no = (why: string): Checked => ({ ok: false, why })

/**
 * Checks in this page that a text is the action that the digest stands for: it hashes to the digest, and says one action in the one canonical
 * form (RFC 8785), so that nothing in it could be read in two ways. Each value is then spelt as it was hashed, numbers too.
 */
export async function exactAction(text: string, digest: string): Promise<Checked> {
  // Half a pair is hashed as another character than it is shown as.
  if (!text.isWellFormed() || (await hashed(text)) !== digest)
    return no('They are not the arguments that the digest stands for.')
  const parsed = parsedAs(text)
  if (parsed === undefined) return no('What the digest stands for is not an action in its one canonical form.')
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
