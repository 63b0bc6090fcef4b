import { mkdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'

const schema = 'entity U; entity R; action a appliesTo { principal: U, resource: R, context: { ok: Bool } };'
const policies = `@id("all") permit (principal, action, resource);
@id("not-ok") forbid (principal, action, resource) when { !context.ok };`
const testOf = (name: string, ok: boolean, decision: string) =>
  `- {name: ${name}, request: {subject: {type: U, id: u}, action: {name: a}, resource: {type: R, id: r}, context: {ok: ${ok}}}, expect: {decision: ${decision}}}\n`

function directory(files: Record<string, string>) {
  const folder = temporaryFolder()
  mkdirSync(folder.at('tests'))
  for (const [name, text] of Object.entries({ 'schema.cedarschema': schema, 'a.cedar': policies, ...files }))
    writeFileSync(folder.at(name), text)
  return folder
}

it('check says what is wrong, file, id and sentence, and ends with 1 for errors alone', async () => {
  using folder = directory({ 'b.cedar': '@id("more") permit (principal, action, resource);' })
  const warned = await bailiwick(['policy', 'check', folder.path])
  expect(warned).toMatchObject({ code: 0, err: '' })
  expect(warned.out.split('\n')).toEqual([
    'warning  b.cedar  more: shadowed by all (a.cedar), which always applies too: nothing changes without it',
    '0 errors, 1 warning',
  ])
  writeFileSync(
    folder.at('c.cedar'),
    '@id("sum") forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };',
  )
  const { code, out } = await bailiwick(['policy', 'check', folder.path])
  expect([code, out]).toEqual([1, expect.stringContaining('error    c.cedar  sum: always errors')])
  const { code: again, out: json } = await bailiwick(['policy', 'check', folder.path, '--json'])
  expect([again, JSON.parse(json)]).toMatchObject([
    1,
    { ok: false, findings: [{ policyId: 'more' }, { policyId: 'sum', level: 'error' }] },
  ])
})

it('test shows those that fail, and ends with 1 when one does', async () => {
  using folder = directory({ 'tests/a.yaml': testOf('yes', true, 'allow') + testOf('no', false, 'deny') })
  expect(await bailiwick(['policy', 'test', folder.path])).toEqual({ code: 0, out: '2 tests, 0 failed', err: '' })
  writeFileSync(folder.at('tests/b.yaml'), testOf('wrong', false, 'allow'))
  const { code, out } = await bailiwick(['policy', 'test', folder.path])
  expect([code, out.split('\n')]).toEqual([
    1,
    [
      'failed               expected  got',
      'tests/b.yaml: wrong  allow     deny by policy_denied, not-ok',
      '3 tests, 1 failed',
    ],
  ])
})

it.each([
  ['there are no tests', {}, 'there are no tests'],
  ['a test is none', { 'tests/a.yaml': '- {}' }, 'tests/a.yaml'],
  ['the set does not load', { 'tests/a.yaml': testOf('yes', true, 'allow'), 'z.cedar': 'permit' }, 'z.cedar'],
])('test ends with 2 when %s', async (_, files, why) => {
  using folder = directory(files)
  expect(await bailiwick(['policy', 'test', folder.path])).toMatchObject({ code: 2, err: expect.stringContaining(why) })
})

it('explain says who decided, and what would have to differ', async () => {
  using folder = directory({})
  const ask = (ok: string) => {
    writeFileSync(
      folder.at('request.json'),
      `{"subject": {"type": "U", "id": "u"}, "action": {"name": "a"}, "resource": {"type": "R", "id": "r"}, "context": {"ok": ${ok}}}`,
    )
    return bailiwick(['policy', 'explain', folder.path, folder.at('request.json')])
  }
  const denied = await ask('false')
  expect([denied.code, denied.out.split('\n')]).toEqual([
    1,
    [
      'Denied. It is forbidden by:',
      '  not-ok (a.cedar)',
      'If one of these were different, that alone could allow it:',
      '  context.ok, now false: not-ok',
    ],
  ])
  expect(await ask('true')).toMatchObject({ code: 0, out: expect.stringContaining('permitted by:\n  all (a.cedar)') })
  expect(await ask('1')).toMatchObject({ code: 1, out: expect.stringContaining('does not fit the schema') })
  expect(await ask('{')).toMatchObject({ code: 2, err: expect.stringContaining('request.json') })
})
