import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunPlace } from '../abuse/agent-run.ts'
import { type ApiWorld, openApiWorld } from './api-world.ts'

const credentialSeconds = 10
let api: ApiWorld
beforeAll(async () => {
  api = await openApiWorld({ system: { env: { BAILIWICK_CREDENTIAL_SECONDS: String(credentialSeconds) } } })
})
afterAll(() => api?.[Symbol.asyncDispose]())

it('a program under agent run calls on while its credentials end, one after the other, and knows nothing of it', async () => {
  using place = new RunPlace(api.world)
  const { grantId } = await api.world.granted(api.authority)
  const { trees } = api.world.system.services.policyDecision.pdp.projection.ledger.grants
  const issued = new Set<string>()
  // Readers forget a credential that is over.
  const look = () =>
    void [...trees.values()].flatMap(({ credentials }) => [...credentials.keys()]).map((id) => issued.add(id))
  const looking = setInterval(look, 500)
  // A busy machine may keep one call from being decided, so the program asks again.
  const script = `
    for n in $(seq ${2 * credentialSeconds + 5}); do
      curl -sS -o /dev/null -w '%{http_code} ' "$BAILIWICK_HTTP_ERP/invoices/4711"
      sleep 1
    done`
  const { said, ended } = place.start(['--grant', grantId, '--http', 'erp'], ['sh', '-c', script])
  expect(await ended.finally(() => clearInterval(looking)), said.err).toBe(0)
  const answers = said.out.trim().split(' ')
  // Also when the third credential is in use.
  expect(answers.slice(-5), said.err).toContain('200')
  expect(answers.filter((status) => status === '401')).toEqual([])
  expect(issued.size).toBeGreaterThan(2)
})
