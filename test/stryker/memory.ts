import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tested } from './lines-reporter.ts'

// Stryker's memory, a JSON file for each mutated file: its own report, from which it retries only what has changed.

const root = join(import.meta.dirname, '../..')

/** The part of it that is read here (mutation-testing-report-schema 2.0). */
interface Report {
  files: Record<string, { source: string; mutants: Mutant[] }>
  testFiles?: Record<string, { source?: string; tests: { id: string }[] }>
}
interface Mutant extends Omit<Tested, 'fileName'> {
  static?: boolean
  /** For tests. */
  killedBy?: string[]
  coveredBy?: string[]
}

/** The fates of a file's mutants when it was last examined. */
export interface Remembered {
  mutants: (Tested & { static?: boolean })[]
  /** Milliseconds since the epoch. */
  at: number
  /** Whether the file has changed since. */
  isChanged: boolean
}

/** Remembers which of its mutants a file's tests noticed. */
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
    isChanged: source !== textOf(path),
  }
}

/**
 * Forgets unnoticed mutants once one of the tests has changed. Stryker sees neither a change in the rows of a test, or
 * in what it calls, nor which tests cover code that runs once, as a module is loaded.
 */
export function forgetUnnoticed(folder: string, path: string, tests: readonly string[]): void {
  const memory = memoryOf(folder, path)
  if (!existsSync(memory)) return
  const report = read(memory)
  if (tests.every((test) => report.testFiles?.[test]?.source === textOf(test))) return
  for (const file of Object.values(report.files))
    file.mutants = file.mutants.filter(({ status }) => status !== 'Survived' && status !== 'NoCoverage')
  writeFileSync(memory, JSON.stringify(report))
}

/**
 * Combines the memory of several files into the one JSON file that a run over all of them needs. Each report numbers
 * its tests in its own way. Detections by a test file that has changed since do not count.
 */
export function gather(folder: string, paths: readonly string[], into: string): void {
  const all: Required<Report> = { files: {}, testFiles: {} }
  for (const path of paths.filter((each) => existsSync(memoryOf(folder, each)))) {
    const { files, testFiles = {}, ...rest } = read(memoryOf(folder, path))
    const named = (id: string) => `${path} ${id}`
    for (const [name, { source, mutants }] of Object.entries(files))
      all.files[name] = {
        source,
        mutants: mutants.map(({ killedBy = [], coveredBy = [], ...mutant }) => ({
          ...{ ...mutant, killedBy: killedBy.map(named), coveredBy: coveredBy.map(named) },
        })),
      }
    for (const [name, { source = '', tests }] of Object.entries(testFiles)) {
      if (!existsSync(join(root, name)) || source !== textOf(name)) continue
      const known = all.testFiles[name]?.tests ?? []
      all.testFiles[name] = { source, tests: [...known, ...tests.map((test) => ({ ...test, id: named(test.id) }))] }
    }
    Object.assign(all, rest)
  }
  writeFileSync(into, JSON.stringify(all))
}

/** The reverse: returns each file's part to it. */
export function scatter(folder: string, from: string): void {
  const { files, ...rest } = read(from)
  for (const [path, file] of Object.entries(files))
    writeFileSync(memoryOf(folder, path), JSON.stringify({ ...rest, files: { [path]: file } }))
  rmSync(from)
}

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function read(memory: string): Report {
  return JSON.parse(readFileSync(memory, 'utf8')) as Report
}
