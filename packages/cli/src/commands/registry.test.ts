import { writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { bailiwick, type Folder, temporaryFolder } from '../io.fixture.ts'
import { type Answering, operatorAt } from '../operator.fixture.ts'

const rule = {
  id: 'tasks',
  order: 100,
  match: {},
  approvers: { group: 'owners', quorum: 1 },
  owner_may_approve: false,
  modes: ['window'],
  max_window_seconds: 3600,
  narrowing: true,
}
const wanted = { ...rule, order: 5 }
const entity = (value: object) => ({ type: 'rule', id: 'tasks', version: 1, hash: 'x', value })
const approve_at = 'http://localhost:8420/console'

function file(folder: Folder, text = JSON.stringify({ rules: [wanted] })): string {
  writeFileSync(folder.at('registry.yaml'), text)
  return folder.at('registry.yaml')
}

/** An operator whose proposal is answered after a while: `states` are its successive states. */
function answering(states: string[], registry: object[] = [entity(rule)], writtenAfter = 0): Answering {
  let looksUntilWritten = writtenAfter
  return ({ method, path }) => {
    if (method === 'POST') return { body: { request_id: 'req_1', diff: [], approve_at } }
    if (path === '/operator/registry') return { body: { enrolled: true, entities: registry } }
    const state = states.length > 1 ? states.shift() : states[0]
    if (state === 'approved' && looksUntilWritten-- === 0) registry.splice(0, 1, entity(wanted))
    const times = { received_at: null, expires_at: null }
    return { body: { id: 'req_1', state, kind: 'registry', from: 'operator', ...times, endorsements: 0 } }
  }
}

it('shows the difference, proposes exactly that, and says where it is approved', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering(['pending']))
  const { code, out } = await bailiwick([
    'registry',
    'apply',
    file(folder),
    '--data',
    folder.path,
    '--proposer',
    'olga',
  ])
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    '~ rule tasks',
    '    order: 100 becomes 5',
    'After this, one person of "owners" can approve all requests; tried at place 5 (before: 100), so that other rules may hold.',
    `Proposed as req_1. It holds once it is approved with a passkey at ${approve_at}`,
    'It takes the passkeys of 2 of these: NO APPROVERS. Each change takes two people; the proposer counts only by signing it, since a name proves nothing. TOO FEW: bring in a second approver first.',
  ])
  expect(operator.calls.at(-1)).toEqual({
    method: 'POST',
    path: '/operator/registry/changes',
    body: { proposer: 'olga', entities: [{ type: 'rule', id: 'tasks', value: wanted }] },
  })
})

it('says who must approve, and loudly how else the registry can be changed', async () => {
  using folder = temporaryFolder()
  const person = (id: string, groups: string[]) => ({ type: 'approver', id, version: 1, value: { id, groups } })
  const governing = { ...entity({ ...rule, approvers: { group: 'owners', quorum: 2 } }), id: 'registry' }
  const people = [person('olga', ['owners']), person('paul', ['owners']), person('vera', [])]
  const recoveries = [{ id: 'rcv-1', approver_id: 'eve', name: 'Eve', usable_from: '2026-11-26T18:00:00.000Z' }]
  const entities = [entity(rule), governing, ...people]
  await using _ = await operatorAt(folder.path, ({ method }) =>
    method === 'POST'
      ? { body: { request_id: 'req_1', diff: [], approve_at } }
      : { body: { enrolled: true, single_operator: true, recoveries, entities } },
  )
  const { out, err } = await bailiwick(['registry', 'apply', file(folder), '--data', folder.path])
  expect(out).toContain('It takes the passkeys of 2 of these: olga, paul (group owners). SINGLE OPERATOR')
  expect(err).toMatch(/SINGLE OPERATOR: .*\nRECOVERY PENDING: rcv-1 makes Eve \(eve\) an approver/)
  for (const asked of [['list'], ['get', 'approver'], ['get', 'approver', 'olga'], ['groups']]) {
    const said = await bailiwick(['registry', ...asked, '--json', '--data', folder.path])
    expect([asked, said.err]).toEqual([asked, expect.stringMatching(/SINGLE OPERATOR: .*\nRECOVERY PENDING: rcv-1/)])
    JSON.parse(said.out)
  }
  const all = await bailiwick(['registry', 'get', 'approver', '--json', '--data', folder.path])
  expect(JSON.parse(all.out).map(({ id }: { id: string }) => id)).toEqual(['olga', 'paul', 'vera'])
})

it('retires what the file says is to be retired', async () => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering(['pending']))
  const path = file(folder, 'retire: [{ type: rule, id: tasks }]')
  await bailiwick(['registry', 'apply', path, '--data', folder.path])
  expect(operator.calls.at(-1)?.body).toMatchObject({ entities: [{ type: 'rule', id: 'tasks', value: null }] })
})

it.each([
  ['nothing differs', JSON.stringify({ rules: [rule] }), [], 0, 'The registry is already as the file says.'],
  ['it is a dry run', JSON.stringify({ rules: [wanted] }), ['--dry-run'], 0, 'Nothing was proposed (--dry-run).'],
])('proposes nothing when %s', async (_, text, more, expected, message) => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering(['pending']))
  const { code, out } = await bailiwick(['registry', 'apply', file(folder, text), '--data', folder.path, ...more])
  expect(code).toBe(expected)
  expect(out).toContain(message)
  expect(operator.calls.every(({ method }) => method === 'GET')).toBe(true)
})

it.each([
  ['a file that names nothing', '', 'names no entity'],
  ['what is not there to be retired', 'retire: [{ type: rule, id: other }]', 'retire: there is no rule other'],
  ['a file with a mistake', 'rules: 5', 'registry.yaml:1: rules: '],
])('proposes nothing of %s', async (_, text, message) => {
  using folder = temporaryFolder()
  await using operator = await operatorAt(folder.path, answering(['pending']))
  const { code, err } = await bailiwick(['registry', 'apply', file(folder, text), '--data', folder.path])
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(operator.calls.every(({ method }) => method === 'GET')).toBe(true)
})

it('waits until it is approved and the registry is so', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, answering(['pending', 'approved']))
  const argv = ['registry', 'apply', file(folder), '--data', folder.path, '--wait', '--json']
  const { code, out } = await bailiwick(argv)
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ request_id: 'req_1', approve_at, applied: true, diff: [{ verb: 'change' }] })
})

it('waits for the registry itself, not for the approval alone', async () => {
  using folder = temporaryFolder()
  const registry = [entity(rule)]
  await using _ = await operatorAt(folder.path, answering(['approved'], registry, 2))
  const { code } = await bailiwick(['registry', 'apply', file(folder), '--data', folder.path, '--wait'])
  expect(code).toBe(0)
  expect(registry).toEqual([entity(wanted)])
})

it.each(['denied', 'expired', 'cancelled'])('waits no longer once it is %s, and ends with 1', async (state) => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, answering([state]))
  const { code, out } = await bailiwick(['registry', 'apply', file(folder), '--data', folder.path, '--wait'])
  expect(code).toBe(1)
  expect(out).toContain('Not applied')
})

it('lists what is registered, by type and name, without what is retired', async () => {
  using folder = temporaryFolder()
  const entities = [
    entity(rule),
    { ...entity(rule), id: 'a' },
    { type: 'agent', id: 'z', version: 2, value: { id: 'z' } },
  ]
  await using _ = await operatorAt(folder.path, () => ({ body: { enrolled: true, entities } }))
  const all = await bailiwick(['registry', 'list', '--data', folder.path])
  expect(all.out.split('\n').map((line) => line.split(/\s+/))).toEqual([
    ['agent', 'v2', 'z'],
    ['rule', 'v1', 'a'],
    ['rule', 'v1', 'tasks'],
  ])
  const agents = await bailiwick(['registry', 'list', 'agent', '--json', '--data', folder.path])
  expect(JSON.parse(agents.out)).toEqual([{ type: 'agent', id: 'z', version: 2, value: { id: 'z' } }])
})

it('gets one entity, and says with 1 that it is not there', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, answering([]))
  const found = await bailiwick(['registry', 'get', 'rule', 'tasks', '--data', folder.path])
  expect(JSON.parse(found.out)).toEqual(rule)
  const missing = await bailiwick(['registry', 'get', 'rule', 'other', '--data', folder.path])
  expect(missing).toEqual({ code: 1, out: '', err: 'there is no rule other' })
})

const approver = (id: string, ...groups: string[]) => ({
  ...{ type: 'approver', id, version: 1, hash: 'x' },
  value: { id, name: id, groups, credentials: [] },
})

it('proposes a group as the people who come and go, and says which rules it leaves with too few', async () => {
  using folder = temporaryFolder()
  const pair = { ...rule, approvers: { group: 'finance', quorum: 2 } }
  const registry = [entity(pair), approver('olga', 'finance'), approver('paul', 'finance'), approver('vera')]
  await using operator = await operatorAt(folder.path, answering(['pending'], registry))
  const path = file(folder, 'groups: [{ id: finance, members: [vera] }]')
  const { out, err } = await bailiwick(['registry', 'apply', path, '--data', folder.path])
  expect(out.split('\n').slice(0, 6)).toEqual([
    '~ approver olga',
    '    groups[0]: "finance" is removed',
    '~ approver paul',
    '    groups[0]: "finance" is removed',
    '~ approver vera',
    '    groups[0]: "finance"',
  ])
  expect(err).toBe(
    'TOO FEW PEOPLE: rule tasks takes 2 of group finance, which has vera: nothing can be approved under it.',
  )
  expect(operator.calls.at(-1)?.body).toMatchObject({ entities: [{ id: 'olga' }, { id: 'paul' }, { id: 'vera' }] })
})

it('says before the proposal that the changed rule names an empty group', async () => {
  using folder = temporaryFolder()
  const registry = [entity(rule), approver('olga', 'owners')]
  await using operator = await operatorAt(folder.path, answering(['pending'], registry))
  const emptied = { ...rule, approvers: { group: 'finanse', quorum: 1 } }
  const path = file(folder, JSON.stringify({ rules: [emptied] }))
  const { err } = await bailiwick(['registry', 'apply', path, '--dry-run', '--data', folder.path])
  expect(err).toBe(
    'TOO FEW PEOPLE: rule tasks takes 1 of group finanse, which has no members: nothing can be approved under it.',
  )
  expect(operator.calls.every(({ method }) => method === 'GET')).toBe(true)
})

it('shows the groups with their people and the rules that ask them', async () => {
  using folder = temporaryFolder()
  const registry = [entity(rule), approver('olga', 'finance', 'owners'), approver('paul', 'finance')]
  await using _ = await operatorAt(folder.path, answering([], registry))
  const shown = await bailiwick(['registry', 'groups', '--data', folder.path])
  expect(shown).toEqual({ code: 0, out: 'finance: olga, paul\nowners: olga\n    rule tasks takes 1', err: '' })
  const { out } = await bailiwick(['registry', 'groups', '--json', '--data', folder.path])
  expect(JSON.parse(out)).toEqual([
    { id: 'finance', members: ['olga', 'paul'], rules: [] },
    { id: 'owners', members: ['olga'], rules: [{ id: 'tasks', quorum: 1 }] },
  ])
})
