import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, testClock } from '@bailiwick/kit'
import type { Io } from './io.ts'
import { run } from './run.ts'

/** Runs a command like a person, and keeps its output. */
export async function bailiwick(argv: readonly string[], over: Partial<Io> = {}) {
  const out: string[] = []
  const err: string[] = []
  const io: Io = {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: {},
    clock: testClock(),
    random: seededRandom(7),
    ...over,
  }
  const code = await run(argv, io)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

export interface Folder extends Disposable {
  readonly path: string
  at(...parts: string[]): string
}

/** A folder for one test, deleted with its scope. */
export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'cli-'))
  return {
    path,
    at: (...parts) => join(path, ...parts),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
