import { globSync } from 'node:fs'
import { join } from 'node:path'
import { developerNames, knownSettings } from '@bailiwick/host'
import { expect, it } from 'vitest'
import { z } from 'zod'

const root = join(import.meta.dirname, '../..')
const ofTestRuns = ['BAILIWICK_CHAOS_ROUNDS', 'BAILIWICK_NIGHTLY', 'BAILIWICK_SEED']

it('knows every setting of every process, and no other', async () => {
  const files = globSync('services/*/src/{,dev/}config.ts', { cwd: root })
  const modules = await Promise.all(files.map((file) => import(join(root, file))))
  const named = modules.flatMap(({ configSchema }) => {
    expect(configSchema).toBeInstanceOf(z.ZodObject)
    return Object.keys(configSchema.shape)
  })
  expect(files.length).toBeGreaterThanOrEqual(5)
  expect(new Set([...named, ...developerNames, ...ofTestRuns])).toEqual(new Set(knownSettings))
})

/** For processes that run separately: the addresses of the others, and the adapters that replace them. */
const ofSeparateProcesses = [
  'BAILIWICK_EVIDENCE_URL',
  'BAILIWICK_POLICIES',
  'BAILIWICK_PERMITS_NOTHING',
  'BAILIWICK_CALLER_TOKEN_FILE',
]

it('supports every setting of a service where all services run in one process', async () => {
  const shapeOf = async (service: string): Promise<string[]> =>
    Object.keys((await import(join(root, `services/${service}/src/config.ts`))).configSchema.shape)
  const whole = new Set([...(await shapeOf('standalone')), ...ofSeparateProcesses])
  for (const service of ['approval', 'evidence', 'issuer', 'policy-decision'])
    for (const setting of await shapeOf(service)) expect([service, setting, whole.has(setting)]).toContain(true)
})
