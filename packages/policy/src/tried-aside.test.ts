import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readPolicyFiles } from '@bailiwick/installation'
import { expect, it } from 'vitest'
import { tryAside } from './tried-aside.ts'

const folder = join(import.meta.dirname, '../../../policies')
const files = readPolicyFiles(folder)
const withFile = (name: string, text: string) => new Map([...files, [name, Buffer.from(text)]])
const about = {
  agent: { id: 'spiffe://d/agent/a', instance: 'spiffe://d/agent/a/i1', owner: 'o', labels: [] },
  action: 'tools/call',
  resource: { type: 'tool', id: 't/x', labels: ['reads_private'], server: 't' },
}

it('checks a set and runs its tests, as the command does, away from this thread', async () => {
  const tests = { 'tests/starter.yaml': readFileSync(join(folder, 'tests/starter.yaml'), 'utf8') }
  const good = await tryAside({ do: 'check', files, permitsNothing: false, tests })
  expect(good.loads).toBe(true)
  expect(good.findings.filter(({ level }) => level === 'error')).toEqual([])
  expect(good.tests?.length).toBeGreaterThan(5)
  expect(good.tests?.filter(({ failure }) => failure)).toEqual([])
  const broken = await tryAside({
    do: 'check',
    files: withFile('b.cedar', 'permit (principal, action, resource) when { principal.absent };'),
    permitsNothing: false,
    tests,
  })
  expect(broken).toMatchObject({ loads: false, findings: [{ level: 'error', file: 'b.cedar' }] })
  const odd = await tryAside({ do: 'check', files, permitsNothing: false, tests: { 'tests/a.yaml': '- {}' } })
  expect(odd).toMatchObject({ loads: true, tests: [], testsProblem: expect.stringContaining('tests/a.yaml') })
})

it('explains a question that it made itself, and what would change the answer', async () => {
  const { request } = await tryAside({ do: 'question', files, about })
  const said = await tryAside({ do: 'explain', files, request })
  expect(said).toMatchObject({
    outcome: 'allow',
    policies: ['granted'],
    files: { granted: expect.stringMatching(/\.cedar$/) },
  })
  expect(said.wouldChange.length).toBeGreaterThan(0)
  await expect(tryAside({ do: 'explain', files, request: '{' })).rejects.toMatchObject({ code: 'config_invalid' })
})

it('gives up on a set that takes too long, or too much memory (V18)', async () => {
  const many = Array.from(
    { length: 3000 },
    (_, n) => `@id("p${n}") forbid (principal, action, resource) when { context.grant.task == "${n}" };`,
  )
  const slow = withFile('slow.cedar', many.join('\n'))
  await expect(
    tryAside({ do: 'check', files: slow, permitsNothing: false, tests: {} }, { longestMs: 300, mostMegabytes: 256 }),
  ).rejects.toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('not done within') })
  const deep = withFile(
    'deep.cedar',
    `permit (principal, action, resource) when { ${'!('.repeat(20_000)}true${')'.repeat(20_000)} };`,
  )
  const said = await tryAside({ do: 'check', files: deep, permitsNothing: false, tests: {} }).catch((error) => error)
  expect(said.loads ?? said.code).toSatisfy((each) => each === false || each === 'config_invalid')
}, 60_000)

it('refuses a few lines of types that are gigabytes written out, and goes on (V18)', async () => {
  const types = Array.from({ length: 24 }, (_, n) => `type T${n} = {a: T${n + 1}, b: T${n + 1}};`)
  const schema = `${types.join('\n')}
type T24 = {a: Long};
entity User {a: T0}; entity File;
action read appliesTo {principal: User, resource: File, context: T0};`
  const bomb = new Map([
    ['a.cedar', Buffer.from('permit (principal, action, resource) when { principal.a + 1 > 0 };')],
    ['schema.cedarschema', Buffer.from(schema)],
  ])
  const said = await tryAside({ do: 'check', files: bomb, permitsNothing: false, tests: {} })
  expect(said).toMatchObject({
    loads: false,
    findings: [{ file: 'schema.cedarschema', message: expect.stringContaining('too large') }],
  })
  for (const task of [
    { do: 'question', files: bomb, about },
    { do: 'explain', files: bomb, request: '{}' },
  ] as const)
    await expect(tryAside(task)).rejects.toMatchObject({ code: 'config_invalid' })
}, 60_000)

it('cuts what Cedar says of large types, and the question that it drafts', async () => {
  const members = Array.from({ length: 400 }, (_, n) => `${'m'.repeat(200)}${n}: Long`).join(', ')
  const schema = `entity User = {${members}}; entity tool;
action "tools/call" appliesTo {principal: User, resource: tool, context: {${members}}};`
  const large = new Map([
    ['a.cedar', Buffer.from('permit (principal, action, resource) when { principal + 1 > 0 && context + 1 > 0 };')],
    ['schema.cedarschema', Buffer.from(schema)],
  ])
  const { findings } = await tryAside({ do: 'check', files: large, permitsNothing: false, tests: {} })
  expect(findings.map(({ message }) => message.length)).toEqual(expect.arrayContaining([2000]))
  expect(Math.max(...findings.map(({ message }) => message.length))).toBe(2000)
  const loads = new Map([...large, ['a.cedar', Buffer.from('permit (principal, action, resource);')]])
  await expect(tryAside({ do: 'question', files: loads, about })).rejects.toMatchObject({
    detail: expect.stringContaining('too large for a question'),
  })
}, 60_000)
