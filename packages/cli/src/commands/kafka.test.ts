import { expect, it } from 'vitest'
import { bailiwick } from '../io.fixture.ts'

const nowhere = { BAILIWICK_BUS: 'kafka://127.0.0.1:1' }

it('says that it needs Kafka where the embedded bus is in use', async () => {
  for (const what of ['topics', 'acls'])
    for (const verb of ['apply', 'check']) {
      const { code, err } = await bailiwick(['kafka', what, verb])
      expect({ code, err }).toEqual({
        code: 2,
        err: 'bailiwick: BAILIWICK_BUS: set it to kafka://host:port (config_invalid)',
      })
    }
})

it('never reaches a broker without TLS or a password, unless in development', async () => {
  const { code, err } = await bailiwick(['kafka', 'topics', 'check'], { env: nowhere })
  expect(code).toBe(2)
  expect(err).toMatch(/^bailiwick: BAILIWICK_KAFKA_CA: missing/)
})

it('could not run where no broker answers: that is not the same as a difference', async () => {
  const { code, err } = await bailiwick(['kafka', 'topics', 'check'], { env: { ...nowhere, BAILIWICK_DEV: '1' } })
  expect(code).toBe(2)
  expect(err).toMatch(/ECONNREFUSED.*\(bus_unavailable\)$/)
})

it("refuses a reader that could take a service's messages", async () => {
  const { code, err } = await bailiwick(['kafka', 'acls', 'apply', '--reader', 'evidence-siem'])
  expect(code).toBe(2)
  expect(err).toContain('--reader: the groups of a reader "evidence-siem" could be those of evidence (config_invalid)')
})
