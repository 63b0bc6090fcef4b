import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { runCorpus } from './cedar-corpus.ts'

const uid = (type: string, id: string) => ({ type, id })
const asked = {
  principal: uid('User', 'ann'),
  action: uid('Action', 'read'),
  resource: uid('Doc', 'd'),
  context: { n: 1 },
}
const files = {
  'data/schema.cedarschema':
    'entity User; entity Doc { owner: User }; action read appliesTo { principal: [User], resource: [Doc], context: { n: Long } };',
  'data/entities.json': JSON.stringify([{ uid: uid('Doc', 'd'), attrs: { owner: uid('User', 'ann') }, parents: [] }]),
  'tests/p.cedar':
    '@id("named") permit (principal, action, resource) when { resource.owner == principal };\nforbid (principal, action, resource) when { context.n + 9223372036854775807 > 0 };',
}
const test = {
  policies: 'tests/p.cedar',
  entities: 'data/entities.json',
  schema: 'data/schema.cedarschema',
  shouldValidate: true,
}

function run(requests: readonly object[], more: object = {}) {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'bailiwick-corpus-'))
  for (const [name, text] of Object.entries({
    ...files,
    'tests/1.json': JSON.stringify({ ...test, requests, ...more }),
  })) {
    mkdirSync(dirname(join(folder.path, name)), { recursive: true })
    writeFileSync(join(folder.path, name), text)
  }
  return runCorpus(folder.path)
}

const allowed = { decision: 'allow', reason: ['policy0'] }

it('compares the expected decision, reasons and errors with both engines', () => {
  expect(run([{ ...asked, ...allowed, errors: ['policy1'] }])).toEqual({
    ...{ tests: 1, requests: 1, compiled: 1, left: {}, notRun: [], differences: [] },
  })
})

it.each([
  ['decision', { decision: 'deny', reason: ['policy0'], errors: ['policy1'] }],
  ['reason', { decision: 'allow', reason: ['named'], errors: ['policy1'] }],
  ['error', { ...allowed, errors: [] }],
])('tells of another %s', (_, expected) => {
  expect(run([{ ...asked, ...expected }]).differences).toEqual([
    expect.stringContaining('Cedar {"decision":"allow"'),
    expect.stringContaining('compiled {"decision":"allow"'),
  ])
})

it('counts what is left to Cedar, by the reason', () => {
  const refused = { ...asked, context: {}, decision: 'deny', reason: [], errors: [] }
  expect(run([refused])).toMatchObject({ requests: 1, compiled: 0, left: { request: 1 }, differences: [] })
})

it('reads tests of older versions', () => {
  const old = { ...asked, decision: 'Allow', reasons: ['policy0'], errors: ['policy1'] }
  expect(run([], { requests: undefined, queries: [old] })).toMatchObject({ compiled: 1, notRun: [] })
})

it('names what it does not run', () => {
  const { notRun } = run([{ ...asked, ...allowed, errors: [], principal: null }])
  expect(notRun).toEqual([expect.stringContaining('without a principal')])
  expect(run([{ ...asked, ...allowed, errors: [] }], { policyFormat: 'json' }).notRun).toEqual([
    expect.stringContaining('in JSON'),
  ])
  expect(run([{ decision: 'perhaps' }]).notRun).toHaveLength(1)
  const broken = run([{ ...asked, ...allowed, errors: [] }], { policies: 'data/schema.cedarschema' })
  expect(broken.notRun).toEqual([expect.stringContaining('1 requests: policies: p.cedar')])
})
