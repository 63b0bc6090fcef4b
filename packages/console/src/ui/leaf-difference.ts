import { canonical } from '../ceremonies.ts'

type DiffLine = readonly ['removed' | 'added', string]

/** The leaves in which two JSON values differ, path by path, so that the old value is directly above the new one. */
export function leafDifference(was: unknown, is: unknown): DiffLine[] {
  const [before, after] = [flat(was), flat(is)]
  const lines = [...new Set([...before.keys(), ...after.keys()])].flatMap((path): DiffLine[] => {
    const [then, now] = [before.get(path), after.get(path)]
    if (then === now) return []
    return [
      ...(then === undefined ? [] : [['removed', spelled(at(path, then))] as const]),
      ...(now === undefined ? [] : [['added', spelled(at(path, now))] as const]),
    ]
  })
  // A list and an object can have the same leaves.
  const whole = [was ?? null, is ?? null].map(canonical)
  return lines.length > 0 || whole[0] === whole[1]
    ? lines
    : [
        ['removed', spelled(`${whole[0]}`)],
        ['added', spelled(`${whole[1]}`)],
      ]
}

const at = (path: string, value: string) => (path === '' ? value : `${path}: ${value}`)

/** Adds a spelling of all non-ASCII characters, because a name that looks like another one is a different name. */
function spelled(text: string): string {
  if (/^[ -~]*$/.test(text)) return text
  const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${text} (spelled ${text.replaceAll(/[^ -~]/g, code)})`
}

/**
 * Every leaf by JSON pointer. A list of strings or numbers is one leaf. So is an empty value, because it would
 * otherwise appear and disappear unseen.
 */
function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (value === undefined || (value === null && path === '')) return into
  const isPlainList = Array.isArray(value) && value.every((member) => typeof member !== 'object')
  const members = typeof value === 'object' && value !== null && !isPlainList ? Object.entries(value) : []
  if (members.length === 0) into.set(path, JSON.stringify(value))
  for (const [key, member] of members) flat(member, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, into)
  return into
}
