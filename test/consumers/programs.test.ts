import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { go, logVerifier, missingPrograms, python, pythonWithPackages, run, verifiers } from './programs.ts'

const missing = missingPrograms()

describe.skipIf(process.env.CI !== 'true' && missing.length > 0)('consumers in other languages', () => {
  let interpreter = ''
  beforeAll(async () => {
    interpreter = await pythonWithPackages()
  })

  it('the Python reader agrees with the vectors (V12)', async () => {
    const { code, err } = await run(interpreter, ['-m', 'unittest'], { cwd: python })
    expect(err).toMatch(/^Ran \d+ tests/m)
    expect([code, err.trim().split('\n').at(-1)]).toEqual([0, 'OK'])
  })

  it('the Python verifier agrees with the vectors on actions, authorities, rules and bundles (V1, V5)', async () => {
    const { code, err } = await run(await pythonWithPackages(verifiers), ['-m', 'unittest'], { cwd: verifiers })
    expect(err).toMatch(/^Ran \d+ tests/m)
    expect([code, err.trim().split('\n').at(-1)]).toEqual([0, 'OK'])
  }, 300_000)

  it('the Go reader agrees with the vectors (V12)', async () => {
    const { code, out, err } = await run('go', ['test', '-count=1', './...'], { cwd: go })
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^ok\s/)
  }, 300_000)

  it('the Go programs are formatted and vetted', async () => {
    const { out: root } = await run('go', ['env', 'GOROOT'], { cwd: go })
    for (const cwd of [go, logVerifier]) {
      expect(await run(join(root.trim(), 'bin/gofmt'), ['-l', '.'], { cwd })).toMatchObject({ code: 0, out: '' })
      expect(await run('go', ['vet', './...'], { cwd })).toMatchObject({ code: 0 })
    }
  }, 300_000)
})
