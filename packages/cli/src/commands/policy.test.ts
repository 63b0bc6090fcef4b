import { writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'

const schema =
  'entity U { n: Long }; entity R; action a appliesTo { principal: U, resource: R, context: { x?: Long } };'
const policies = `@id("all") permit (principal, action, resource);
@id("sum") forbid (principal, action, resource) when { context has x && principal.n + context.x < 0 };`
const entities = '[{"uid": {"type": "U", "id": "u"}, "attrs": {"n": 9223372036854775806}, "parents": []}]'
const request =
  '"principal": {"type": "U", "id": "u"}, "action": {"type": "Action", "id": "a"}, "resource": {"type": "R", "id": "r"}'

function folderOf(files: Record<string, string>) {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(folder.at(name), text)
  return folder
}
const batch = async (lines: (string | Uint8Array)[], said = '') => {
  const bytes = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]))
  // In chunks that end anywhere, even in the middle of a character.
  const chunks = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, n) => bytes.subarray(n * 7, n * 7 + 7))
  const { code, out, err } = await bailiwick(['policy', 'evaluate', '--batch', '-'], { input: Readable.from(chunks) })
  expect([code, err]).toEqual([0, said])
  return out.split('\n').map((line) => JSON.parse(line))
}

it('answers line by line, in order, and stops at none', async () => {
  using folder = folderOf({ 'schema.cedarschema': schema, 'a.cedar': policies, 'entities.json': entities })
  using loose = folderOf({
    'schema.cedarschema': schema,
    'a.cedar': '@id("w") permit (principal is U, action, resource) when { principal.zz };',
  })
  using broken = folderOf({ 'a.cedar': 'permit' })
  const line = (id: string, path: string, requests: string) =>
    `{"id": ${id}, "policies": ${JSON.stringify(path)}, "requests": [${requests}]}`
  const lines = [
    line(
      '1',
      folder.path,
      [`{${request}}`, `{${request}, "context": {"x": 1}}`, `{${request}, "context": {"x": 2}}`].join(),
    ),
    'no JSON',
    '',
    Uint8Array.of(0xff, 0xfe),
    line('"\u2028é"', broken.path, `{${request}}`),
    line('{"a": 1}', loose.path, `{${request}}`),
    '[]',
    '{"id": 7}',
    line('8', folder.at('none'), ''),
    line(
      '9',
      folder.path,
      [
        `{${request}, "context": {"y": 1}}`,
        '3',
        `{${request.replace('"a"', '"b"')}}`,
        `{${request.replace('"U"', '"R"')}, "validateRequest": false}`,
      ].join(),
    ),
  ]
  const answers = await batch(lines, 'bailiwick: 7 of 10 lines were not evaluated: their answers say why')
  const ok = { load: { ok: true, error: null }, validation: { ok: true, errors: [], warnings: [] } }
  const allowed = { decision: 'allow', cedar: { decision: 'allow', reason: ['all'], errors: [] }, error: null }
  expect(answers[0]).toMatchObject({ id: 1, ...ok, results: [allowed, allowed, { decision: 'deny', error: null }] })
  // Cedar skips a forbid that errs, and would allow.
  expect(answers[0].results[2].cedar).toMatchObject({
    decision: 'allow',
    reason: ['all'],
    errors: [{ policyId: 'sum', message: expect.stringContaining('overflow') }],
  })
  for (const n of [1, 2, 3, 6])
    expect(answers[n]).toMatchObject({
      id: null,
      load: { ok: false, error: expect.stringMatching(/./) },
      validation: { ok: false },
      results: [],
    })
  expect(answers[4]).toMatchObject({
    id: '\u2028é',
    load: { ok: false, error: expect.stringContaining('a.cedar') },
    results: [{ decision: 'deny', cedar: null, error: expect.any(String) }],
  })
  expect(answers[5]).toMatchObject({
    id: { a: 1 },
    load: { ok: true },
    validation: { ok: false, errors: [{ policyId: 'w', message: expect.stringContaining('zz') }] },
    results: [{ decision: 'deny' }],
  })
  expect(answers[7]).toMatchObject({ id: 7, load: { ok: false, error: expect.stringContaining('policies') } })
  expect(answers[8]).toMatchObject({ id: 8, load: { ok: false, error: expect.stringContaining('none') }, results: [] })
  const invalid = { decision: 'deny', cedar: null, error: expect.stringMatching(/./) }
  expect(answers[9]).toMatchObject({ ...ok, results: [invalid, invalid, invalid, allowed] })
  expect(answers).toHaveLength(10)
})

it('stops at no line that Cedar gives up at: the next ones are answered as before (V13)', async () => {
  using folder = folderOf({ 'schema.cedarschema': schema, 'a.cedar': policies, 'entities.json': entities })
  const deep = (conditions: string) =>
    folderOf({ 'a.cedar': `permit (principal, action, resource) when { ${conditions} };` })
  using nested = deep(`${'('.repeat(500)}true${')'.repeat(500)}`)
  using chained = deep(Array(1000).fill('context.x == 1').join(' || '))
  const line = (path: string) =>
    `{"id": 1, "policies": ${JSON.stringify(path)}, "requests": [{${request}, "context": {"x": 1}}]}`
  const lines = [folder, nested, folder, chained, folder].map(({ path }) => line(path))
  const answers = await batch(lines, 'bailiwick: 2 of 5 lines were not evaluated: their answers say why')
  const [first, second, third, fourth, fifth] = answers
  expect(first).toMatchObject({ load: { ok: true }, results: [{ decision: 'allow' }] })
  for (const refused of [second, fourth])
    expect(refused).toMatchObject({
      load: { ok: false, error: expect.stringMatching(/a\.cedar: .*nested/) },
      results: [{ decision: 'deny', cedar: null }],
    })
  expect([third, fifth]).toEqual([first, first])
})

it('takes Cedar’s own escapes: requests are trusted', async () => {
  using folder = folderOf({
    'a.cedar': 'permit (principal, action, resource) when { context.ip.isLoopback() && context.who == principal };',
  })
  const context = '{"ip": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}, "who": {"__entity": {"type": "U", "id": "u"}}}'
  const [answer] = await batch([
    `{"policies": ${JSON.stringify(folder.path)}, "requests": [{${request}, "context": ${context}}]}`,
  ])
  expect(answer.results).toEqual([
    { decision: 'allow', cedar: { decision: 'allow', reason: ['a.cedar#0'], errors: [] }, error: null },
  ])
})

it.each([
  ['/nonexistent/lines', 'ENOENT'],
  ['/', 'EISDIR'],
])('says which option named %s, which it cannot read', async (path, why) => {
  expect(await bailiwick(['policy', 'evaluate', '--batch', path])).toEqual({
    code: 2,
    out: '',
    err: `bailiwick: --batch: cannot read ${path} (${why}) (config_invalid)`,
  })
})
