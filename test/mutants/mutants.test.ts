import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { subjects } from '../stryker/subjects.ts'
import { mutants, parseMutant } from './patch.ts'
import { Workshop } from './workshop.ts'

const header = '# V9, V10: takes twice\n# tests: --project unit a.test.ts b.test.ts\n'

describe('a patch', () => {
  it('states what it breaks, and which tests must see it', () => {
    expect(parseMutant('test/mutants/x.patch', `${header}# smoke\n--- a/x\n+++ b/x\n`)).toEqual({
      name: 'x',
      path: 'test/mutants/x.patch',
      invariants: ['V9', 'V10'],
      title: 'takes twice',
      tests: ['--project', 'unit', 'a.test.ts', 'b.test.ts'],
      smoke: true,
    })
    expect(parseMutant('x', `${header}--- a/x\n`).smoke).toBe(false)
  })

  it('without a header is refused, even if the text is elsewhere', () => {
    expect(() => parseMutant('x', '--- a/x\n# V9: in the patch\n# tests: all\n')).toThrow('V9')
    expect(() => parseMutant('x', '# V9: no tests\n--- a/x\n')).toThrow('tests')
  })

  it('is found by invariant and by name', () => {
    expect(mutants().length).toBeGreaterThan(20)
    expect(mutants(['V9']).every(({ invariants }) => invariants.includes('V9'))).toBe(true)
    expect(mutants(['V1']).some(({ invariants }) => invariants.includes('V12') && !invariants.includes('V1'))).toBe(
      false,
    )
    expect(mutants(['one-bucket'])).toHaveLength(1)
  })
})

it('is one of at most 70, so that code can move', () => {
  expect(mutants().length).toBeLessThanOrEqual(70)
})

it.each(mutants())('$name fits the sources', ({ path }) => {
  // A patch that does not apply breaks nothing, and would hide that an invariant is no longer tested.
  execFileSync('git', ['apply', '--check', path], { cwd: join(import.meta.dirname, '../..'), stdio: 'pipe' })
})

describe('the workshop', () => {
  it('distinguishes a killed mutant, a surviving one, one that other tests see, and one that does not apply', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'audit-workshop-'))
    const path = join(folder, 'x.patch')
    const tests = ['--project', 'unit', 'packages/kit/src/rate.test.ts']
    using workshop = new Workshop()
    const fate = (invariant: string, was: string, is: string) => {
      const file = 'packages/kit/src/rate.ts'
      writeFileSync(
        path,
        `--- a/${file}\n+++ b/${file}\n@@ -33,3 +33,3 @@\n   /** Takes \`cost\` tokens or, when there are fewer, none. A cost over the burst is never met. */\n-${was}\n+${is}\n     const { perSecond, burst, maxKeys, clock } = this.#limits\n`,
      )
      return workshop.try({ name: 'x', path, invariants: [invariant], title: '', tests, smoke: false })
    }
    const line = '  take(key: string, cost = 1): Rated {'
    try {
      expect(await fate('V18', line, `  take(_: string, cost = 1): Rated { const key = ''`)).toBe('killed')
      expect(await fate('V9', line, `  take(_: string, cost = 1): Rated { const key = ''`)).toBe('unproven')
      expect(await fate('V18', line, '  take(key: string, cost = 1): Rated { // the same')).toBe('survived')
      expect(await fate('V18', '  take(key: string): Rated {', '  take(): Rated {')).toBe('stale')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

it.each(Object.entries(subjects))(
  'the files of %s that Stryker mutates exist, and so do their tests',
  (_, { mutate, tests }) => {
    expect([...mutate, ...tests].filter((path) => !existsSync(join(import.meta.dirname, '../..', path)))).toEqual([])
    expect(Math.min(mutate.length, tests.length)).toBeGreaterThan(10)
  },
)
