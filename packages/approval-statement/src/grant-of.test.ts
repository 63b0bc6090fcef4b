import { grantSchema } from '@bailiwick/contracts'
import { jcsHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { grantOf, verifyGrantContent } from './grant-of.ts'
import { anApprover, aPasskey, aStatement, authority } from './samples.test-data.ts'

const passkey = aPasskey()
const approvers = [anApprover('anna', ['finance'], passkey)]
const statement = aStatement({ approvers })
const grant = grantOf(statement, [passkey.sign(statement)])
const no = { ok: false, code: 'statement_unknown', detail: 'the grant is not what the statement says' }

it('makes the same grant of the same statement, and finds it whole (V3, V10)', () => {
  expect(grantSchema.parse(grant)).toEqual(grant)
  expect(verifyGrantContent(structuredClone(grant))).toEqual({ ok: true })
  expect(grantOf(statement, [passkey.sign(statement)]).id).toBe(grant.id)
  expect(grantOf({ ...statement, nonce: 'BAAAAAAAAAAAAAAAAAAAAA' }, []).id).not.toBe(grant.id)
})

it.each<[string, object]>([
  ['id', { id: `grt_${'x'.repeat(43)}` }],
  ['agent', { agent: 'spiffe://acme.example/agent/other/one' }],
  ['key', { instance_key: jcsHash('other') }],
  ['authority', { authority: { ...authority, budget: { calls: 21 } } }],
  ['mode', { mode: 'continuous' }],
  ['end', { not_after: '2026-11-24T23:00:00.000Z' }],
  ['start', { not_before: '2026-11-24T11:00:00.000Z' }],
  ['as_of', { as_of: 8 }],
  ['request', { request_id: 'req_99999999999999999999' }],
  ['statement', { statement: { ...statement, as_of: 8 } }],
  ['statement hash', { statement_hash: jcsHash('other') }],
  ['members', { owner: 'x' }],
])('refuses a grant with other %s than the humans signed (V3)', (_, over) => {
  expect(verifyGrantContent({ ...grant, ...over })).toEqual(no)
})

it('lets instance and key change only where the humans signed that it may', () => {
  const attested = aStatement({ approvers, rebind: 'attested' })
  const rebindable = grantOf(attested, [])
  expect(verifyGrantContent({ ...rebindable, instance_key: jcsHash('new pod') })).toEqual({ ok: true })
  const restarted = { instance_key: jcsHash('new pod'), agent: `${attested.agent.replace(/[^/]*$/, '')}another-pod` }
  expect(verifyGrantContent({ ...rebindable, ...restarted })).toEqual({ ok: true })
  expect(verifyGrantContent({ ...grant, ...restarted })).toEqual(no)
  const foreign = { ...restarted, agent: 'spiffe://acme.example/agent/other/one' }
  expect(verifyGrantContent({ ...rebindable, ...foreign })).toEqual(no)
  expect(verifyGrantContent({ ...rebindable, as_of: 8 })).toEqual(no)
  expect(verifyGrantContent({ ...grant, instance_key: jcsHash('new pod') })).toEqual(no)
})

it('answers a statement that cannot be written', () => {
  const hostile = { ...statement, authority: { ...statement.authority, task: '\ud800' } }
  expect(verifyGrantContent({ ...grant, statement: hostile })).toEqual(no)
})
