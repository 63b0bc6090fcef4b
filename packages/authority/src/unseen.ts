import type { Authority } from './schema.ts'

// Control and format characters (including bidirectional ones), line separators, private and unassigned characters, and invisible letters.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const eachUnseen = new RegExp(unseen, 'gu')
const eachForeign = /[^ -~]/gu

/** Writes every invisible or reordering character as in JSON: `\uXXXX`. */
export function spellUnseen(text: string): string {
  return text.replaceAll(eachUnseen, spelled)
}

/** Writes every character except printable ASCII as in JSON, so that no letter can look like another. */
export function spellForeign(text: string): string {
  return text.replaceAll(eachForeign, spelled)
}

function spelled(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  )
}

/**
 * The first permission that names something, or compares with something, that contains invisible characters; undefined if there is none.
 * Such an authority is valid and covers what it says, but no person should be asked to sign it.
 */
export function unseenIn({ permissions }: Authority): string | undefined {
  const at = permissions.findIndex(({ where = {} }) => textsIn(where).some((text) => unseen.test(text)))
  return at === -1 ? undefined : `/permissions/${at}/where`
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Object.entries(value ?? {}).flatMap(([key, inside]) => [key, ...textsIn(inside)])
}
