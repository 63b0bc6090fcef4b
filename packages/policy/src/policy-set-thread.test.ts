import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { AuthZenPolicies, PolicySlot } from './authzen-policies.ts'
import { readPolicyDirectory } from './policy-set.ts'
import { readPolicyDirectoryAside } from './policy-set-thread.ts'

const schema =
  'entity U { n: Long, big?: Set<{ n: Long }> }; entity R; action a appliesTo { principal: U, resource: R };'
const policies = `// ${'x'.repeat(40_000)}
@id("p") @redact("iban") permit (principal, action == Action::"a", resource) when { principal.n == 9007199254740993 };`
const entity = (n: number) => `{"uid": {"type": "U", "id": "u${n}"}, "attrs": {"n": ${n}}, "parents": []}`

it('reads a large directory in a thread of its own, and gives what reading it here gives, digit for digit', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-policy-thread-'))
  const put = (name: string, text: string) => writeFileSync(join(folder.path, name), text)
  put('schema.cedarschema', schema)
  put('a.cedar', policies)
  put('authzen.yaml', 'types: { user: U }')
  const entities = Array.from({ length: 1200 }, (_, n) => entity(n))
  const exact = `{"uid": {"type": "U", "id": "exact"}, "attrs": {"n": 9007199254740993, "big": [{"n": -9223372036854775808}]}, "parents": []}`
  put('entities.json', `[${[...entities, exact].join()}]`)
  const [here, aside] = [readPolicyDirectory(folder.path), await readPolicyDirectoryAside(folder.path)]
  expect(JSON.stringify(aside.entities)).toBe(JSON.stringify(here.entities))
  expect({ ...aside, entities: [] }).toEqual({ ...here, entities: [] })
  const asked = new AuthZenPolicies(aside, new PolicySlot('policy-set-thread.test'))
  const ask = (id: string) =>
    asked.evaluate({ subject: { type: 'user', id }, action: { name: 'a' }, resource: { type: 'R', id: 'r' } }).outcome
  expect([ask('exact'), ask('u7')]).toEqual(['allow', 'deny'])
  put('b.cedar', 'permit (principal, action, resource) when { principal.nobody };')
  await expect(readPolicyDirectoryAside(folder.path)).rejects.toMatchObject({
    code: 'config_invalid',
    detail: expect.stringMatching(/b\.cedar.*nobody/),
  })
  await expect(readPolicyDirectoryAside(join(folder.path, 'none'))).rejects.toMatchObject({ code: 'config_invalid' })
})
