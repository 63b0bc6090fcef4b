import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { paths, policySetOf, readPolicyFiles } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const approve_at = 'http://localhost:8420/console'
const schema =
  'entity agent, tool; action go appliesTo { principal: agent, resource: tool, context: { history: { task: { calls: Long } } } };'
const registryOf = (hash: string, files = {}) => {
  const set = { id: 'active', hash, files }
  return {
    enrolled: true,
    single_operator: true,
    entities: [{ type: 'policy-set', id: 'active', version: 1, hash: 'x', value: set }],
  }
}

it('checks a directory, lays it where decision points look, and proposes its hash (V3)', async () => {
  using folder = temporaryFolder()
  using policies = temporaryFolder()
  writeFileSync(policies.at('schema.cedarschema'), schema)
  writeFileSync(policies.at('a.cedar'), '@id("all") permit (principal, action, resource);')
  const set = policySetOf(readPolicyFiles(policies.path))
  let active = registryOf('A'.repeat(43))
  await using operator = await operatorAt(folder.path, ({ method }) => ({
    body: method === 'POST' ? { request_id: 'req_1', diff: [], approve_at } : active,
  }))
  const argv = ['policy', 'propose', policies.path, '--data', folder.path]
  const { code, out, err } = await bailiwick([...argv, '--proposer', 'olga'])
  expect(code).toBe(0)
  expect(err).toMatch(/^SINGLE OPERATOR: /)
  expect(out).toContain('~ policy-set active')
  expect(out).toContain(`Proposed as req_1. It holds once it is approved with a passkey at ${approve_at}`)
  expect(operator.calls.at(-1)).toEqual({
    method: 'POST',
    path: '/operator/registry/changes',
    body: { proposer: 'olga', entities: [{ type: 'policy-set', id: 'active', value: set }] },
  })
  const stored = paths(folder.path).policies(set.hash)
  expect(policySetOf(readPolicyFiles(stored))).toEqual(set)
  expect(readFileSync(join(stored, 'a.cedar'), 'utf8')).toContain('permit')

  active = registryOf(set.hash, set.files)
  expect((await bailiwick(argv)).out).toBe('These policies are the active ones.')
  expect(operator.calls.filter(({ method }) => method === 'POST')).toHaveLength(1)
})

it('proposes a set that permits nothing where that is meant, and has approvers sign that it is (V3, V13)', async () => {
  using folder = temporaryFolder()
  using policies = temporaryFolder()
  writeFileSync(policies.at('schema.cedarschema'), schema)
  writeFileSync(policies.at('a.cedar'), '@id("none") forbid (principal, action, resource);')
  const set = policySetOf(readPolicyFiles(policies.path))
  await using operator = await operatorAt(folder.path, ({ method }) => ({
    body: method === 'POST' ? { request_id: 'req_1', diff: [], approve_at } : registryOf('A'.repeat(43)),
  }))
  const argv = ['policy', 'propose', policies.path, '--data', folder.path]
  const refused = await bailiwick(argv)
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('denies every request: --permits-nothing')])
  expect(operator.calls).toEqual([])
  expect((await bailiwick([...argv, '--permits-nothing'])).code).toBe(0)
  const value = { ...set, permits_nothing: true }
  expect(operator.calls.at(-1)?.body).toEqual({
    proposer: 'operator',
    entities: [{ type: 'policy-set', id: 'active', value }],
  })
  writeFileSync(policies.at('b.cedar'), '@id("some") permit (principal, action, resource);')
  expect(await bailiwick([...argv, '--permits-nothing'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('the set has a permit'),
  })
})

it('proposes nothing of policies that would deny everything, and says what is wrong (V13)', async () => {
  using folder = temporaryFolder()
  using policies = temporaryFolder()
  writeFileSync(
    policies.at('a.cedar'),
    '@id("sum") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };',
  )
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  const { code, err } = await bailiwick(['policy', 'propose', policies.path, '--data', folder.path])
  expect([code, err]).toEqual([1, expect.stringContaining('a.cedar  sum: always errors')])
  expect(operator.calls).toEqual([])
  expect(existsSync(folder.at('policies'))).toBe(false)
})

it.each([
  ['has no schema', 'schema.cedarschema: missing', undefined, 'all'],
  ['wants a history that there is not', 'history.task.wishes', schema.replace('calls', 'wishes'), 'all'],
  ['has an id that no event could hold', 'more than 256', schema, 'x'.repeat(257)],
])('proposes nothing of a set that %s: no decision point could load it (V13)', async (_, why, declared, id) => {
  using folder = temporaryFolder()
  using policies = temporaryFolder()
  if (declared !== undefined) writeFileSync(policies.at('schema.cedarschema'), declared)
  writeFileSync(policies.at('a.cedar'), `@id("${id}") permit (principal, action, resource);`)
  await using operator = await operatorAt(folder.path, () => ({ body: {} }))
  const { code, err } = await bailiwick(['policy', 'propose', policies.path, '--data', folder.path])
  expect(code).not.toBe(0)
  expect(err).toContain(why)
  expect(operator.calls).toEqual([])
  expect(existsSync(folder.at('policies'))).toBe(false)
})
