import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { checkPolicies } from './check-policies.ts'

const schema = `entity Team in [Team]; entity U in [Team] { n: Long, boss?: U }; entity R; action all;
action a, b in [all] appliesTo { principal: U, resource: R, context: { x?: Long } };`

function check(files: Record<string, string>, meant = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'policycli-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    return checkPolicies(directory, meant)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
const all = '(principal, action, resource)'
/** The findings for policies p and q, in one file. */
const said = (policies: string, more: Record<string, string> = { 'schema.cedarschema': schema }) =>
  check({ 'a.cedar': policies, ...more }, { permitsNothing: true }).map(
    ({ level, policyId, message }) => `${level} ${policyId}: ${message}`,
  )

it('has nothing to say of the policies that come along', () => {
  expect(checkPolicies(join(import.meta.dirname, '../../../policies'))).toEqual([])
})

it.each([
  ['no policy at all', ''],
  ['forbids alone', `@id("p") forbid ${all};`],
  ['a permit that nothing reaches', `@id("p") permit ${all} when { 1 > 2 };`],
])('refuses a set that permits nothing, unless that is meant: %s (V13)', (_, policies) => {
  const files = { 'a.cedar': policies, 'schema.cedarschema': schema }
  const refused = { level: 'error', file: 'the set', message: expect.stringContaining('--permits-nothing') }
  expect(check(files)).toContainEqual(refused)
  expect(check(files, { permitsNothing: true })).not.toContainEqual(refused)
})

it('names every file that does not parse', () => {
  const found = check({
    'a.cedar': 'permit',
    'b.cedar': `permit ${all};`,
    'c.cedar': 'forbid (',
    'schema.cedarschema': schema,
  })
  expect(found.map(({ level, file }) => [level, file])).toEqual([
    ['error', 'a.cedar'],
    ['error', 'c.cedar'],
  ])
  expect(check({ 'a.cedar': '', 'schema.cedarschema': 'entity' })).toMatchObject([{ file: 'schema.cedarschema' }])
})

it('finds an id that two files have', () => {
  const found = check({ 'a.cedar': `@id("x") permit ${all};`, 'b.cedar': `@id("x") forbid ${all};` })
  expect(found).toMatchObject([{ level: 'error', file: 'b.cedar', message: expect.stringContaining('a.cedar') }])
})

it('finds what the schema does not validate, and says when there is none', () => {
  expect(said(`@id("p") permit ${all} when { principal.zz };`)).toEqual([expect.stringMatching(/^error p: .*zz/)])
  expect(said(`@id("p") permit ${all};`, {})).toEqual([expect.stringMatching(/^warning undefined: there is none/)])
})

it('finds one mistake once, for any number of actions', () => {
  const found = said(`@id("p") permit ${all} when { context.z == 1 && context.z == 2 };`)
  expect(found).toEqual(['error p: attribute `z` in context for 2 actions (Action::"a", Action::"b") not found'])
  expect(said('@id("p") permit (principal, action == Action::"a", resource) when { context.z == 1 };')).toEqual([
    'error p: attribute `z` in context for Action::"a" not found',
  ])
})

it('goes on where conditions are too deep for what it asks of them', () => {
  const any = (of: string, terms: number) => Array(terms).fill(of).join(' || ')
  const rest = '@id("q") permit (principal is U, action, resource) when { false && true };'
  const found = ['warning q: unreachable: the policy expression evaluates to false for all valid requests']
  const slower = 'warning p: not compiled, so decisions take longer: nested more than 200 deep'
  for (const terms of [57, 58, 100, 290]) {
    const expected = terms > 200 ? [...found, slower] : found
    expect(
      said(`@id("p") permit (principal is U, action, resource) when { ${any('context has x', terms)} };${rest}`),
    ).toEqual(expected)
    expect(
      said(`@id("p") permit (principal is U, action, resource) when { ${any('principal.n == 1', terms)} };${rest}`),
    ).toEqual(expected)
  }
})

it.each([
  ['overflows', 'when { 9223372036854775807 + 1 > 0 }'],
  ['overflows, behind what is always true', 'when { 1 < 2 && 9223372036854775807 + 1 > 0 }'],
  ['overflows, in its second condition', 'when { true } when { -9223372036854775808 - 1 < 0 }'],
  ['looks at an entity that is not there', 'when { U::"ghost".n > 0 }'],
])('finds a policy that always errors (V13): it %s', (_, conditions) => {
  expect(said(`@id("p") forbid (principal is U, action, resource) ${conditions};`)).toEqual([
    'error p: always errors, and so denies every request that it applies to',
  ])
})

it.each([
  'when { context has x && 9223372036854775807 + 1 > context.x }',
  'when { 9223372036854775806 + 1 > 0 }',
  'when { principal.n + 1 > 0 }',
  'when { U::"anna".n > 0 }',
  'when { U::"anna" has boss && U::"anna".boss.n > 0 }',
])('a policy that errors sometimes or never does not always: %s', (conditions) => {
  const entities = JSON.stringify(
    ['anna', 'boss'].map((id) => ({
      uid: { type: 'U', id },
      attrs: { n: 1, boss: { type: 'U', id: 'boss' } },
      parents: [],
    })),
  )
  const files = { 'schema.cedarschema': schema, 'entities.json': entities }
  expect(said(`@id("p") forbid ${all} ${conditions};`, files)).toEqual([])
})

it.each([
  ['with a schema', { 'schema.cedarschema': schema }],
  ['without', {}],
])('finds a policy that never applies, %s', (_, files) => {
  expect(said(`@id("p") permit ${all} when { 1 > 2 };`, files)).toContainEqual(
    expect.stringMatching(/^warning p: unreachable: /),
  )
})

it.each<[shadowed: string, by: string]>([
  [`permit ${all} when { principal.n > 1 }`, `permit ${all}`],
  [`permit ${all}`, `forbid ${all}`],
  [
    'permit (principal == U::"a", action == Action::"a", resource)',
    'permit (principal in U::"a", action in [Action::"a", Action::"b"], resource)',
  ],
  [
    'forbid (principal is U, action, resource) when { principal.n > 1 } when { principal.n < 9 }',
    `forbid ${all} when { principal.n < 9 }`,
  ],
  [`@step_up("") forbid ${all}`, `forbid ${all}`],
])('finds a policy that another leaves nothing to say: %s, by %s', (shadowed, by) => {
  const found = said(`@id("p") ${shadowed};\n@id("q") ${by};`)
  expect(found).toEqual([expect.stringMatching(/^warning p: shadowed by q \(a\.cedar\)/)])
})

/** u is in t, which is in top. */
const teams = JSON.stringify([
  { uid: { type: 'U', id: 'u' }, attrs: { n: 1 }, parents: [{ type: 'Team', id: 't' }] },
  { uid: { type: 'Team', id: 't' }, attrs: {}, parents: [{ type: 'Team', id: 'top' }] },
])

const withSchema = { 'schema.cedarschema': schema, 'entities.json': teams }
const stored = { 'entities.json': teams }
const shadows = (scope: string, beside: string, files: Record<string, string>) =>
  said(`@id("p") permit (${scope}, resource);\n@id("q") permit (${beside}, resource);`, files).filter((line) =>
    line.startsWith('warning p: shadowed by q (a.cedar)'),
  )

it.each<[shadowed: string, by: string, files: Record<string, string>]>([
  ['principal == U::"u", action', 'principal is U, action', withSchema],
  ['principal == U::"u", action', 'principal in Team::"top", action', stored],
  ['principal == U::"u", action', 'principal is U in Team::"t", action', stored],
  ['principal is U in Team::"t", action', 'principal is U in Team::"top", action', stored],
  ['principal is U in Team::"t", action', 'principal in Team::"top", action', stored],
  ['principal, action == Action::"a"', 'principal, action in Action::"all"', withSchema],
  ['principal, action in [Action::"a", Action::"b"]', 'principal, action in [Action::"all"]', withSchema],
])('finds a policy whose scope lies within that of another, by type and group: %s, within %s', (scope, by, files) => {
  expect(shadows(scope, by, files)).toHaveLength(1)
})

it.each<[scope: string, beside: string]>([
  ['principal == U::"other", action', 'principal in Team::"top", action'],
  ['principal == U::"other", action', 'principal is U in Team::"t", action'],
  ['principal == Team::"t", action', 'principal is U, action'],
  ['principal in Team::"t", action', 'principal is U in Team::"top", action'],
  ['principal is U, action', 'principal is U in Team::"top", action'],
  ['principal is U in Team::"top", action', 'principal is U in Team::"t", action'],
  ['principal, action in Action::"all"', 'principal, action in [Action::"a", Action::"b"]'],
])('a scope that only overlaps another is not within it: %s, beside %s', (scope, beside) => {
  for (const files of [withSchema, stored]) expect(shadows(scope, beside, files)).toEqual([])
})

it('believes no group of stored entities where decisions over tasks may be asked, which have none', () => {
  expect(shadows('principal == U::"u", action', 'principal in Team::"top", action', withSchema)).toEqual([])
})

it('of two that say the same, the second is the one too many', () => {
  expect(said(`@id("p") permit ${all};\n@id("q") permit ${all};`)).toEqual([
    expect.stringMatching(/^warning q: shadowed by p/),
  ])
})

it.each<[policy: string, beside: string]>([
  [`forbid ${all} when { principal.n > 1 }`, `permit ${all}`],
  [`forbid ${all}`, `@step_up("") forbid ${all} when { principal.n > 2 }`],
  ['permit (principal in Team::"t", action, resource)', 'permit (principal == U::"a", action, resource)'],
  [`permit ${all} when { principal.n > 1 }`, `permit ${all} when { principal.n > 2 }`],
  [`permit ${all}`, `@step_up("") forbid ${all}`],
])('leaves alone what has something to say: %s, beside %s', (policy, beside) => {
  expect(said(`@id("p") ${policy};\n@id("q") ${beside};`).filter((line) => line.startsWith('warning p'))).toEqual([])
})

it('does not say that nothing changes without what may err, and so deny', () => {
  const ofSecond = (conditions: string) => said(`@id("p") permit ${all};\n@id("q") permit ${all}${conditions};`)[0]
  expect(ofSecond('')).toMatch(/: nothing changes without it$/)
  expect(ofSecond(' when { principal.n + 1 > 0 }')).toMatch(/: nothing changes without it, unless it errs$/)
})

it('refuses a step-up that is no forbid', () => {
  expect(said(`@id("p") @step_up("") permit ${all};`)).toEqual([expect.stringMatching(/^error p: @step_up/)])
})

it('names what is not compiled: a policy, and stored entities', () => {
  const deep = Array.from({ length: 210 }, (_, n) => `principal.n == ${n}`).join(' || ')
  const entities = JSON.stringify([{ uid: { type: 'U', id: 'u' }, attrs: { n: 1 }, parents: [], more: 1 }])
  const files = { 'schema.cedarschema': schema, 'entities.json': entities }
  expect(said(`@id("p") permit ${all} when { ${deep} };`, files)).toEqual([
    'warning p: not compiled, so decisions take longer: nested more than 200 deep',
    'warning undefined: not compiled, so decisions take longer: an entity that Cedar may read in another way, or that stands there twice',
  ])
})
