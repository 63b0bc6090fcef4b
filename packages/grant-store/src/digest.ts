import { hash } from 'node:crypto'

/** The key for an id of any length and content: 43 characters, none of them special to a store. */
export function digest(id: string): string {
  return hash('sha256', id, 'base64url')
}
