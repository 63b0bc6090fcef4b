import { createServer } from 'node:http'
import { join } from 'node:path'
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
async function evidence(answer: (path: string) => Answer | 'hang up', name = 'evidence-8424.sock') {
  const paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    const answered = answer(request.url ?? '')
    if (answered === 'hang up') return void request.socket.destroy()
    response.writeHead(answered.status ?? 200)
    response.end(typeof answered.body === 'string' ? answered.body : JSON.stringify(answered.body))
  })
  await new Promise<void>((listening) => server.listen(join(world.data, name), listening))
  return {
    paths,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

const places = ['events', 'events?type=decision', 'activity', 'trace/grt_1', 'events/evt_0123456789']

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
    'checkpoint',
  ])
    await olga.get(`/evidence/${place}`)
  for (const path of asked.paths) {
    expect(path).toMatch(/^\/v1\/(events|activity|trace\/[^/?#\s]+)(\?[^\s#]*)?$/)
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
