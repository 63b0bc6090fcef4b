import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import { commonSettings } from '@bailiwick/service-kit'
import { afterEach, expect, it } from 'vitest'
import { z } from 'zod'
import { embeddedOnly, type Process, runService } from './run-service.ts'

const data = mkdtempSync(join(tmpdir(), 'service-host-'))
afterEach(() => rmSync(data, { recursive: true, force: true }))

async function start(changes: Partial<Process<z.output<z.ZodObject<ReturnType<typeof commonSettings>>>>>) {
  const complaints: string[] = []
  const code = await runService({
    name: 'issuer',
    env: { BAILIWICK_DATA: data },
    schema: z.object(commonSettings(0)),
    openBus: () => Promise.reject(new Error('not reached')),
    start: () => Promise.reject(new Error('not reached')),
    complain: (line) => complaints.push(line),
    ...changes,
  })
  return { code, said: complaints.join('\n') }
}

it('names the setting that is wrong', async () => {
  const { code, said } = await start({ env: { BAILIWICK_PORT: 'abc', BAILIWICK_MAX_STALENESS: '1h' } })
  expect(code).toBe(1)
  expect(said).toContain('BAILIWICK_PORT')
  expect(said).toContain('BAILIWICK_MAX_STALENESS')
})

it('says that there is no installation, and how to make one', async () => {
  const { code, said } = await start({})
  expect(code).toBe(1)
  expect(said).toContain('trust_invalid')
  expect(said).toContain('bailiwick init')
})

it('does not start on an adapter that is not built', () => {
  const config = {
    ...z.object(commonSettings(0)).parse({}),
    BAILIWICK_BUS: { kind: 'kafka' as const, brokers: ['a:1'] },
  }
  expect(() => embeddedOnly(config)).toThrowError(ServiceError)
})
