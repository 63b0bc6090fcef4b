import { createHash } from 'node:crypto'
import { parseStrictJson } from '@bailiwick/contracts'
import canonicalize from 'canonicalize'
import { sha256 } from './base64url.ts'

/** RFC 8785. Parse with a schema first: `undefined` members vanish, NaN, BigInt and lone surrogates throw. */
export function jcs(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('not a JSON value')
  return text
}

/** base64url SHA-256 of the JCS form: the name of statements, entities and actions. */
export function jcsHash(value: unknown): string {
  return createHash('sha256').update(jcs(value)).digest('base64url')
}

/** An action as it will be executed: `properties` are the strictly parsed arguments, or `{ body_sha256 }` for an opaque body. */
export interface Action {
  name: string
  properties: Readonly<Record<string, unknown>>
  resource: { type: string; id: string }
}

/** Identifies exactly one action (DESIGN §7.4): base64url SHA-256 of JCS `{ action: { name, properties }, resource: { type, id } }`. */
export function actionDigest(action: Action): string {
  return sha256(actionText(action))
}

/** Parses an `actionText`; undefined unless the text is exactly one action in its canonical form. */
export function readActionText(text: string): Action | undefined {
  try {
    const { action, resource } = Object(parseStrictJson(Buffer.from(text)))
    const read: Action = { name: Object(action).name, properties: Object(action).properties, resource }
    const { type, id } = Object(resource)
    const isAction = [read.name, type, id].every((each) => typeof each === 'string') && isRecord(read.properties)
    return isAction && actionText(read) === text ? read : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The text whose hash is the action's digest; hashed with a salt, it identifies the call in a decision's event. */
export function actionText({ name, properties, resource }: Action): string {
  return jcs({ action: { name, properties }, resource: { type: resource.type, id: resource.id } })
}
