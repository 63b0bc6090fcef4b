import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findingsOf, parsePolicySet, readPolicyDirectory, validatePolicySet } from './policy-set.ts'

const schema = `entity User in [Team] { age: Long, home?: ipaddr };
entity Team;
action write;
action read in [write] appliesTo { principal: [User], resource: [User], context: { ip?: ipaddr } };`
const all = 'permit (principal, action, resource);'

/** Reads a directory with these files. */
function read(files: Record<string, string | Uint8Array>) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text)
  return readPolicyDirectory(folder.path)
}
const idsOf = (files: Record<string, string>) => [...read(files).policies.keys()]

describe('a policy’s id', () => {
  it('is @id, else its file and its place among all policies of the file', () => {
    const ids = idsOf({
      'b.cedar': `${all}\n@id("mine") ${all}\n${all}`,
      'a.cedar': `// nothing\n${all}`,
      'c.cedar': '',
    })
    expect(ids).toEqual(['a.cedar#0', 'b.cedar#0', 'mine', 'b.cedar#2'])
  })

  it('counts as the text does, beyond the tenth too', () => {
    const texts = Array.from(
      { length: 120 },
      (_, n) => `@n("${n}") ${n % 3 === 0 ? 'forbid' : 'permit'} (principal, action, resource);`,
    )
    const { policies } = read({ 'many.cedar': texts.join('\n') })
    for (let n = 0; n < texts.length; n++)
      expect(policies.get(`many.cedar#${n}`)?.json.annotations?.n, `policy ${n}`).toBe(String(n))
  })

  it('may be any text: __proto__ is no way to lose a forbid', () => {
    const set = read({ 'a.cedar': `${all}\n@id("__proto__") forbid (principal, action, resource);\n@id("") ${all}` })
    expect([...set.policies.keys()]).toEqual(['a.cedar#0', '__proto__', ''])
  })
})

it('refuses conditions that Cedar would load and not get to the end of, and names the policy (V13)', () => {
  const any = (terms: number) => Array(terms).fill('context.n == 1').join(' || ')
  const when = (conditions: string) => `permit (principal, action, resource) when { ${conditions} };`
  expect(idsOf({ 'a.cedar': when(any(290)) })).toEqual(['a.cedar#0'])
  const refused = (text: string) => {
    expect(() => read({ 'a.cedar': `@id("deep") ${text}` }), text.slice(0, 60)).toThrow(
      expect.objectContaining({ code: 'config_invalid', detail: expect.stringMatching(/a\.cedar: .*nested/) }),
    )
    expect(idsOf({ 'a.cedar': all })).toEqual(['a.cedar#0'])
  }
  refused(when(any(320)))
  refused(when(any(5000)))
  refused(`permit (principal, action, resource)${' when { true }'.repeat(320)};`)
  refused(when(`context${'.a'.repeat(400)}`))
  refused(when(`${'('.repeat(400)}true${')'.repeat(400)}`))
})

it('reads the top level alone, and nothing but a set’s files', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
  const put = (name: string, text: string) => writeFileSync(join(folder.path, name), text)
  mkdirSync(join(folder.path, 'tests'))
  mkdirSync(join(folder.path, 'more'))
  put('tests/a.yaml', ': no yaml')
  put('more/b.cedar', 'no policy')
  put('README.md', 'no policy')
  put('a.cedar', all)
  expect([...readPolicyDirectory(folder.path).policies.keys()]).toEqual(['a.cedar#0'])
})

it('needs no schema, and no entities', () => {
  const set = read({ 'a.cedar': 'permit (principal, action == Any::Action::"x", resource) when { principal.y };' })
  expect(set).toMatchObject({ schema: undefined, entities: [] })
  expect(validatePolicySet(set)).toEqual({ errors: [], warnings: [] })
})

it('keeps 64 bits of what entities.json says, and takes actions', () => {
  const entities = `[
    {"uid": {"type": "User", "id": "a"}, "attrs": {"age": 9223372036854775807, "home": "10.0.0.1"}, "parents": [{"type": "Team", "id": "t"}]},
    {"uid": {"__entity": {"type": "Action", "id": "read"}}, "attrs": {}, "parents": [{"type": "Action", "id": "write"}]}
  ]`
  const set = read({ 'schema.cedarschema': schema, 'a.cedar': all, 'entities.json': entities })
  expect(JSON.stringify(set.entities)).toContain('9223372036854775807')
})

const user = (attrs: string, id = 'a') => `{"uid": {"type": "User", "id": "${id}"}, "attrs": ${attrs}, "parents": []}`

describe('refused, with the file and why', () => {
  it.each<[why: string, files: Record<string, string | Uint8Array>, says: RegExp]>([
    ['a schema that is none', { 'schema.cedarschema': 'entity', 'a.cedar': all }, /schema\.cedarschema: .+/],
    [
      'a schema that names what it lacks',
      { 'schema.cedarschema': 'entity A in [B];', 'a.cedar': all },
      /schema\.cedarschema: .*B/,
    ],
    ['a policy that is none', { 'a.cedar': all, 'b.cedar': 'permit all;' }, /b\.cedar: line 1: .+/],
    [
      'a policy that does not validate',
      {
        'schema.cedarschema': schema,
        'a.cedar': `${all}\npermit (principal is User, action, resource) when { principal.admin };`,
      },
      /a\.cedar: policy a\.cedar#1: .*admin/,
    ],
    [
      'a type that the schema lacks',
      { 'schema.cedarschema': schema, 'a.cedar': 'permit (principal is Robot, action, resource);' },
      /a\.cedar: policy a\.cedar#0: .*Robot/,
    ],
    ['a template', { 'a.cedar': 'permit (principal == ?principal, action, resource);' }, /a\.cedar: a template/],
    [
      'a template among policies',
      { 'a.cedar': `${all}\n@id("t") permit (principal in ?principal, action, resource);` },
      /a\.cedar: a template/,
    ],
    ['an id twice in a file', { 'a.cedar': `@id("x") ${all} @id("x") ${all}` }, /a\.cedar: .*id x/],
    ['an id twice', { 'a.cedar': `@id("x") ${all}`, 'b.cedar': `@id("x") ${all}` }, /b\.cedar: .*id x.*a\.cedar/],
    [
      'an id that another has by its place',
      { 'a.cedar': `@id("b.cedar#0") ${all}`, 'b.cedar': all },
      /b\.cedar: .*id b\.cedar#0/,
    ],
    ['a text that is no UTF-8', { 'a.cedar': Uint8Array.of(0xff) }, /a\.cedar: not UTF-8/],
    ['entities that are no JSON', { 'a.cedar': all, 'entities.json': '[' }, /entities\.json: not a JSON array/],
    ['entities that are no list', { 'a.cedar': all, 'entities.json': '{}' }, /entities\.json: not a JSON array/],
    [
      'an obligation that does not parse',
      { 'a.cedar': `@id("p") @limit("all") ${all}` },
      /a\.cedar: p: @limit is a whole number/,
    ],
    [
      'more obligations than there is room for',
      { 'a.cedar': `@notify("${Array.from({ length: 9 }, (_, n) => n).join()}") ${all}` },
      /the set: @notify: more than 8/,
    ],
    [
      'an attribute twice',
      { 'a.cedar': all, 'entities.json': `[${user('{"age": 1, "age": 2}')}]` },
      /entities\.json: .+/,
    ],
    [
      'an entity twice',
      { 'a.cedar': all, 'entities.json': `[${user('{"age": 1}')}, ${user('{"age": 2}')}]` },
      /entities\.json: duplicate/,
    ],
    [
      'an entity of a wrong type',
      { 'schema.cedarschema': schema, 'a.cedar': all, 'entities.json': `[${user('{"age": "1"}')}]` },
      /entities\.json: .*age/,
    ],
    [
      'an entity that lacks an attribute',
      { 'schema.cedarschema': schema, 'a.cedar': all, 'entities.json': `[${user('{}')}]` },
      /entities\.json: .*age/,
    ],
    [
      'an entity with one too many',
      { 'schema.cedarschema': schema, 'a.cedar': all, 'entities.json': `[${user('{"age": 1, "x": 1}')}]` },
      /entities\.json: .*x/,
    ],
    [
      'an integer of 65 bits',
      { 'a.cedar': all, 'entities.json': `[${user('{"age": 9223372036854775808}')}]` },
      /entities\.json: .+/,
    ],
    ['a fraction', { 'a.cedar': all, 'entities.json': `[${user('{"age": 1.0}')}]` }, /entities\.json: .+/],
    [
      'an action that the schema lacks',
      {
        'schema.cedarschema': schema,
        'a.cedar': all,
        'entities.json': '[{"uid": {"type": "Action", "id": "fly"}, "attrs": {}, "parents": []}]',
      },
      /entities\.json: .*fly/,
    ],
    ['no policy', { 'schema.cedarschema': schema }, /no \.cedar file/],
  ])('%s', (_, files, says) => {
    expect(() => read(files)).toThrow(says)
  })

  it('a directory that is not there, and a file in its place', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-plain-'))
    expect(() => readPolicyDirectory(join(folder.path, 'none'))).toThrow(/no policy directory .*none/)
    writeFileSync(join(folder.path, 'file'), all)
    expect(() => readPolicyDirectory(join(folder.path, 'file'))).toThrow(/file cannot be read: ENOTDIR/)
    mkdirSync(join(folder.path, 'a.cedar'))
    expect(() => readPolicyDirectory(folder.path)).toThrow(/a\.cedar cannot be read: EISDIR/)
  })
})

it('says what was found in the order of ids, then of words', () => {
  const found = ['b 1', 'a 2', 'b 0', 'a 1', 'a 3'].map((both) => {
    const [policyId = '', message = ''] = both.split(' ')
    return { policyId, error: { message } }
  })
  const words = findingsOf(found).map(({ policyId, message }) => `${policyId} ${message}`)
  expect(words).toEqual(['a 1', 'a 2', 'a 3', 'b 0', 'b 1'])
})

it('parses a schema before anything looks at it, and says where it is wrong', () => {
  const parse = (text: string) =>
    parsePolicySet(
      new Map(
        Object.entries({ 'a.cedar': all, 'schema.cedarschema': text }).map(([name, text]) => [name, Buffer.from(text)]),
      ),
    )
  expect(() => parse('entity A;\nentity')).toThrow(/schema\.cedarschema: line 2: /)
  expect(() => parse('entity A in [B];')).toThrow(/schema\.cedarschema: .*B/)
  expect(parse('entity A;').schema).toBe('entity A;')
})

it('warns of what validates and can never apply', () => {
  const set = read({
    'schema.cedarschema': schema,
    'a.cedar': `${all}\npermit (principal, action, resource) when { false };`,
  })
  expect(validatePolicySet(set)).toEqual({
    errors: [],
    warnings: [{ policyId: 'a.cedar#1', message: expect.stringContaining('impossible') }],
  })
})

it('has the obligations of a policy beside it, and nothing of one that has none', () => {
  const { policies } = read({ 'a.cedar': `${all}\n@redact("iban") ${all}` })
  expect(policies.get('a.cedar#0')).not.toHaveProperty('obliges')
  expect(policies.get('a.cedar#1')).toMatchObject({ obliges: expect.anything() })
})
