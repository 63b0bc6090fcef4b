import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tested } from './lines-reporter.ts'

// What Stryker remembers, a file of JSON for each mutated file: its own report, by which it tries again only what was changed.

const root = join(import.meta.dirname, '../..')

/** As far as it is read here (mutation-testing-report-schema 2.0). */
interface Report {
  files: Record<string, { source: string; mutants: (Omit<Tested, 'fileName'> & { static?: boolean })[] }>
  testFiles?: Record<string, { source?: string }>
}

/** What became of a file's mutants when it was last looked at. */
export interface Remembered {
  mutants: (Tested & { static?: boolean })[]
  /** Milliseconds since the epoch. */
  at: number
  /** Whether the file is another now. */
  isChanged: boolean
}

/** Which of its mutants a file's tests noticed is remembered here. */
export function memoryOf(folder: string, path: string): string {
  return join(folder, `${path.replaceAll('/', '.')}.json`)
}

/** undefined: it was never tried. */
export function remembered(folder: string, path: string): Remembered | undefined {
  const memory = memoryOf(folder, path)
  if (!existsSync(memory)) return undefined
  const { source, mutants } = read(memory).files[path] ?? { source: '', mutants: [] }
  return {
    mutants: mutants.map((mutant) => ({ ...mutant, fileName: path })),
    at: statSync(memory).mtimeMs,
    isChanged: source !== readFileSync(join(root, path), 'utf8'),
  }
}

/**
 * Stryker does not know which tests run what runs once, as a module is loaded: what none of them noticed it would keep for good.
 * It is forgotten once one of the tests is another.
 */
export function forgetUnnoticed(folder: string, path: string, tests: readonly string[]): void {
  const memory = memoryOf(folder, path)
  if (!existsSync(memory)) return
  const report = read(memory)
  const isAsItWas = (test: string) => report.testFiles?.[test]?.source === readFileSync(join(root, test), 'utf8')
  if (tests.every(isAsItWas)) return
  for (const file of Object.values(report.files))
    file.mutants = file.mutants.filter((mutant) => mutant.static !== true || mutant.status !== 'Survived')
  writeFileSync(memory, JSON.stringify(report))
}

function read(memory: string): Report {
  return JSON.parse(readFileSync(memory, 'utf8')) as Report
}
