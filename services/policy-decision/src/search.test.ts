import type { AuthZenSearch } from '@bailiwick/authzen'
import { signAccessToken } from '@bailiwick/credentials'
import { errorCode } from '@bailiwick/errors'
import { expect, it } from 'vitest'
import {
  action,
  agentKey,
  asked,
  base,
  credentialId,
  credentialKey,
  hash,
  issuer,
  point,
  resource,
  root,
} from './decide.fixture.ts'
import { Searches } from './search.ts'
import { now } from './steps/living-call.fixture.ts'

const credentialOf = (agent: string) =>
  signAccessToken(
    {
      ...{ iss: issuer, aud: base, sub: agent, client_id: agent, iat: now / 1000 - 1, exp: now / 1000 + 30 },
      ...{ jti: credentialId, cnf: { jkt: agentKey.kid }, authorization_details: [{ type: 'bailiwick_task' }] },
      grant: { id: root, root, request: `req_${'1'.repeat(26)}`, mode: 'window', statement_hash: hash, as_of: 0 },
    } as never,
    credentialKey,
  )

it('holds up one agent that searches too much, and none that shares a point with it (V18)', async () => {
  const w = asked()
  const searches = new Searches(w.pdp as never)
  const refused: string[] = []
  const search = (credential: string, name: string) => {
    const context = { bailiwick: { credential } }
    const asking: AuthZenSearch = { entity: 'subject', subject: { type: 'agent' }, action, resource, context } as never
    return searches.run(point as never, asking).catch((error: unknown) => refused.push(`${name} ${errorCode(error)}`))
  }
  const [one, other] = ['spiffe://example.org/agent/one/i1', 'spiffe://example.org/agent/other/i1'].map(credentialOf)
  const all = [
    ...Array.from({ length: 20 }, () => search(one ?? '', 'one')),
    search(other ?? '', 'other'),
    search('a.b.c', 'stranger'),
  ]
  await Promise.all(all)
  expect(refused).toEqual(Array.from({ length: 12 }, () => 'one queue_full'))
})
