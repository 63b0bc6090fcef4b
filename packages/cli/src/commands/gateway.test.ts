import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bailiwick } from '../io.fixture.ts'

it('takes a configuration for the gateway alone', async () => {
  const { code, err } = await bailiwick(['serve', 'issuer', '--config', 'gateway.yaml'])
  expect(code).toBe(2)
  expect(err).toContain('serve gateway --config')
})

it('needs to know where the servers are', async () => {
  const { code, err } = await bailiwick(['gateway', 'pin', 'billing'])
  expect(code).toBe(2)
  expect(err).toContain('--config')
})

it('makes a table of operations, and refuses a file that is no description', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-openapi-'))
  const file = join(folder.path, 'openapi.json')
  writeFileSync(file, JSON.stringify({ paths: { '/a/{b}': { get: { operationId: 'readB' } } } }))
  expect(await bailiwick(['gateway', 'operations', file])).toMatchObject({
    ...{ code: 0, out: expect.stringContaining('request: GET /a/{b}') },
  })
  writeFileSync(file, '[]')
  expect(await bailiwick(['gateway', 'operations', file])).toMatchObject({
    ...{ code: 2, err: expect.stringContaining('no OpenAPI description') },
  })
})
