import { expect, it } from 'vitest'
import { sha256 } from './base64url.ts'
import { generateKey, verifyingKey } from './keys.ts'
import { claimedEgress, claimsInProcess, type Outcome, signOutcome, verifyOutcome } from './outcome.ts'

const key = generateKey('outcome')
const said: Outcome = {
  installation: 'ins_0123456789abcdef0123',
  enforcement_point: 'assistant',
  sequence: 1,
  call_id: 'call_0123456789abcdef',
  decision_id: 'dec_01M8JA9JJDSGVD6K2M0G3HAY14',
  action_digest: sha256('an action'),
  status: 'succeeded',
  at: '2026-11-29T18:00:00.000Z',
}

it('says that its point stands in the agent’s own process, and nothing else in that place', () => {
  const inside = signOutcome({ ...said, enforced_by: 'in_process' }, key)
  expect(claimsInProcess(inside)).toBe(true)
  const { installation, enforcement_point: enforcementPoint } = said
  const theirs = verifyingKey('outcome', key.publicJwk)
  if (theirs === undefined) throw new Error('no key')
  expect(verifyOutcome({ outcome: inside, key: theirs, installation, enforcementPoint })).toMatchObject({
    ok: true,
    value: { enforced_by: 'in_process' },
  })
  expect(() => signOutcome({ ...said, enforced_by: 'gateway' as 'in_process' }, key)).toThrow('enforced_by')
})

it('is taken for one of a point outside where it does not say so, and where it cannot be read', () => {
  expect(claimsInProcess(signOutcome(said, key))).toBe(false)
  expect(claimsInProcess('no outcome')).toBe(false)
})

it.each<[Partial<Outcome>, number | undefined]>([
  [{ egress_bytes: 7 }, 7],
  [{}, undefined],
  [{ status: 'unknown', egress_bytes: 7 }, 7],
  [{ status: 'not_executed' }, 0],
  [{ status: 'continued', egress_bytes: 7 }, 7],
  [{ status: 'not_observed', egress_bytes: 0 }, undefined],
])('states the bytes that its point saw leave: %j, %s (V9)', (more, bytes) => {
  expect(claimedEgress(signOutcome({ ...said, ...more }, key))).toBe(bytes)
})

it('states no bytes where it cannot be read', () => {
  expect(claimedEgress('no outcome')).toBeUndefined()
})
