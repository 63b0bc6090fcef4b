import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Person, type Said } from './person.ts'
import { eventually, pause, Scene } from './scene.ts'

const agentId = sampleAgentId('reconciler')
const at = (type: string, id: string) => `/console/api/registry/${type}/${encodeURIComponent(id)}`

const posts = [
  ...['registry/preview', 'registry/changes', 'registry/impact', 'rules/match'],
  ...['policies/check', 'policies/explain', 'policies/question'],
]

let scene: Scene
let owner: Person
let sam: Person
beforeAll(async () => {
  scene = await Scene.bare()
  owner = new Person(scene.system)
  await owner.enrol()
  sam = new Person(scene.system)
})
afterAll(async () => {
  const { findings } = await scene.audited()
  await scene[Symbol.asyncDispose]()
  expect(findings).toEqual([])
})

interface Found {
  version: number
  value: { id: string; name: string; labels: string[] } & Record<string, unknown>
  versions: { by: { kind: string; signers: object[]; proposer: string | null } }[]
}
const read = async (type: string, id: string) => (await owner.send('GET', at(type, id))).body as unknown as Found
const changesOpen = () =>
  [...scene.ledger.requests.requests.values()].filter(
    ({ state, received }) => state === 'pending' && received?.kind === 'registry',
  )
const aChange = async (more: object = {}) => {
  const { version, value } = await read('agent', agentId)
  return { entities: [{ type: 'agent', id: agentId, base: version, value: { ...value, ...more } }] }
}

/** Sam, who is enrolled, and in no group that a rule names. */
async function enrolSam(): Promise<void> {
  const value = { id: 'sam', name: 'Sam Stranger', groups: ['visitors'], credentials: [await sam.newPasskey()] }
  const { body } = await scene.propose('approver', 'sam', value)
  expect((await owner.approve(body.request_id, await owner.rendered(body.request_id))).status).toBe(200)
  await eventually('Sam is there', () => scene.ledger.registry.get('approver', 'sam'))
  expect((await sam.signIn()).status).toBe(200)
}

it('shows and takes nothing without a session, and nothing from another page (V3)', async () => {
  const change = await aChange({ name: 'Of a thief' })
  for (const cookie of ['', '__Host-bailiwick=x', owner.cookie.replace('__Host-', '')]) {
    for (const path of [
      '/console/api/registry',
      '/console/api/policies',
      at('agent', agentId),
      at('rule', 'no-such'),
      '/console/api/evidence/bundle/dec_x',
      '/console/api/evidence/report?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z',
    ])
      expect([path, (await owner.send('GET', path, undefined, { cookie })).status]).toEqual([path, 401])
    for (const path of posts) expect((await owner.post(path, change, { cookie })).status).toBe(401)
  }
  const foreign = [{ origin: 'http://thief.example' }, { origin: undefined }, { 'sec-fetch-site': 'cross-site' }]
  for (const headers of [...foreign, { 'content-type': 'text/plain' }])
    for (const path of posts) {
      const { status } = await owner.post(path, change, headers)
      expect([path, headers, status]).toEqual([path, headers, 'content-type' in headers ? 415 : 403])
    }
  expect(changesOpen()).toHaveLength(0)
})

it('proposes, and applies nothing: one person alone changes nothing (V3)', async () => {
  await enrolSam()
  const more = { id: 'sam', name: 'Sam Stranger', groups: ['visitors', sample.group] }
  const { version, value } = await read('approver', 'sam')
  const wanted = { entities: [{ type: 'approver', id: 'sam', base: version, value: { ...value, ...more } }] }
  const { status, body } = await sam.post('registry/changes', wanted)
  expect(status).toBe(200)
  const { request_id: id } = body as unknown as { request_id: string }
  await eventually('the change is known', () => scene.ledger.requests.requests.get(id))
  // Sam proposed it, and is not of the group that signs. Olivia is, and is one of two.
  const shown = await sam.post(`requests/${id}/statement`)
  if (shown.status === 200) expect((await sam.approve(id, shown.body as never)).code).toBe('approver_not_in_group')
  expect(scene.ledger.registry.get('approver', 'sam')?.groups).toEqual(['visitors'])
  expect(scene.ledger.requests.requests.get(id)?.received).toMatchObject({ proposer: 'sam' })
  expect((await owner.post(`requests/${id}/deny`)).status).toBe(200)
})

it('makes no person, no passkey, no service key and no recovery from a text', async () => {
  const passkey = await new Person(scene.system).newPasskey()
  const { version, value } = await read('approver', 'sam')
  const { credentials } = value as unknown as { credentials: object[] }
  const key = scene.ledger.registry.serviceKeys[0]
  const refused: [string, string, number, unknown][] = [
    ['approver', 'sam', version, { ...value, credentials: [...credentials, passkey] }],
    ['approver', 'sam', version, { ...value, credentials: [passkey] }],
    ['approver', 'eve', 0, { id: 'eve', name: 'Eve', groups: [sample.group], credentials: [passkey] }],
    ['service-key', key?.id ?? '', 1, { ...key, state: 'tainted' }],
    ['service-key', key?.id ?? '', 1, null],
    [
      'recovery',
      'r1',
      0,
      {
        id: 'r1',
        jwk: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) },
        approver_id: 'eve',
        name: 'Eve',
        groups: [],
      },
    ],
  ]
  for (const [type, id, base, wanted] of refused) {
    const { status, code } = await owner.post('registry/changes', { entities: [{ type, id, base, value: wanted }] })
    expect([type, id, status, code]).toEqual([
      type,
      id,
      expect.any(Number),
      expect.stringMatching(/^(registry_change|request)_/),
    ])
    expect(status).toBeGreaterThanOrEqual(400)
  }
  expect(changesOpen()).toHaveLength(0)
})

it('refuses a change of a version that is no longer the newest, and says so beforehand', async () => {
  const stale = await aChange({ name: 'From an old page' })
  const { body } = await owner.post('registry/changes', await aChange({ labels: ['sample', 'newer'] }))
  const { request_id: id } = body as unknown as { request_id: string }
  expect((await owner.approve(id, await owner.rendered(id))).status).toBe(200)
  await eventually('the change counts', async () => (await read('agent', agentId)).version === 2 || undefined)
  const late = await owner.post('registry/changes', stale)
  expect([late.status, late.code]).toEqual([409, 'registry_change_conflict'])
  expect(scene.ledger.registry.get('agent', agentId)).toMatchObject({ labels: ['sample', 'newer'] })
  for (const base of [0, 1, 7, 2 ** 53 - 1]) {
    const wanted = { entities: stale.entities.map((each) => ({ ...each, base })) }
    const { status, code } = await owner.post('registry/changes', wanted)
    expect([base, status, code]).toEqual([base, 409, 'registry_change_conflict'])
    expect((await owner.post('registry/preview', wanted)).body).toMatchObject({ conflicts: [{ id: agentId, base }] })
  }
  for (const base of [-1, 1.5, '1', null])
    expect(
      (await owner.post('registry/changes', { entities: stale.entities.map((each) => ({ ...each, base })) })).status,
    ).toBe(400)
})

it('shows names that would rewrite the sentence around them as quoted text', async () => {
  const name = '"; the owner may approve everything. After this, nothing else changes'
  const { body } = await owner.post('registry/preview', await aChange({ name }))
  const { diff } = body as unknown as { diff: { effect: string }[] }
  expect(diff[0]?.effect).toContain(JSON.stringify(name))
  // Members that no entity has, and prototypes, are no values.
  const { version, value } = await read('agent', agentId)
  for (const more of [{ admin: true }, JSON.parse('{"__proto__": {"owner": "eve"}}'), { owner: { toString: 'x' } }]) {
    const wanted = { entities: [{ type: 'agent', id: agentId, base: version, value: { ...value, ...more } }] }
    const text = JSON.stringify(wanted).replace('"admin"', '"__proto__"')
    const { status } = await owner.post('registry/preview', JSON.parse(text))
    expect([Object.keys(more), status]).toEqual([Object.keys(more), expect.any(Number)])
  }
  expect(({} as { owner?: string }).owner).toBe(undefined)
  for (const wanted of [
    { entities: [] },
    { entities: Array.from({ length: 65 }, () => ({ type: 'agent', id: agentId, base: 1, value: null })) },
    { entities: [{ type: 'agent', id: agentId, base: 1, value: null }], more: true },
    { entities: [{ type: 'toString', id: agentId, base: 1, value: null }] },
    { entities: [1, 2].map(() => ({ type: 'agent', id: agentId, base: 1, value: null })) },
    {
      entities: [
        { type: 'agent', id: agentId, base: version, value: { ...value, id: 'spiffe://bailiwick.local/agent/other' } },
      ],
    },
  ])
    expect([wanted, (await owner.post('registry/preview', wanted)).status]).toEqual([wanted, 400])
})

it('bounds what a page may send, and how often (V18)', async () => {
  const { status } = await owner.post('registry/preview', await aChange({ name: 'a'.repeat(2_200_000) }))
  expect(status).toBe(413)
  const change = await aChange({ name: 'a'.repeat(100_000) })
  expect((await owner.post('registry/changes', change)).status).toBe(400)
  const before = changesOpen().length
  const many = await Promise.all(
    Array.from(
      { length: 80 },
      async (_, n) => (await sam.post('registry/changes', await aChange({ name: `Flood ${n}` }))).status,
    ),
  )
  expect(new Set(many)).toEqual(new Set([200, 429]))
  expect(many.filter((each) => each === 200).length).toBeLessThanOrEqual(40)
  // Another person proposes as before.
  expect((await owner.post('registry/changes', await aChange({ name: 'Honest' }))).status).toBe(200)
  expect(changesOpen().length).toBeGreaterThan(before)
})

it('takes ids of any form for no more than names, and says who signed what (V17)', async () => {
  for (const [type, id] of [
    ['agent', 'spiffe://a/../../operator/keys'],
    ['agent', '../../hello'],
    ['rule', '__proto__'],
    ['rule', 'constructor'],
    ['rule', 'a'.repeat(2100)],
    ['tool-server', '%2e%2e'],
  ] as const)
    expect([type, id, (await owner.send('GET', at(type, id))).code]).toEqual([type, id, 'entity_unknown'])
  for (const path of [
    at('toString', 'a'),
    at('rule', 'a'.repeat(2101)),
    `${at('rule', 'tasks')}?before=-1`,
    `${at('rule', 'tasks')}?x=1`,
  ])
    expect([path.slice(0, 60), (await owner.send('GET', path)).status]).toEqual([path.slice(0, 60), 400])
  const { versions } = await read('approver', 'sam')
  expect(versions.map(({ by }) => by)).toEqual([
    {
      kind: 'approvers',
      signers: [{ id: sample.owner, name: 'Olivia' }],
      proposer: 'operator',
      request_id: expect.any(String),
    },
  ])
  expect((await read('agent', agentId)).versions.at(-1)?.by).toMatchObject({
    kind: 'root',
    signers: [],
    proposer: null,
  })
})

/** Asks again while this person has asked for too much. */
async function patiently(ask: () => Promise<Said>): Promise<Said> {
  for (;;) {
    const said = await ask()
    if (said.status !== 429) return said
    await pause(2000)
  }
}

const activeFiles = async () =>
  (await owner.send('GET', '/console/api/policies')).body as unknown as {
    version: number
    policy_set: { hash: string }
    files: Record<string, string>
  }
const proposingPolicies = async (files: Record<string, string>, more: object = {}) => ({
  entities: [{ type: 'policy-set', id: 'active', base: (await activeFiles()).version }],
  policies: { files, ...more },
})

it('stores and proposes no policies that no decision point could load, and none without their text (V3)', async () => {
  const { files, policy_set, version } = await activeFiles()
  const stored = () => readdirSync(join(scene.system.data, 'policies')).sort()
  const before = stored()
  const fine = { ...files, 'more.cedar': '@id("more") forbid (principal, action, resource) when { false };' }
  const hostile: Record<string, string>[] = [
    { ...files, 'b.cedar': 'permit (principal, action, resource) when { principal.absent };' },
    { ...files, 'b.cedar': 'permit (' },
    { ...files, 'b.cedar': '@id("t") permit (principal == ?principal, action, resource);' },
    {
      ...files,
      'b.cedar': `permit (principal, action, resource) when { ${'!('.repeat(3000)}true${')'.repeat(3000)} };`,
    },
    { ...files, 'entities.json': '[[[' },
    { 'a.cedar': 'permit (principal, action, resource);' },
    { ...files, '../../evil.cedar': 'permit (principal, action, resource);' },
    { ...files, '..': 'x' },
    { ...files, 'trust.json': '{}' },
    { 'schema.cedarschema': files['schema.cedarschema'] ?? '' },
    JSON.parse('{"__proto__": "permit (principal, action, resource);"}'),
    {},
  ]
  for (const set of hostile) {
    const { status, body } = await patiently(async () => owner.post('registry/preview', await proposingPolicies(set)))
    expect([Object.keys(set), status, (body as { problem?: string }).problem]).toEqual([
      Object.keys(set),
      expect.toSatisfy((status) => status === 200 || status === 400),
      status === 200 ? expect.any(String) : undefined,
    ])
  }
  for (const set of hostile.slice(0, 2)) {
    const { code } = await patiently(async () => owner.post('registry/changes', await proposingPolicies(set)))
    expect(code).toBe('registry_change_refused')
  }
  for (const value of [policy_set, { ...policy_set, hash: 'A'.repeat(43) }, null]) {
    const wanted = { entities: [{ type: 'policy-set', id: 'active', base: version, value }] }
    const { body, code } = await patiently(() => owner.post('registry/changes', wanted))
    // The active set as it is changes nothing.
    expect(code ?? body).toEqual(value === policy_set ? { request_id: null, diff: [] } : 'registry_change_refused')
  }
  const allDenied = await patiently(async () =>
    owner.post('registry/changes', await proposingPolicies(fine, { permits_nothing: true })),
  )
  expect(allDenied.code).toBe('registry_change_refused')
  // Fine policies, of which nothing is proposed.
  const asItIs = { ...(await aChange()), policies: { files: fine } }
  expect((await patiently(() => owner.post('registry/changes', asItIs))).body).toEqual({ request_id: null, diff: [] })
  const noOne = { ...(await aChange({ owner: 'no-such-person' })), policies: { files: fine } }
  expect((await patiently(() => owner.post('registry/changes', noOne))).code).toBe('registry_change_refused')
  expect(stored()).toEqual(before)
  expect(scene.ledger.registry.policySet?.hash).toBe(policy_set.hash)
}, 600_000)

it('ends a set that takes too long, and answers other people meanwhile (V18)', async () => {
  const { files } = await activeFiles()
  const clause = (n: number) => `context.grant.task == "${n}"`
  const slow = Array.from(
    { length: 1500 },
    (_, n) =>
      `@id("p${n}") forbid (principal, action, resource) when { ${Array.from({ length: 30 }, (_, k) => clause(n + k)).join(' || ')} };`,
  ).join('\n')
  const began = performance.now()
  const answers = await Promise.all([
    ...Array.from({ length: 4 }, () =>
      sam.post('policies/check', { files: { ...files, 'slow.cedar': slow.slice(0, 1_000_000) } }),
    ),
    owner.send('GET', '/console/api/me'),
    patiently(() => owner.post('policies/check', { files })),
  ])
  expect(answers.at(-2)?.status).toBe(200)
  expect(answers.at(-1)?.body).toMatchObject({ loads: true })
  for (const { status } of answers.slice(0, 4)) expect([200, 400, 429, 503]).toContain(status)
  expect(performance.now() - began).toBeLessThan(120_000)
  for (const tests of [{ '../a.yaml': '' }, { 'tests/a.yaml': 'a'.repeat(300_000) }])
    expect((await patiently(() => owner.post('policies/check', { files, tests }))).status).toBe(400)
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, n) => `${'bcdefghij'[n]}: &${'bcdefghij'[n]} [${Array(9).fill(`*${'abcdefghi'[n]}`).join()}]`).join('\n')}\n`
  expect(
    (await patiently(() => owner.post('policies/check', { files, tests: { 'tests/a.yaml': bomb } }))).body,
  ).toMatchObject({
    loads: true,
    tests_problem: expect.any(String),
  })
}, 300_000)

it('goes on after small texts that would take all memory, or hours (V18)', async () => {
  const { files } = await activeFiles()
  const types = Array.from({ length: 24 }, (_, n) => `type T${n} = {a: T${n + 1}, b: T${n + 1}};`).join('\n')
  const bomb = {
    'a.cedar': 'permit (principal, action, resource) when { principal.a + 1 > 0 };',
    'schema.cedarschema': `${types}\ntype T24 = {a: Long};\nentity User {a: T0}; entity File;\naction read appliesTo {principal: User, resource: File, context: T0};`,
  }
  expect((await patiently(() => owner.post('policies/check', { files: bomb }))).body).toMatchObject({ loads: false })
  const change = await proposingPolicies(bomb)
  expect((await patiently(() => owner.post('registry/impact', change))).body).toMatchObject({
    calls: null,
    calls_problem: expect.stringContaining('too large'),
  })
  for (const text of ['@id("a")permit;'.repeat(60_000), '\\"'.repeat(400_000)]) {
    const hostile = await proposingPolicies({ ...files, 'b.cedar': text })
    const began = performance.now()
    const { body } = await patiently(() => owner.post('registry/preview', hostile))
    expect(body).toMatchObject({ problem: expect.any(String), diff: [{ effect: expect.any(String) }] })
    expect(performance.now() - began).toBeLessThan(60_000)
  }
}, 300_000)

it('takes hostile questions for no more than questions', async () => {
  const { files } = await activeFiles()
  const call = { agent: agentId, action: 'tools/call', resource: { type: 'tool', id: 'invoices/adjust' } }
  const { body } = await patiently(() => owner.post('policies/question', { files, ...call }))
  const { request } = body as unknown as { request: string }
  expect((await patiently(() => owner.post('policies/explain', { files, request }))).body).toMatchObject({
    outcome: 'allow',
  })
  for (const odd of [
    '{}',
    '[]',
    '{"a":1,"a":2}',
    request.replace('"context"', '"__entity"'),
    request.replace('"labels"', '"__extn"'),
    `${'['.repeat(20_000)}`,
  ]) {
    const { status, body } = await patiently(() => owner.post('policies/explain', { files, request: odd }))
    expect([odd.slice(0, 30), status === 400 || (body as { outcome?: string }).outcome === 'invalid']).toEqual([
      odd.slice(0, 30),
      true,
    ])
  }
  for (const agent of ['spiffe://bailiwick.local/agent/none', 'spiffe://__proto__/x'])
    expect((await owner.post('policies/question', { files, ...call, agent })).status).toBeGreaterThanOrEqual(400)
  const authority = {
    type: 'bailiwick_task',
    task: 'x',
    permissions: [{ actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/adjust' } }],
    budget: { calls: 1 },
    max_depth: 0,
    max_children: 0,
  }
  expect((await owner.post('rules/match', { agent: agentId, authority })).body).toMatchObject({
    now: { rule: 'tasks', why: null },
    after: null,
  })
  for (const odd of [
    {},
    { ...authority, permissions: [] },
    { ...authority, admin: true },
    { ...authority, budget: { calls: -1 } },
  ])
    expect((await owner.post('rules/match', { agent: agentId, authority: odd })).status).toBe(400)
})

it('says what a retired agent would have lost, from the log alone, and bounds who asks that (V18)', async () => {
  const { version } = await read('agent', agentId)
  const retire = { entities: [{ type: 'agent', id: agentId, base: version, value: null }] }
  const weighed = await patiently(() => owner.post('registry/impact', retire))
  expect([weighed.status, weighed.body]).toMatchObject([200, { calls: { denied: 0 }, calls_problem: null }])
  const many = await Promise.all(
    Array.from({ length: 30 }, async () => (await sam.post('registry/impact', retire)).status),
  )
  expect(many.filter((status) => status === 429).length).toBeGreaterThan(20)
  const { version: ruleVersion, value: tasks } = await read('rule', 'tasks')
  const reordered = { entities: [{ type: 'rule', id: 'tasks', base: ruleVersion, value: { ...tasks, order: 7 } }] }
  const rules = await Promise.all(
    Array.from({ length: 30 }, async () => (await owner.post('registry/impact', reordered)).status),
  )
  expect(new Set(rules)).toEqual(new Set([200, 429]))
  // A name in a rule that would speak for itself stays in its quotes.
  const rule = { id: 'x"; nothing', order: 1 }
  const odd = { entities: [{ type: 'rule', id: rule.id, base: 0, value: rule }] }
  expect((await patiently(() => owner.post('registry/impact', odd))).status).toBe(400)
}, 300_000)
