import { publicKeyOf, sha256, verifyAccessRequest } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { denialOf } from './denial.ts'
import { authority, FakeInstallation, installation, key } from './installation.fixture.ts'

const call = { action: 'tools/call', resource: { type: 'tool', id: 'invoices/read' } }
const access_request = {
  endpoint: 'http://elsewhere.example/',
  expires_at: '2026-01-01T00:10:00.000Z',
  binding_token: 'a.b.c',
}
const problem = { code: 'action_not_granted', decision_id: 'dec_1', access_request }
const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status })

it('reads the denial that a request may answer, and leaves the response readable', async () => {
  const response = answer(403, problem)
  const denial = await denialOf(response, call)
  expect(denial).toEqual({
    ...call,
    bindingToken: 'a.b.c',
    expiresAt: access_request.expires_at,
    decisionId: 'dec_1',
    reason: 'action_not_granted',
  })
  expect(await response.json()).toEqual(problem)
})

it.each([
  ['an answer', answer(200, problem)],
  ['a denial that asking cannot help', answer(403, { code: 'policy_denied' })],
  ['one without a token', answer(403, { access_request: { ...access_request, binding_token: undefined } })],
  ['garbage', new Response('<html>', { status: 403 })],
  ['nothing', new Response(null, { status: 401 })],
])('finds none in %s', async (_, response) => {
  expect(await denialOf(response, call)).toBeUndefined()
})

it('signs the hash of what it answers, and hands it in in the words of the profile', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  const denial = await denialOf(answer(403, problem), call)
  if (denial === undefined) throw new Error('no denial')
  const signed = agent.signRequest({
    authority,
    mode: 'window',
    expiresInSeconds: 60,
    answering: denial,
    callback: { endpoint: 'https://agents.example/hook', state: 's-1' },
  })
  const { jws: request } = signed
  const options = { request, key: publicKeyOf(key), subject: agent.id, installation, now: fake.now, leewayMs: 0 }
  expect(verifyAccessRequest(options)).toMatchObject({
    value: { binding_token_hash: sha256('a.b.c'), callback: 'https://agents.example/hook' },
  })
  const folded = `req_${'1'.repeat(30)}`
  fake.requests = () => ({ status: 202, body: { task: { id: folded, status: 'pending' } } })
  expect(await agent.request(signed)).toMatchObject({ requestId: folded })
  expect(JSON.parse(fake.received[0]?.text ?? '')).toMatchObject({
    ...{ resource: call.resource, action: { name: call.action } },
    denial: {
      binding_token: 'a.b.c',
      expires_at: access_request.expires_at,
      evaluation_id: 'dec_1',
      reason: 'action_not_granted',
    },
    callback: { endpoint: 'https://agents.example/hook', state: 's-1' },
  })
})
