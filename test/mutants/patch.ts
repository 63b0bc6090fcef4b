import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** One way to break an invariant, and the tests that must see it. */
export interface Mutant {
  name: string
  path: string
  /** `V9`, … */
  invariants: readonly string[]
  title: string
  /** Arguments of `vitest run`. */
  tests: readonly string[]
  /** One of the few that CI runs. */
  smoke: boolean
}

/** Reads a patch's header: `# V9: what is broken`, `# tests: <vitest arguments>`, and `# smoke` if CI runs it. */
export function parseMutant(path: string, text: string): Mutant {
  const header = text.split(/^(?:diff |--- )/m)[0] ?? ''
  const [, list, title] = /^# (V\d+(?:, V\d+)*): (.+)$/m.exec(header) ?? []
  const [, tests] = /^# tests: (.+)$/m.exec(header) ?? []
  if (list === undefined || title === undefined) throw new Error(`${path}: no line "# V9: what is broken"`)
  if (tests === undefined) throw new Error(`${path}: no line "# tests: <vitest arguments>"`)
  return {
    name: basename(path, '.patch'),
    path,
    invariants: list.split(', '),
    title,
    tests: tests.trim().split(/\s+/),
    smoke: /^# smoke$/m.test(header),
  }
}

/** All patches; with words, those of which a word names an invariant or a part of the file's name. */
export function mutants(words: readonly string[] = []): Mutant[] {
  const all = globSync('*.patch', { cwd: import.meta.dirname }).sort()
  return all
    .map((file) => join(import.meta.dirname, file))
    .map((path) => parseMutant(path, readFileSync(path, 'utf8')))
    .filter(({ name, invariants }) => {
      const meant = (word: string) => (/^V\d+$/.test(word) ? invariants.includes(word) : name.includes(word))
      return words.length === 0 || words.some(meant)
    })
}
