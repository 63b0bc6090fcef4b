import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const acknowledged_at = '2026-11-24T18:00:00.000Z'

it('revokes by name, with the reason, and says the number and when it was durable', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, ({ body }) => ({
    body: { ...(body as object), sequence: 7, acknowledged_at },
  }))
  const argv = ['revoke', 'grant', 'grt_1', '--reason', 'laptop lost', '--data', folder.path]
  const { code, out } = await bailiwick(argv)
  expect(code).toBe(0)
  expect(out).toContain(`Revoked grant grt_1: number 7, durable since ${acknowledged_at}`)
  expect(operator.calls).toEqual([
    { method: 'POST', path: '/operator/revocations', body: { kind: 'grant', target: 'grt_1', reason: 'laptop lost' } },
  ])
  const json = await bailiwick([...argv, '--json'])
  expect(JSON.parse(json.out)).toEqual({ kind: 'grant', target: 'grt_1', sequence: 7, acknowledged_at })
})

it('revokes everything without an id', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, ({ body }) => ({
    body: { ...(body as object), sequence: 1, acknowledged_at },
  }))
  await bailiwick(['revoke', 'all', '--reason', 'drill', '--data', folder.path])
  expect(operator.calls).toMatchObject([{ body: { kind: 'all', target: '*' } }])
})

it.each([
  [['revoke', 'grant', 'grt_1'], "required option '--reason <text>' not specified"],
  [['revoke', 'grant', '--reason', 'x'], 'revoke grant needs an id'],
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
