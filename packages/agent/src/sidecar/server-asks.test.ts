import { actionDigest } from '@bailiwick/credentials'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, SidecarWorld, textIn } from './sidecar.fixture.ts'

/* What a server asks of its client, in a session of 2025-11-25. */

let world: SidecarWorld
let session: string | undefined
const reports: string[] = []
beforeEach(async () => {
  reports.length = 0
  world = await SidecarWorld.open({ grantId: 'grt_given0123456789abcdef', report: (line) => reports.push(line) })
  session = await begin()
})
afterEach(() => world[Symbol.asyncDispose]())

const hello = {
  protocolVersion: '2025-11-25',
  capabilities: { elicitation: {} },
  clientInfo: { name: 'c', version: '1' },
}
const begin = async () => (await world.send({ id: 1, method: 'initialize', params: hello })).session
const asks = (id: string | number) => ({
  jsonrpc: '2.0',
  id,
  method: 'elicitation/create',
  params: { message: 'Which?' },
})
const call = (name = 'read') => world.send({ id: 'call', method: 'tools/call', params: { name } }, { session })
const said = { result: { action: 'accept', content: { which: 'this' } } }
const answer = (id: unknown, from = session) => world.send({ id, ...said }, { session: from })

describe('a request of a server', () => {
  it('reaches the client, and the answer the server, signed as the action that it stands for', async () => {
    world.before = [asks(0)]
    const { messages, text } = await call()
    expect(messages).toMatchObject([{ method: 'elicitation/create', params: { message: 'Which?' } }, { id: 'call' }])
    // The client may resume the stream after this event.
    expect(text).toMatch(/^id: e-0\ndata: /)
    expect((await answer(messages[0].id)).status).toBe(202)
    const action = {
      name: 'tools/call',
      resource: { type: 'tool', id: 'billing/elicitation/create' },
      properties: said,
    }
    expect(world.answers).toEqual([
      { message: { jsonrpc: '2.0', id: 0, ...said }, session: 'behind-1', actionDigest: actionDigest(action) },
    ])
  })

  it('takes one answer, of its own session', async () => {
    const other = await begin()
    world.before = [asks('e')]
    const [asked] = (await call()).messages
    for (const [id, from] of [
      [asked.id, other],
      [asked.id, undefined],
      ['e', session],
      ['bailiwick-99', session],
      [null, session],
    ] as const) {
      const { status, message } = await world.send({ id, ...said }, { session: from })
      expect([status, message.error.data.code]).toEqual([400, 'mcp_message_malformed'])
    }
    expect((await answer(asked.id)).status).toBe(202)
    expect((await answer(asked.id)).status).toBe(400)
    expect(world.answers).toHaveLength(1)
  })

  it('of one task never gets the answer to one of another, whose server counts alike', async () => {
    world.before = [asks(0)]
    const [first] = (await call()).messages
    await world.call('bailiwick_request_access', ask)
    world.status = 'approved'
    await expect.poll(async () => textIn(await world.call('bailiwick_access_status'))).toContain('Approved')
    world.before = [asks(0)]
    const [second] = (await call()).messages
    expect(second.id).not.toBe(first.id)
    for (const { id } of [first, second]) await answer(id)
    const [one, two] = world.answers.map((each) => each.session)
    expect(one).toBe('behind-1')
    expect(two).not.toBe(one)
  })

  it('that the server takes back gets no answer', async () => {
    world.before = [asks(7), { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } }]
    const [asked, taken] = (await call()).messages
    expect(taken.params.requestId).toBe(asked.id)
    expect((await answer(asked.id)).status).toBe(400)
  })

  it('is reported when its answer is denied, and the client may answer again', async () => {
    world.before = [asks(1)]
    const [asked] = (await call()).messages
    world.deniesAnswers = 'step_up_required'
    const denied = await answer(asked.id)
    expect([denied.status, denied.message.error.data.code]).toEqual([403, 'step_up_required'])
    expect(reports).toEqual(["the client's answer to elicitation/create did not reach the server: step_up_required"])
    world.deniesAnswers = undefined
    expect((await answer(asked.id)).status).toBe(202)
  })

  it('ends the task if its answer is denied because the task is over', async () => {
    world.before = [asks(1)]
    const [asked] = (await call()).messages
    world.deniesAnswers = 'grant_revoked'
    expect((await answer(asked.id)).status).toBe(403)
    expect(textIn(await world.call('bailiwick_access_status'))).toContain('no request')
  })
})
