import { execFileSync, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { Mutant } from './patch.ts'

const root = join(import.meta.dirname, '../..')
const limitMs = 180_000

/**
 * `killed`: a test that carries the invariant's number failed. `unproven`: only others did, so nothing shows that they
 * guard this invariant. `stale`: the patch no longer applies to the sources.
 */
export type Fate = 'killed' | 'survived' | 'unproven' | 'stale' | 'timed out'

interface Report {
  /** Full names. */
  failed: string[]
  passed: number
}

/** A copy of the sources to break things in; the checkout itself is never touched. */
export class Workshop implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'bailiwick-mutants-'))

  constructor() {
    const listed = execFileSync(
      'git',
      ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
      { cwd: root },
    )
    for (const path of listed.toString('utf8').split('\0')) {
      if (path === '' || !existsSync(join(root, path))) continue
      mkdirSync(dirname(join(this.dir, path)), { recursive: true })
      cpSync(join(root, path), join(this.dir, path))
    }
    for (const modules of globSync(['node_modules', '{packages,services,infra}/*/node_modules'], { cwd: root }))
      this.#link(modules)
  }

  /** Installed packages are shared, but our own packages are those of the copy. */
  #link(modules: string): void {
    mkdirSync(join(this.dir, modules), { recursive: true })
    for (const name of readdirSync(join(root, modules))) {
      if (name === '@bailiwick' || name.startsWith('.vite')) continue
      symlinkSync(join(root, modules, name), join(this.dir, modules, name))
    }
    if (modules !== 'node_modules') return
    const own = join(this.dir, modules, '@bailiwick')
    mkdirSync(own)
    for (const path of globSync('{packages,services,infra}/*/package.json', { cwd: this.dir })) {
      const { name } = JSON.parse(readFileSync(join(this.dir, path), 'utf8')) as { name: string }
      symlinkSync(relative(own, join(this.dir, dirname(path))), join(own, name.replace('@bailiwick/', '')))
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** Breaks, tests, repairs. */
  async try(mutant: Mutant): Promise<Fate> {
    if (!this.#apply(mutant.path)) return 'stale'
    try {
      const report = await this.test(mutant.tests)
      if (report === undefined) return 'timed out'
      if (report.failed.length === 0) return 'survived'
      const carries = (name: string) => mutant.invariants.some((v) => new RegExp(`\\b${v}\\b`).test(name))
      return report.failed.some(carries) ? 'killed' : 'unproven'
    } finally {
      this.#apply(mutant.path, '--reverse')
    }
  }

  #apply(patch: string, ...more: string[]): boolean {
    try {
      // Outside a repository, so that it cannot find one above and skip files that are not in it.
      execFileSync('git', ['apply', ...more, patch], {
        cwd: this.dir,
        stdio: 'ignore',
        env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(this.dir) },
      })
      return true
    } catch {
      return false
    }
  }

  /** Runs tests of the copy as they are now; undefined when they do not end in time. */
  async test(args: readonly string[]): Promise<Report | undefined> {
    const output = join(this.dir, 'report.json')
    rmSync(output, { force: true })
    const vitest = join(this.dir, 'node_modules/vitest/vitest.mjs')
    const child = spawn(process.execPath, [vitest, 'run', '--reporter=json', `--outputFile=${output}`, ...args], {
      cwd: this.dir,
      stdio: 'ignore',
      timeout: limitMs,
      killSignal: 'SIGKILL',
      env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`, CI: '' },
    })
    const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)))
    if (signal !== null || !existsSync(output)) return undefined
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as {
      testResults: { message: string; name: string; assertionResults: { status: string; fullName: string }[] }[]
    }
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
    // A file that does not load has no tests, and guards nothing: it must not pass for a failed test.
    return {
      failed: tests.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
      passed: tests.filter(({ status }) => status === 'passed').length,
    }
  }
}
