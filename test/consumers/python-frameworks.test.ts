import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { missingPrograms, pythonWithPackages, run } from './programs.ts'

// The adapters for agent frameworks, each in its framework's own loop: frameworks as PyPI has them, in exactly these versions.

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'clients/python/frameworks')
const missing = process.env.CI === 'true' ? [] : missingPrograms().filter((each) => each.startsWith('python3'))

describe.skipIf(missing.length > 0)('the adapters for agent frameworks in Python', () => {
  it('have at most 60 lines each', () => {
    const adapters = join(root, 'clients/python/src/bailiwick/adapters')
    const files = readdirSync(adapters).filter((name) => name.endsWith('.py'))
    expect(files.length).toBeGreaterThan(5)
    for (const name of files)
      expect(readFileSync(join(adapters, name), 'utf8').trimEnd().split('\n').length, name).toBeLessThanOrEqual(60)
  })

  it('are typed, strictly, with the types of the frameworks', async () => {
    const checks = await pythonWithPackages(join(root, 'clients/python'))
    const where = await run(checks, ['-c', 'import basedpyright; print(basedpyright.__path__[0])'])
    const checker = join(where.out.trim(), 'index.js')
    const python = await pythonWithPackages(folder)
    const { code, out } = await run(process.execPath, [checker, '--pythonpath', python, '--project', folder])
    expect([code, out]).toEqual([0, expect.stringContaining('0 errors')])
  })

  it('decide each call of a tool in the framework’s own loop, and let nothing through without a decision', async () => {
    const python = await pythonWithPackages(folder)
    const env = {
      PYTHONPATH: join(root, 'clients/python/src'),
      PYTHONDONTWRITEBYTECODE: '1',
      BAILIWICK_COMMAND: `${process.execPath} ${join(root, 'packages/cli/src/main.ts')}`,
    }
    const { code, out, err } = await run(python, ['-m', 'pytest', '--quiet'], { cwd: folder, env })
    expect(code, `${out}\n${err}`).toBe(0)
    expect(out).toMatch(/\d\d passed in/)
  }, 300_000)
})
