import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The packages whose code folds events into state. */
const folding = [
  'approval-statement',
  'authority',
  'bus',
  'contracts',
  'credentials',
  'errors',
  'instance',
  'kit',
  'projection',
]
const packages = join(import.meta.dirname, '../../..')

let known: string | undefined

/**
 * Names the code that folds: SHA-256 of its files. Code that differs in one byte never reads the other's snapshot, so no change of a
 * state's form or meaning needs a version that a developer must remember to raise.
 */
export function codeDigest(): string {
  known ??= digestOf(folding.map((name) => join(packages, name, 'src')))
  return known
}

function digestOf(folders: readonly string[]): string {
  const digest = createHash('sha256')
  for (const folder of folders) {
    const names = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !/\.test\.[jt]s$/.test(entry.name))
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
    for (const name of names) {
      const content = readFileSync(name)
      digest.update(`${name.slice(folder.length)} ${content.length}\n`).update(content)
    }
  }
  return digest.digest('base64url')
}
