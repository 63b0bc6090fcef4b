import { sha256 } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const agent = 'spiffe://acme.example/agent/ledger'
const argv = ['agents', 'join-token', agent, '--instance', 'laptop']

it('makes a join token: each service gets the hash of its own half, and no service gets the token', async () => {
  using folder = temporaryFolder()
  const expires_at = '2026-11-24T18:00:00.000Z'
  await using operator = await operatorAt(folder.path, () => ({ body: { instance: `${agent}/laptop`, expires_at } }))
  const { code, out } = await bailiwick([...argv, '--data', folder.path])
  expect(code).toBe(0)
  const [forApproval = '', forIssuer = ''] = out.trim().split('.')
  expect(operator.calls.map(({ path, body }) => [path, body])).toEqual([
    ['/operator/join-tokens/issuer', { instance: `${agent}/laptop`, token_hash: sha256(forIssuer), minutes: 10 }],
    ['/operator/join-tokens/approval', { instance: `${agent}/laptop`, token_hash: sha256(forApproval), minutes: 10 }],
  ])
  expect(forApproval).not.toBe(forIssuer)
})

it.each(['0', '61', 'ten', '1.5'])('makes none for %s minutes', async (minutes) => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  expect((await bailiwick([...argv, '--minutes', minutes, '--data', folder.path])).code).toBe(2)
  expect(operator.calls).toEqual([])
})

it('gives none that a service refused', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ status: 404, body: { code: 'entity_unknown' } }))
  expect(await bailiwick([...argv, '--data', folder.path])).toMatchObject({ code: 2, out: '' })
})
