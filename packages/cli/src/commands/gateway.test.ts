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
