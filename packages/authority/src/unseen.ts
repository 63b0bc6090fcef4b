import type { Authority } from './schema.ts'

// Control and format characters (the bidirectional ones among them), line separators, private and unassigned ones, and
// letters without ink.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u
const eachUnseen = new RegExp(unseen, 'gu')
const eachForeign = /[^ -~]/gu

/** With every character that cannot be seen, or that reorders others, as JSON spells it: `\uXXXX`. */
export function spellUnseen(text: string): string {
  return text.replaceAll(eachUnseen, spelled)
}

/** With every character but printable ASCII as JSON spells it: what looks like another letter does not any more. */
export function spellForeign(text: string): string {
  return text.replaceAll(eachForeign, spelled)
}

function spelled(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  )
}

/**
 * The first permission in which something is named or compared with what nobody can see; undefined when there is none. It is
 * no fault of an authority, and covers what it says; but no person should be asked to sign it.
 */
export function unseenIn({ permissions }: Authority): string | undefined {
  const at = permissions.findIndex(({ where = {} }) => textsIn(where).some((text) => unseen.test(text)))
  return at === -1 ? undefined : `/permissions/${at}/where`
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Object.entries(value ?? {}).flatMap(([key, inside]) => [key, ...textsIn(inside)])
}
