import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/contracts'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { aWorld, type World } from '../approval.fixture.ts'
import { aPerson, type Person } from '../browser.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld()
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

interface Answer {
  status?: number
  body: unknown
}

/** A process that poses as evidence on this machine's socket. */
async function evidence(answer: (path: string) => Answer | 'hang up', name = 'evidence-8424.sock', data = world.data) {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    const answered = answer(request.url ?? '')
    if (answered === 'hang up') return void request.socket.destroy()
    response.writeHead(answered.status ?? 200)
    response.end(typeof answered.body === 'string' ? answered.body : JSON.stringify(answered.body))
  })
  await new Promise<void>((listening) => server.listen(join(data, name), listening))
  return {
    paths,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

const places = [
  ...[
    'events',
    'events?type=decision',
    'activity',
    'touched?agent=a',
    'denied',
    'trace/grt_1',
    'events/evt_0123456789',
  ],
  'values/evt_0123456789',
]

it('shows nothing to a person who is not signed in, and asks evidence nothing', async () => {
  await using asked = await evidence(() => ({ body: { events: [] } }))
  for (const place of places) {
    const { status, body } = await aPerson(world).get(`/evidence/${place}`)
    expect([place, status, body.code]).toEqual([place, 401, 'caller_unauthenticated'])
  }
  expect(asked.paths).toEqual([])
})

it('passes on exactly what a signed-in person asks', async () => {
  await using asked = await evidence(() => ({ body: { events: [1] } }))
  const agent = 'spiffe://a.example/agent/b'
  expect(await olga.get(`/evidence/events?agent=${encodeURIComponent(agent)}&task=a%26id%3Dx`)).toEqual({
    status: 200,
    body: { events: [1] },
  })
  await olga.get(`/evidence/trace/${encodeURIComponent(agent)}?type=decision.denied`)
  expect(asked.paths).toEqual([
    '/v1/events?agent=spiffe%3A%2F%2Fa.example%2Fagent%2Fb&task=a%26id%3Dx',
    '/v1/trace/spiffe%3A%2F%2Fa.example%2Fagent%2Fb?type=decision.denied',
  ])
})

it('finds an agent by its short name or its name, and refuses a name that several have', async () => {
  const twin = (of: string): Agent => ({
    ...{ id: `spiffe://acme.example/agent/twin-${of}`, name: 'Twin', owner: 'olga', labels: [] },
    ...{ attestor: { kind: 'join_token' }, proactive_requests: false },
  })
  await using other = await aWorld({ agents: [twin('a'), twin('b')] })
  const person = aPerson(other)
  await person.enrol()
  await using asked = await evidence(() => ({ body: { events: [] } }), 'evidence-8424.sock', other.data)
  for (const name of ['ledger', 'LEDGER', 'twin-a', 'nothing', 'twin'])
    await person.get(`/evidence/events?agent=${name}&type=decision`)
  const found = ['spiffe://acme.example/agent/ledger', 'spiffe://acme.example/agent/ledger']
  await person.get('/evidence/touched?agent=ledger&from=2026-01-01T00:00:00Z')
  expect(asked.paths.pop()).toBe(
    '/v1/touched?agent=spiffe%3A%2F%2Facme.example%2Fagent%2Fledger&from=2026-01-01T00%3A00%3A00Z',
  )
  const agents = asked.paths.map((path) => new URLSearchParams(path.split('?')[1]).get('agent'))
  expect(agents).toEqual([...found, 'spiffe://acme.example/agent/twin-a', 'nothing'])
  expect((await person.get('/evidence/events?agent=twin')).body).toMatchObject({
    status: 400,
    detail: expect.stringMatching(/^agent: several are called so: .*twin-a, .*twin-b$/),
  })
})

it('shows the words of one event where evidence is on this machine, and records who read them', async () => {
  await using asked = await evidence(() => ({ body: { values: [{ at: '/reason', state: 'held', text: 'not now' }] } }))
  const { body } = await olga.get('/evidence/values/evt_0123456789')
  expect(body).toEqual({ values: [{ at: '/reason', state: 'held', text: 'not now' }] })
  expect(asked.paths).toEqual(['/v1/values/evt_0123456789'])
  const said = world
    .log()
    .split('\n')
    .filter((line) => line.includes('read the words of an event'))
  expect(said.map((line) => JSON.parse(line))).toMatchObject([{ person: 'olga', event_id: 'evt_0123456789' }])
  expect(world.log()).not.toContain('not now')
})

it('reaches no other path of evidence, or of the operator, under any spelling', async () => {
  await using asked = await evidence(() => ({ body: {} }))
  for (const place of [
    '../../operator/revocations',
    'trace/..%2F..%2Foperator%2Frevocations',
    'trace/../../operator/keys',
    'trace/%0d%0aGET%20%2Foperator',
    'trace/x%3Fy%23z',
    'events/..%2F..%2Foperator',
    'events/evt_1%2F..%2F..',
    'events?%2F..%2Foperator=1',
    'events?agent=x%0d%0ahost:y',
    'activity%2F..%2Foperator',
    'touched%2F..%2Foperator',
    'touched/..%2F..%2Foperator',
    'touched?agent=x%26limit%3D1%23',
    'values/spiffe:%2F%2Facme.example%2Fagent%2Fledger',
    'values/..%2F..%2Foperator',
    'values/evt_0123456789%2F..%2F..%2Foperator',
    'values/evt_0123456789%3Fcauses=true',
    'values/evt_0123456789?causes=true',
    'values/att_0123456789',
    'checkpoint',
  ])
    await olga.get(`/evidence/${place}`)
  for (const path of asked.paths) {
    expect(path).toMatch(/^\/v1\/((events|activity|touched|trace\/[^/?#\s]+)(\?[^\s#]*)?|values\/evt_\w+)$/)
    expect(path).not.toContain('/operator')
  }
  expect(asked.paths.length).toBeGreaterThan(0)
})

it('says what evidence refused, and never passes on what is no answer', async () => {
  const refuse = async (answer: Answer | 'hang up') => {
    await using _ = await evidence(() => answer)
    const { status, body } = await olga.get('/evidence/events')
    return { status, code: body.code, detail: body.detail }
  }
  const problem = { code: 'request_malformed', detail: 'cursor: not a cursor' }
  expect(await refuse({ status: 400, body: problem })).toEqual({ status: 400, ...problem })
  expect(await refuse({ status: 401, body: { code: 'caller_unauthenticated' } })).toMatchObject({
    status: 403,
    code: 'caller_forbidden',
  })
  expect(await refuse({ status: 500, body: '<html>' })).toMatchObject({ status: 502, code: 'answer_malformed' })
  expect(await refuse({ status: 418, body: { code: 'no_such_code' } })).toMatchObject({
    status: 502,
    code: 'answer_malformed',
  })
  expect(await refuse('hang up')).toMatchObject({ status: 503, code: 'service_unreachable' })
  const { status, body } = await olga.get('/evidence/events')
  expect([status, body.code]).toEqual([503, 'service_unreachable'])
})

it('asks the instance that is active', async () => {
  await using standby = await evidence(() => ({ status: 503, body: { code: 'service_standby' } }), 'evidence-1.sock')
  await using active = await evidence(() => ({ body: { events: [] } }), 'evidence-2.sock')
  expect((await olga.get('/evidence/events')).status).toBe(200)
  expect([standby.paths.length, active.paths.length]).toEqual([1, 1])
})

it('puts its own copy of the log’s key beside a receipt, not the key that comes with it (V12)', async () => {
  await using _ = await evidence(() => ({ body: { entry: '{}', receipt: 'r', vkey: 'of a stranger' } }))
  const { body } = await olga.get('/evidence/events/evt_0123456789')
  expect(body).toEqual({ entry: '{}', receipt: 'r', vkey: world.trust.log.vkey })
})

it('has the log read for one person only so often (V18)', async () => {
  const report = '/evidence/report?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z'
  for (const [path, most] of [
    [report, 2],
    ['/evidence/bundle/dec_1', 9],
  ] as const) {
    await using other = await aWorld()
    await using there = await evidence(() => ({ body: {} }), 'evidence-8424.sock', other.data)
    const person = aPerson(other)
    await person.enrol()
    const many = await Promise.all(Array.from({ length: 12 }, () => person.get(path)))
    expect(many.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(12 - most)
    expect(there.paths.length).toBeGreaterThan(0)
    expect(there.paths.length).toBeLessThanOrEqual(most)
  }
})
