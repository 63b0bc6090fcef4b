import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { judges, lacksJudges, runScript } from './programs.ts'

const client = `${process.execPath} ${join(import.meta.dirname, 'dpop-client.ts')}`
const expected = join(import.meta.dirname, 'dpop-client.expected.yml')

it.skipIf(lacksJudges).each(['auth/dpop', 'auth/dpop-nonce'])('an agent of our SDK passes %s', async (scenario) => {
  const folder = mkdtempSync(join(tmpdir(), 'judges-'))
  try {
    const options = ['--scenario', scenario, '--expected-failures', expected, '-o', folder]
    const { code, out, err } = await runScript(judges.conformance(), ['client', '--command', client, ...options])
    // The last request got its answer, so the token that the suite's server gave, nonce included, was good.
    expect(err).toContain('Sent 200 response for POST /mcp (method: tools/list)')
    expect(out).toContain('Baseline check passed')
    expect(code).toBe(0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
