import { rmSync } from 'node:fs'
import { generateKey, jcsHash, signOutcome } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { put, writeLog } from '../log.fixture.ts'

const day = '2026-11-24'
const at = (time: string) => `${day}T${time}.000Z`

/** A leaf, with the members that a report reads. */
const leaf = (type: string, time: string, data: object) => ({ id: `evt_${type}_${time}`, type, time: at(time), data })
const received = (id: string, time: string) => leaf('request.received', time, { request_id: id })
const approved = (id: string, time: string) => leaf('request.approved', time, { request_id: id })
const granted = (id: string, time: string, until = at('20:00:00')) =>
  leaf('grant.created', time, { grant: { id, not_before: at(time), not_after: until } })
const credential = (id: string, time: string, until: string) =>
  leaf('credential.intended', time, {
    credential_id: id,
    grant_id: 'grt_1',
    issued_at: at(time),
    expires_at: at(until),
  })
const allowed = (id: string, time: string, due = '19:59:00') =>
  leaf('decision.allowed', time, { decision_id: id, outcome_due: at(due), actor: { grant_id: 'grt_1' } })
const denied = (reason: string, time: string) => leaf('decision.denied', time, { decision_id: 'dec_d', reason })
const outcome = (id: string, time: string) => leaf('outcome.reported', time, { decision_id: id, grant_id: 'grt_1' })
const revoked = (time: string, cause = 'req_1') =>
  leaf('revocation.declared', time, { revocation_id: 'rev_1', kind: 'grant', target: 'grt_1', cause })

const quiet = [
  received('req_0', '17:00:00'),
  approved('req_0', '17:59:00'), // before the period
  received('req_1', '17:59:50'),
  approved('req_1', '18:00:20'),
  received('req_2', '18:01:00'),
  approved('req_2', '18:01:10'),
  leaf('request.denied', '18:02:00', { request_id: 'req_3' }),
  granted('grt_1', '18:00:21'),
  credential('crd_1', '18:01:00', '18:06:00'),
  credential('crd_2', '18:02:00', '18:03:00'),
  allowed('dec_1', '18:03:00'),
  outcome('dec_1', '18:03:01'),
  denied('budget_exhausted', '18:04:00'),
  denied('budget_exhausted', '18:04:01'),
  leaf('denials.summarised', '18:05:00', { denials: [{ subject: 'x', reason: 'grant_revoked', count: 40 }] }),
  revoked('18:30:00'), // topics enter the log side by side: the click that led to it comes later
  leaf('request.withdrawn', '18:29:59', { request_id: 'req_1' }),
  denied('credential_missing', '20:30:00'), // after the period
]

async function report(events: readonly object[], ...more: string[]) {
  using folder = temporaryFolder()
  installation(folder)
  const entry = (index: number) => Buffer.from(JSON.stringify(events[index]))
  writeLog(folder.at('evidence', 'log'), [events.length], { entry })
  return await bailiwick(['report', '--data', folder.path, '--from', at('18:00:00'), '--to', at('20:00:00'), ...more])
}

type Machine = {
  measures: { name: string; value: string; note?: string; ok?: boolean }[]
  denials: Record<string, number>
  size: number
}
const numbers = ({ measures }: Machine) => Object.fromEntries(measures.map(({ name, value }) => [name, value]))

it('counts from the log what a report says, and nothing outside its period', async () => {
  const { code, out } = await report(quiet, '--json')
  const told = JSON.parse(out) as Machine
  expect(numbers(told)).toEqual({
    Approvals: '2',
    'Median time to approve': '10 s',
    'Denials by reason': '42',
    'Standing access': '0',
    'Longest credential life': '5 min',
    'Longest grant': '120 min',
    'Revocation, from click to declared': '1 s',
    'Last ALLOW after a revocation': '0 ms',
    'Effects not observed': '0',
    'Unreconciled outcomes': '0',
    'Policy files changed on disk': '0',
    Gaps: '0',
    'Refused or unreadable events': '0',
  })
  expect(told.denials).toEqual({ grant_revoked: 40, budget_exhausted: 2 })
  expect(told.size).toBe(quiet.length)
  expect(code).toBe(0)
})

it.each([
  [
    'no ALLOW, because no caller got it',
    [],
    ['0 ms', '1 decisions allowed, 1 allowed and taken back before anybody was answered'],
  ],
  ['an ALLOW once it has an outcome all the same', [outcome('dec_9', '18:30:07')], ['5,000 ms', '2 decisions allowed']],
  [
    'one that was taken back, even if the log says so twice',
    [leaf('decision.abandoned', '18:30:07', { decision_id: 'dec_9' })],
    ['0 ms', '1 decisions allowed, 1 allowed and taken back before anybody was answered'],
  ],
])('takes one that was taken back for %s', async (_, more, [value, note]) => {
  const late = [
    allowed('dec_9', '18:30:05', '19:00:00'),
    leaf('decision.abandoned', '18:30:06', { decision_id: 'dec_9' }),
  ]
  const { out } = await report([...quiet, ...late, ...more], '--json')
  const told = JSON.parse(out) as Machine
  expect(numbers(told)).toMatchObject({ 'Last ALLOW after a revocation': value, 'Denials by reason': '42' })
  expect(told.measures.find(({ name }) => name === 'Denials by reason')?.note).toBe(note)
})

/** An ALLOW that reserves money, by an agent in the task of `grt_1`. */
const reserving = (id: string, amount: string, agent: string, resource = 'acme/small', time = '18:10:00') =>
  leaf('decision.allowed', time, {
    ...{ decision_id: id, outcome_due: at('19:59:00') },
    actor: { grant_id: 'grt_1', task: 'answer-tickets', agent: 'agent/holder', sub_agent: agent },
    action: { resource: { type: 'model', id: resource } },
    reserved: { calls: 1, cost: { USD: amount }, egress_bytes: 0 },
  })
const settled = (id: string, released: object, time = '18:10:01') =>
  leaf('outcome.reported', time, { decision_id: id, grant_id: 'grt_1', released })
const back = (amount: string, calls = 0) => ({ calls, cost: { USD: amount }, egress_bytes: 0 })
const withoutMoney = { calls: 0, cost: {}, egress_bytes: 0 }

const spending = [
  leaf('approver.registered', '17:00:00', {
    entity: { id: 'olivia' },
    value: { credentials: [{ credential_id: 'passkey' }] },
  }),
  leaf('grant.created', '17:30:00', {
    grant: {
      ...{ id: 'grt_1', not_before: at('17:30:00'), not_after: at('20:00:00') },
      assertions: [{ credential_id: 'passkey' }, { credential_id: 'passkey' }],
    },
  }),
  reserving('dec_0', '9', 'agent/a', 'acme/small', '17:59:00'), // before the period
  settled('dec_0', back('5'), '18:00:00'),
  reserving('dec_1', '0.5', 'agent/a'),
  settled('dec_1', back('0.3')),
  reserving('dec_2', '0.5', 'agent/a'),
  settled('dec_2', withoutMoney), // whose usage never came
  reserving('dec_3', '0.5', 'agent/a'),
  settled('dec_3', back('0.5', 1)), // never sent
  reserving('dec_4', '0.25', 'agent/b', 'acme/\u001b[2Jlarge'),
  reserving('dec_5', '0.125', 'agent/c'),
  leaf('decision.abandoned', '18:10:02', { decision_id: 'dec_5' }),
  reserving('dec_6', '0.0625', 'agent/c'),
  leaf('decision.abandoned', '18:10:02', { decision_id: 'dec_6' }),
  settled('dec_6', back('0.0005'), '18:10:03'), // it was answered all the same
  reserving('dec_7', '0.1', 'agent/d'),
  leaf('outcome.missing', '18:20:00', { decision_id: 'dec_7' }),
  allowed('dec_8', '18:10:00'), // costs nothing
  settled('dec_4', back('0.25'), '20:00:01'), // after the period
]

it('says who spent how much, on what, and with whose approval (V9)', async () => {
  const { out } = await report(spending, '--json')
  const of = (agent: string, calls: number, amount: string, resource = 'acme/small') => ({
    ...{ agent: `agent/${agent}`, task: 'answer-tickets', grant: 'grt_1', approvers: ['olivia'] },
    ...{ resource, calls, cost: { USD: amount } },
  })
  expect(JSON.parse(out).spent).toEqual([
    of('a', 2, '0.7'),
    of('b', 1, '0.25', 'acme/\u001b[2Jlarge'),
    of('d', 1, '0.1'),
    of('c', 1, '0.062'),
  ])
  const { out: lines } = await report(spending)
  expect(lines).toContain('0.7 USD  2 calls on acme/small')
  expect(lines).toContain('by agent/a, for answer-tickets, approved by olivia')
  expect(lines).not.toContain('\u001b')
  const { out: page } = await report(spending, '--html')
  expect(page).toContain('<td>0.7 USD</td><td>2</td><td>acme/small</td>')
  expect(page).not.toContain('\u001b')
  expect((await report(quiet, '--html')).out).toContain('No call that costs money was allowed in this time.')
})

it.each([
  ['more money than was reserved', back('0.500001')],
  ['money in another currency', { ...withoutMoney, cost: { EUR: '0.1' } }],
  ['more calls than one', back('0.3', 2)],
  ['bytes that were not reserved', { ...back('0.3'), egress_bytes: 1 }],
])('lets no outcome hide what other calls cost by giving back %s (V9)', async (_, released) => {
  const lie = leaf('outcome.reported', '18:10:00', { decision_id: 'dec_2', grant_id: 'grt_1', released })
  const events = [...spending.slice(0, 2), reserving('dec_1', '0.5', 'agent/a'), reserving('dec_2', '0.5', 'agent/a')]
  const spent = async (more: readonly object[]) =>
    JSON.parse((await report([...events, ...more], '--json')).out).spent as { calls: number; cost: object }[]
  expect(await spent([lie])).toMatchObject([{ calls: 2, cost: { USD: '1' } }])
  expect(await spent([lie, settled('dec_2', back('0.3'))])).toMatchObject([{ calls: 2, cost: { USD: '0.7' } }])
  const takenBack = leaf('decision.abandoned', '18:10:00', { decision_id: 'dec_2' })
  expect(await spent([takenBack])).toMatchObject([{ calls: 1, cost: { USD: '0.5' } }])
  expect(await spent([takenBack, lie])).toMatchObject([{ calls: 2, cost: { USD: '1' } }])
})

it('gives money back only by outcomes that take their place in their tree (V9)', async () => {
  /** An event that is the tree's next one, by its version. */
  const placed = (version: number, event: object, id: string) => {
    const { type } = event as { type: string }
    return { ...event, id, version, partitionkey: 'grt_1', dataschema: `urn:bailiwick:schema:decisions.v1:${type}` }
  }
  const [first, second] = [reserving('dec_1', '0.5', 'agent/a'), reserving('dec_2', '0.5', 'agent/a')].map((event, n) =>
    placed(n + 1, { ...event, data: { ...event.data, call_id: `call_${n}` } }, `evt_${n + 1}`),
  )
  const spent = async (...more: object[]) =>
    JSON.parse((await report([first, second, ...more] as object[], '--json')).out).spent[0].cost.USD
  const honest = settled('dec_2', back('0.3'))
  const takenBack = leaf('decision.abandoned', '18:10:00', { decision_id: 'dec_2' })
  expect(await spent(placed(3, honest, 'evt_3'))).toBe('0.7')
  // It was taken back, and a caller got it nevertheless.
  expect(await spent(placed(3, takenBack, 'evt_3'))).toBe('0.5')
  expect(await spent(placed(3, takenBack, 'evt_3'), placed(4, honest, 'evt_4'))).toBe('1')
  // No reader counts what is made up beside the order, and it does not stand in the way of what is.
  for (const lie of [settled('dec_2', back('0.5', 1)), takenBack]) {
    expect(await spent(placed(9, lie, 'evt_9'))).toBe('1')
    expect(await spent(placed(9, lie, 'evt_9'), placed(3, honest, 'evt_3'))).toBe('0.7')
  }
})

it('lists equal amounts in the order of the log', async () => {
  const events = ['a', 'b', 'c'].map((agent, n) => reserving(`dec_${n}`, '0.5', `agent/${agent}`))
  const { out } = await report(events, '--json')
  expect(JSON.parse(out).spent.map(({ agent }: { agent: string }) => agent)).toEqual(['agent/a', 'agent/b', 'agent/c'])
})

it('subtracts nothing for an earlier ALLOW that was taken back in its period', async () => {
  const late = [allowed('dec_0', '17:59:59'), leaf('decision.abandoned', '18:00:00', { decision_id: 'dec_0' })]
  const { out } = await report([...quiet, ...late], '--json')
  const { measures } = JSON.parse(out) as Machine
  expect(measures.find(({ name }) => name === 'Denials by reason')?.note).toBe('1 decisions allowed')
})

it('counts what a proxy did out of sight, and finds no fault in it', async () => {
  const unseen = leaf('outcome.reported', '18:21:00', { decision_id: 'dec_1', status: 'not_observed' })
  const { out, code } = await report([...quiet, unseen], '--json')
  expect([numbers(JSON.parse(out) as Machine)['Effects not observed'], code]).toEqual(['1', 0])
})

it.each([
  ['Standing access', granted('grt_9', '18:00:00', '2026-11-25T18:00:00.000Z'), '1'],
  ['Standing access', leaf('grant.created', '18:00:00', { grant: { id: 'grt_9' } }), '1'],
  ['Standing access', credential('crd_9', '18:00:00', '19:00:00'), '1'],
  ['Last ALLOW after a revocation', allowed('dec_9', '18:30:05', '19:00:00'), '5,000 ms'],
  ['Unreconciled outcomes', allowed('dec_9', '18:20:00', '18:21:00'), '1'],
  ['Unreconciled outcomes', leaf('outcome.missing', '18:21:00', { decision_id: 'dec_9' }), '1'],
  ['Unreconciled outcomes', leaf('outcome.unrelayed', '18:21:00', { decision_id: 'dec_9' }), '1'],
  ['Policy files changed on disk', leaf('policy-files.changed', '18:21:00', { active: 'A' }), '1'],
  ['Gaps', leaf('gap.detected', '18:21:00', { from: 3, to: 5 }), '1'],
  ['Refused or unreadable events', leaf('event.refused', '18:21:00', { code: 'key_unknown' }), '1'],
  ['Refused or unreadable events', leaf('event.parked', '18:21:00', { code: 'json_malformed' }), '1'],
])('ends with 1 and says so when it is not as it should be: %s', async (name, event, value) => {
  const { code, out } = await report([...quiet, event], '--json')
  const told = JSON.parse(out) as Machine
  expect(told.measures.find((measure) => measure.name === name)).toMatchObject({ value, ok: false })
  expect(code).toBe(1)
  const { out: lines } = await report([...quiet, event])
  expect(lines).toContain('NOT AS IT SHOULD BE')
})

/** How two decision points report it for one tree: versions and predecessors decide which report counts. */
const raced = (id: string, version: number, after: string | undefined, event: { type: string; data: object }) => ({
  ...{ id, time: at('18:10:00'), type: event.type, version, partitionkey: 'grt_1' },
  dataschema: `urn:bailiwick:schema:decisions.v1:${event.type}`,
  data: { ...event.data, ...(after === undefined ? {} : { after }) },
})

it('names the outcomes of points in an agent’s own process, which enforce nothing', async () => {
  const key = generateKey('outcome')
  const inside = (id: string) =>
    leaf('outcome.reported', '18:03:02', { decision_id: id, grant_id: 'grt_1', outcome: signOutcome(said, key) })
  const { out } = await report([...quiet, allowed('dec_2', '18:03:01'), inside('dec_2')], '--json')
  const { measures } = JSON.parse(out) as Machine
  expect(measures.find(({ name }) => name === 'Denials by reason')?.note).toBe(
    '2 decisions allowed; 1 outcomes are of points in the agent’s own process, which enforce nothing',
  )
})

const said = {
  installation: 'ins_0123456789abcdef0123',
  enforcement_point: 'assistant',
  sequence: 1,
  call_id: 'call_0123456789abcdef',
  decision_id: 'dec_01M8JA9JJDSGVD6K2M0G3HAY14',
  action_digest: jcsHash('an action'),
  status: 'succeeded',
  at: at('18:03:02'),
  enforced_by: 'in_process',
} as const

it('counts nothing that lost its place to another decision point (V2)', async () => {
  const soon = (id: string) => allowed(id, '18:10:00', '18:11:00')
  const told = [
    raced('evt_a1', 1, undefined, soon('dec_a')),
    raced('evt_b1', 1, undefined, soon('dec_b')), // denied after it was evaluated again
    raced('evt_b2', 2, 'evt_b1', soon('dec_c')),
    denied('budget_exhausted', '18:10:01'),
    raced('evt_a2', 2, 'evt_a1', outcome('dec_a', '18:10:02')),
    raced('evt_c3', 3, 'evt_a2', soon('dec_c')), // and this one was allowed
    raced('evt_c4', 4, 'evt_c3', outcome('dec_c', '18:10:03')),
  ]
  const { code, out } = await report([...quiet, ...told], '--json')
  const { measures, ...machine } = JSON.parse(out) as Machine
  expect(numbers({ measures, ...machine })).toMatchObject({ 'Unreconciled outcomes': '0', 'Denials by reason': '43' })
  expect(measures.find(({ name }) => name === 'Denials by reason')?.note).toBe('3 decisions allowed')
  expect(code).toBe(0)
})

it('finds an ALLOW in its period after an earlier revocation, and no earlier ALLOW (V7)', async () => {
  const before = [
    granted('grt_0', '16:00:00'),
    leaf('revocation.declared', '17:00:00', { revocation_id: 'rev_0', kind: 'grant', target: 'grt_0' }),
  ]
  const act = (time: string) =>
    leaf('decision.allowed', time, { decision_id: `dec_${time}`, actor: { grant_id: 'grt_0' } })
  const { out: none } = await report([...quiet, ...before, act('17:30:00')], '--json')
  expect(numbers(JSON.parse(none))).toMatchObject({ 'Last ALLOW after a revocation': '0 ms' })
  const { code, out } = await report([...quiet, ...before, act('18:00:05')], '--json')
  expect(numbers(JSON.parse(out))).toMatchObject({ 'Last ALLOW after a revocation': '3,605,000 ms' })
  expect(code).toBe(1)
})

it.each([
  ['all', '*', 0],
  ['agent', 'spiffe://x/agent/a', 0],
  ['agent', 'spiffe://x/agent/a/one', 0],
  ['agent', 'spiffe://x/agent', 0],
  ['agent', 'spiffe://x/agent/ab', 1],
  ['approver', 'fiona', 0],
  ['approver', 'olga', 1],
  ['tool-server', 'erp', 0],
  ['tool-server', 'crm', 1],
  ['grant', 'grt_9', 0],
  ['delegation', 'grt_9', 1],
])('calls no grant alive that was revoked by kind %s, %s', async (kind, target, alive) => {
  const grant = {
    ...{
      id: 'grt_9',
      not_before: at('18:00:00'),
      not_after: at('20:30:00'),
      agent: 'spiffe://x/agent/a/one',
      as_of: 4,
    },
    ...{ statement: { manifests: { erp: 'hash' } }, assertions: [{ credential_id: 'passkey' }] },
  }
  const revocation = (version: number) => ({
    ...leaf('revocation.declared', '18:40:00', { revocation_id: `rev_${version}`, kind, target }),
    version,
  })
  const registered = leaf('approver.registered', '12:00:00', {
    entity: { type: 'approver', id: 'fiona' },
    value: { credentials: [{ credential_id: 'passkey' }] },
  })
  const told = (version: number) => [registered, revocation(version), leaf('grant.created', '18:00:00', { grant })]
  const noteOf = async (version: number) => {
    const { out } = await report(told(version), '--json')
    const { measures } = JSON.parse(out) as Machine
    return measures.find(({ name }) => name === 'Standing access')?.note
  }
  expect(await noteOf(5)).toBe(`${alive} grants alive at the end, each with its end`)
  // Approved after the revocation was known.
  if (kind !== 'grant') expect(await noteOf(4)).toBe('1 grants alive at the end, each with its end')
})

it('takes a date for that whole day in UTC, wherever it runs', async () => {
  const days = async (from: string, to: string) => {
    using folder = temporaryFolder()
    installation(folder)
    writeLog(folder.at('evidence', 'log'), [1], {
      entry: () => Buffer.from(JSON.stringify(approved('req_1', '23:59:59'))),
    })
    const { out } = await bailiwick(['report', '--data', folder.path, '--from', from, '--to', to, '--json'])
    const { from: begin, to: end, ...told } = JSON.parse(out) as Machine & { from: string; to: string }
    return [begin, end, numbers(told).Approvals]
  }
  expect(await days(day, day)).toEqual([at('00:00:00'), `${day}T23:59:59.999Z`, '1'])
  expect(await days(`${day}T21:00:00-02:00`, '2026-11-25T00:59:59.5+01:00')).toEqual([
    at('23:00:00'),
    `${day}T23:59:59.500Z`,
    '1',
  ])
})

it('counts nothing from a log that is not what its key commits to (V14)', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const entry = (index: number) => Buffer.from(JSON.stringify(quiet[index]))
  writeLog(folder.at('evidence', 'log'), [quiet.length], { entry })
  const path = `tile/entries/000.p/${quiet.length}`
  rmSync(folder.at('evidence', 'log', path))
  put(folder.at('evidence', 'log'), path, Buffer.alloc(9))
  const { code, out, err } = await bailiwick(['report', '--data', folder.path])
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('NOT what its key commits to')
})

it('is one page that loads and runs nothing, even if the log contains HTML', async () => {
  const hostile = '<img src=x onerror=alert(1)>"\'&\u202e\u0007'
  const { code, out } = await report(
    [...quiet, denied(hostile, '18:06:00'), granted(hostile, '18:07:00', 'never')],
    '--html',
  )
  expect(code).toBe(1)
  expect(out).toMatch(/^<!doctype html>/)
  expect(out).toContain("default-src 'none'")
  expect(out).not.toMatch(/<(img|script|link|iframe)|<[^>]*\s(on\w+|src|href)=|url\(|@import/)
  expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(out).toContain('&#60;img src=x onerror=alert(1)&#62;')
  expect(out).toMatch(/<svg [^>]*role="img"/)
  expect(out.match(/<rect class="allowed"/g)?.length).toBe(1)
})

it.each([
  [['--from', 'yesterday'], 'is no time'],
  [['--to', '2026-13-01'], 'is no time'],
  [['--from', '2026-02-30'], 'is no time'],
  [['--from', `${day}T18:00:00`], 'is no time with its zone'], // it would be another period on each machine
  [['--to', `${day}T18:00`], 'is no time with its zone'],
  [['--from', at('19:00:00'), '--to', at('18:00:00')], '--from is later'],
])('refuses a period that is none: %j', async (more, why) => {
  using folder = temporaryFolder()
  installation(folder)
  const { code, err } = await bailiwick(['report', '--data', folder.path, ...more])
  expect(code).toBe(2)
  expect(err).toContain(why)
})
