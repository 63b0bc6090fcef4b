import { type SaltedText, saltedHash } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { type Answering, operatorAt } from '../operator.fixture.ts'

const acknowledged_at = '2026-11-24T18:00:00.000Z'

/** The answers of issuer and approval. */
const answering =
  (more: object): Answering =>
  ({ path, body }) => ({
    body:
      path === '/operator/values' ? {} : { ...(body as object), sequence: 7, is_new: true, acknowledged_at, ...more },
  })

it('revokes by name, with the reason as a salted hash, and hands its words to approval afterwards (V17)', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering({}))
  const argv = ['revoke', 'grant', 'grt_1', '--reason', 'laptop lost', '--data', folder.path]
  const { code, out } = await bailiwick(argv)
  expect(code).toBe(0)
  expect(out).toContain(`Revoked grant grt_1: number 7, durable since ${acknowledged_at}`)
  const [order, words] = operator.calls.map(({ body }) => body) as [object, SaltedText]
  expect(operator.calls.map(({ path }) => path)).toEqual(['/operator/revocations', '/operator/values'])
  expect(order).toEqual({ kind: 'grant', target: 'grt_1', reason: { salted_sha256: saltedHash(words) } })
  expect(words).toEqual({ about: 'grant grt_1', salt: expect.any(String), text: 'laptop lost' })
  const json = await bailiwick([...argv, '--json'])
  expect(JSON.parse(json.out)).toEqual({ kind: 'grant', target: 'grt_1', sequence: 7, is_new: true, acknowledged_at })
})

it('revokes although no service keeps the words, and says so', async () => {
  using folder = temporaryFolder()
  const refused = { status: 503, body: { code: 'service_standby' } }
  const answer = answering({})
  await using _ = await operatorAt(folder.path, (call) => (call.path === '/operator/values' ? refused : answer(call)))
  const argv = ['revoke', 'grant', 'grt_1', '--reason', 'laptop lost', '--data', folder.path]
  const { code, out, err } = await bailiwick(argv)
  expect(code).toBe(0)
  expect(out).toContain('Revoked grant grt_1: number 7')
  expect(err).toBe(
    'bailiwick: revoked, but no service keeps the words of the reason (service_standby): the log has their salted hash alone',
  )
})

it('keeps no words that no event stands for: what was dead before has its own reason', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering({ is_new: false }))
  const { code, out } = await bailiwick(['revoke', 'grant', 'grt_1', '--reason', 'again', '--data', folder.path])
  expect({ code, out }).toEqual({
    code: 0,
    out: `grant grt_1 was revoked before, by number 7, whose reason stands
From then on no decision point allows it later than 1 s, or 2 s where one is cut off.`,
  })
  expect(operator.calls).toHaveLength(1)
})

it('revokes everything without an id', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering({}))
  const { out } = await bailiwick(['revoke', 'all', '--reason', 'drill', '--data', folder.path])
  expect(out).toContain('Revoked everything: number 7')
  expect(operator.calls).toMatchObject([{ body: { kind: 'all', target: '*' } }, { path: '/operator/values' }])
})

it.each([
  [['revoke', 'grant', 'grt_1'], "required option '--reason <text>' not specified"],
  [['revoke', 'grant', '--reason', 'x'], 'revoke grant needs an id'],
  [['revoke', 'all', '--reason', ''], '1 to 2000 characters'],
  [['revoke', 'all', 'grt_1', '--reason', 'x'], 'takes no id'],
  [['revoke', 'everything', '--reason', 'x'], 'Allowed choices are credential, delegation, grant'],
])('revokes nothing when asked %j, and says what is missing', async (argv, message) => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  const { code, err } = await bailiwick([...argv, '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(operator.calls).toEqual([])
})

it('says what the service refuses, and claims nothing', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ status: 404, body: { code: 'grant_unknown' } }))
  const { code, out, err } = await bailiwick(['revoke', 'grant', 'grt_1', '--reason', 'x', '--data', folder.path])
  expect({ code, out, err }).toEqual({ code: 2, out: '', err: 'bailiwick: There is no such grant (grant_unknown)' })
})

it('claims nothing when the answer is not one', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ body: { ok: true } }))
  const { code, out } = await bailiwick(['revoke', 'grant', 'grt_1', '--reason', 'x', '--data', folder.path])
  expect({ code, out }).toEqual({ code: 2, out: '' })
})

const applied = [
  { service: 'policy-decision', producer: '/policy-decision/two', ms: 130.2 },
  { service: 'issuer', producer: '/issuer/one', ms: 1 },
]

it('waits until every instance applies it, and says how long each took', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering({ applied }))
  const argv = ['revoke', 'agent', 'spiffe://d/agent/a', '--reason', 'x', '--data', folder.path]
  const { code, out } = await bailiwick([...argv, '--wait'])
  expect(code).toBe(0)
  expect(out.split('\n').slice(1)).toEqual(['  /issuer/one           1 ms', '  /policy-decision/two  131 ms'])
  await bailiwick([...argv, '--wait', '0.5'])
  const orders = operator.calls.filter(({ path }) => path === '/operator/revocations')
  expect(orders.map(({ body }) => (body as { wait_ms: number }).wait_ms)).toEqual([2000, 500])
  expect((await bailiwick([...argv, '--wait', '21'])).code).toBe(2)
  expect(operator.calls).toHaveLength(4)
})

it('fails and names who was not heard to apply it', async () => {
  using folder = temporaryFolder()
  const late = applied.map((each, n) => (n === 0 ? { ...each, ms: null } : each))
  await using _ = await operatorAt(folder.path, answering({ applied: late }))
  const { code, out, err } = await bailiwick(['revoke', 'all', '--reason', 'x', '--wait', '--data', folder.path])
  expect(code).toBe(1)
  expect(out).toContain('/policy-decision/two  NOT APPLIED')
  expect(err).toContain('/policy-decision/two was not heard to apply it within 2 s')
})

it('says what would end, and ends nothing', async () => {
  using folder = temporaryFolder()
  const grant = { grant_id: 'grt_1', agent: 'spiffe://d/agent/a/i1', task: 'reconcile', not_after: acknowledged_at }
  await using operator = await operatorAt(folder.path, () => ({
    body: { grants: [grant], grant_count: 120, credentials: 3, delegations: 2 },
  }))
  const argv = ['revoke', 'agent', 'spiffe://d/agent/a', '--reason', 'x', '--dry-run', '--data', folder.path]
  const { code, out } = await bailiwick(argv)
  expect(code).toBe(0)
  expect(out).toContain('would end 120 grants, 3 credentials and 2 delegations that are alive. Nothing was done.')
  expect(out).toContain(`grt_1  reconcile, until ${acknowledged_at}, of spiffe://d/agent/a/i1`)
  expect(out).toContain('and 119 more')
  expect(operator.calls).toMatchObject([{ path: '/operator/revocations/preview', body: { kind: 'agent' } }])
})
