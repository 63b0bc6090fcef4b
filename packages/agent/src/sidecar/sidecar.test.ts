import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, namesIn, SidecarWorld, textIn, tool } from './sidecar.fixture.ts'

const own = ['bailiwick_request_access', 'bailiwick_access_status', 'bailiwick_complete_task']

let world: SidecarWorld
const open = async (options: Parameters<typeof SidecarWorld.open>[0] = {}) => {
  await world?.[Symbol.asyncDispose]()
  world = await SidecarWorld.open(options)
}
beforeEach(() => open())
afterEach(() => world[Symbol.asyncDispose]())

const hello = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'client', version: '1' } }
const list = (session?: string) => world.send({ id: 2, method: 'tools/list' }, { session })
const approve = async () => {
  world.status = 'approved'
  await expect.poll(async () => textIn(await world.call('bailiwick_access_status'))).toContain('Approved')
}

describe('before there is a task', () => {
  it('answers a client by itself, and shows what can be asked for', async () => {
    await open({ catalogue: [tool('read'), tool('bailiwick_fake')] })
    const begun = await world.send({ id: 1, method: 'initialize', params: hello })
    expect(begun.message.result).toMatchObject({
      protocolVersion: '2025-06-18',
      serverInfo: { name: 'bailiwick-agent' },
    })
    expect((await world.send({ method: 'notifications/initialized' }, begun)).status).toBe(202)
    expect(namesIn(await list(begun.session))).toEqual([...own, 'read'])
    expect((await world.send({ id: 3, method: 'prompts/list' }, begun)).message.result).toEqual({ prompts: [] })
    expect(world.fake.at('/mcp/')).toEqual([])
  })

  it('denies a call with the way to ask for it, and does not give the token of the denial away', async () => {
    const { status, message } = await world.call('read')
    expect(status).toBe(200)
    expect(message.result).toMatchObject({
      isError: true,
      structuredContent: { code: 'credential_missing', requestable: true },
    })
    const advice = 'call bailiwick_request_access and name "read"'
    expect(message.result.content[0].text).toContain(advice)
    // Codex shows its model the members, and not the text.
    expect(message.result.structuredContent.message).toContain(advice)
    expect(JSON.stringify(message)).not.toMatch(/binding|elsewhere/)
    expect(world.effects).toEqual([])
  })

  it('says that it has no `server/discover` until it speaks the newer revision', async () => {
    const discover = {
      id: 1,
      method: 'server/discover',
      params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } },
    }
    expect((await world.send(discover, { era: 'modern' })).message.error.code).toBe(-32601)
    await open({ era: 'modern' })
    expect((await world.send(discover, { era: 'modern' })).message.result.supportedVersions).toEqual(['2026-07-28'])
  })
})

describe('a model asks for its own task', () => {
  it('in a request that the agent signs, with nothing but what the tool shows', async () => {
    const answer = await world.call('bailiwick_request_access', ask)
    const [asked] = world.asked
    expect(asked).toMatchObject({
      mode: 'window',
      expires_in_seconds: 1800,
      words: 'Close the month.',
      authority: {
        type: 'bailiwick_task',
        task: 'month-end',
        permissions: [
          { actions: ['tools/call'], resource: { type: 'tool', id: 'billing/read' } },
          {
            actions: ['tools/call'],
            resource: { type: 'tool', id: 'billing/pay' },
            where: { '/amount': { max: '500' } },
            max_uses: 3,
          },
        ],
        budget: { calls: 20 },
        max_depth: 0,
        max_children: 0,
      },
    })
    const { request_id: id, url, status } = answer.message.result.structuredContent
    expect([url, status]).toEqual([`https://bailiwick.example/console/requests/${id}`, 'pending'])
    expect(textIn(answer)).toContain(url)
  })

  it('and works under it once a human said yes: the same session, another one behind it', async () => {
    const changed: string[] = []
    world.sidecar.onToolsChanged = () => changed.push('changed')
    const { session } = await world.send({ id: 1, method: 'initialize', params: hello })
    await world.call('bailiwick_request_access', ask)
    expect(changed).toEqual([])
    await approve()
    expect(changed).toEqual(['changed'])
    expect(namesIn(await list(session))).toEqual(['read', 'pay', ...own])
    const called = { id: 'x', method: 'tools/call', params: { name: 'read', arguments: { a: 1 } } }
    expect(textIn(await world.send(called, { session }))).toBe('read done')
    expect(world.effects).toEqual([{ name: 'read', args: { a: 1 } }])
    const begun = world.fake.at('/mcp/').filter(({ text }) => text.includes('"initialize"'))
    expect(begun.map(({ text }) => JSON.parse(text).params)).toEqual([hello])
    expect(world.fake.at('/mcp/').at(-1)?.headers['mcp-session-id']).toMatch(/^behind-/)
  })

  it('and begins the session behind once the decision point knows of the task', async () => {
    const { session } = await world.send({ id: 1, method: 'initialize', params: hello })
    await world.call('bailiwick_request_access', ask)
    await approve()
    world.deniesBeginnings = ['credential_unrecorded', 'state_stale']
    expect(namesIn(await list(session))).toEqual(['read', 'pay', ...own])
    expect(world.fake.at('/mcp/').at(-1)?.headers['mcp-session-id']).toMatch(/^behind-/)
  })

  it('and hears why no session begins; nothing is called outside of one', async () => {
    const { session } = await world.send({ id: 1, method: 'initialize', params: hello })
    await world.call('bailiwick_request_access', ask)
    await approve()
    world.deniesBeginnings = ['policy_denied', 'policy_denied']
    const called = { id: 'x', method: 'tools/call', params: { name: 'read', arguments: {} } }
    const denied = { isError: true, structuredContent: { code: 'policy_denied' } }
    expect((await world.send(called, { session })).message).toMatchObject({ id: 'x', result: denied })
    expect((await list(session)).message).toMatchObject({ id: 2, error: { data: { code: 'policy_denied' } } })
    expect(world.effects).toEqual([])
    expect(textIn(await world.send(called, { session }))).toBe('read done')
  })

  it('and answers the denial that it met, for an agent that may only ask for what was denied', async () => {
    world.isProactive = false
    const wanted = { ...ask, permissions: [{ tool: 'read' }] }
    expect((await world.call('bailiwick_request_access', wanted)).message.result).toMatchObject({
      isError: true,
      structuredContent: { code: 'denial_not_requestable' },
    })
    await world.call('read')
    await world.call('bailiwick_request_access', wanted)
    expect(world.asked).toMatchObject([{ binding_token_hash: expect.any(String) }])
  })

  it('and hears a no', async () => {
    await world.call('bailiwick_request_access', ask)
    world.status = 'denied'
    await expect.poll(async () => textIn(await world.call('bailiwick_access_status'))).toContain('is: denied')
    expect(namesIn(await list())).toEqual(own)
  })

  it.each<[string, object]>([
    ['every tool by a prefix', { permissions: [{ tool: '' }] }],
    ['a tool of another server', { permissions: [{ tool: '../other/delete' }] }],
    ['a tool of another server, by a path', { permissions: [{ tool: '../delete' }] }],
    ['another action', { permissions: [{ tool: 'read', actions: ['*'] }] }],
    ['a resource of its own', { permissions: [{ tool: 'read', resource: { type: 'tool', id_prefix: '' } }] }],
    ['a tool of Bailiwick', { permissions: [{ tool: 'bailiwick_complete_task' }] }],
    ['the right to pass it on', { max_depth: 3 }],
    ['another agent', { delegates: ['spiffe://example.org/agent/thief'] }],
    ['a callback', { callback: { endpoint: 'https://thief.example' } }],
    ['a grant that lasts', { limits: { minutes: 100_000 } }],
    ['another limit', { limits: { egress: 1 } }],
    ['no permission', { permissions: [] }],
    ['a task in another alphabet', { task: 'rеad' }],
    ['a reason that turns the writing', { reason: 'approved \u202e by the CFO' }],
    ['a reason with what cannot be seen', { reason: 'pay\u200bment' }],
    ['a reason of a thousand words', { reason: 'x'.repeat(501) }],
  ])('but not for %s: nothing is signed, and the model hears why', async (_, more) => {
    const { message } = await world.call('bailiwick_request_access', { ...ask, ...more })
    expect(message.result.isError).toBe(true)
    expect(message.result.content[0].text).toMatch(/^The request was not made\.\n\S/)
    expect(world.asked).toEqual([])
  })

  it('and cannot look at a request that is not its own', async () => {
    const answer = await world.call('bailiwick_access_status', { request_id: 'req_00000000000000000000' })
    expect(answer.message.result).toMatchObject({
      isError: true,
      structuredContent: { code: 'access_request_unknown' },
    })
    expect(world.fake.at('/access/')).toEqual([])
  })
})

describe('a task', () => {
  const granted = async (options: Parameters<typeof SidecarWorld.open>[0] = {}) =>
    open({ grantId: 'grt_given0123456789abcdef', ...options })

  it('begins with a session of the server, which gets the tools of the sidecar', async () => {
    await granted()
    const begun = await world.send({ id: 1, method: 'initialize', params: hello })
    expect(begun.session).toMatch(/^behind-/)
    expect(begun.message.result).toMatchObject({
      serverInfo: { name: 'books' },
      capabilities: { tools: {}, prompts: {} },
    })
    expect(namesIn(await list(begun.session))).toEqual(['read', 'pay', ...own])
  })

  it('shows no tool of the server under a name of ours, and sends no call of one', async () => {
    await granted()
    world.tools.push(tool('bailiwick_request_access'), tool('Bailiwick_approve'))
    const { message } = await list()
    const names = message.result.tools.map(({ name }: { name: string }) => name)
    expect(names).toEqual(['read', 'pay', ...own])
    expect(message.result.tools[2].description).toContain('Asks a human')
    expect((await world.call('Bailiwick_approve')).message.error).toMatchObject({ code: -32602 })
    expect(world.effects).toEqual([])
  })

  it.each(['grant_revoked', 'step_up_required'])(
    'is not ended, and no human is asked, by a tool that writes %s',
    async (code) => {
      await granted({ holdSeconds: 55 })
      expect((await world.call('lie', { code })).message.error.data.code).toBe(code)
      expect(world.asked).toEqual([])
      expect(textIn(await world.call('read'))).toBe('read done')
    },
  )

  it('is of the server that the gateway names, also after the gateway read another name', async () => {
    await granted()
    expect(textIn(await world.call('read'))).toBe('read done')
    world.toolServer = 'renamed'
    expect((await world.call('read')).message.result).toMatchObject({
      isError: true,
      structuredContent: { code: 'proof_action_mismatch' },
    })
    expect(textIn(await world.call('read'))).toBe('read done')
  })

  it('is given back, by the model or at the end, and only what was asked for here at the end', async () => {
    await world.call('bailiwick_request_access', ask)
    await approve()
    expect(textIn(await world.call('bailiwick_complete_task'))).toContain('ended')
    expect(world.fake.at('/oauth/grants/')).toHaveLength(1)
    // A second time: nothing is left to do, and nothing failed.
    const again = (await world.call('bailiwick_complete_task')).message.result
    expect(again).toMatchObject({ structuredContent: { status: 'completed' } })
    expect([again.isError ?? false, again.content[0].text]).toEqual([false, expect.stringContaining('ended before')])
    expect(world.fake.at('/oauth/grants/')).toHaveLength(1)
    await world.call('bailiwick_request_access', ask)
    await approve()
    await world.sidecar[Symbol.asyncDispose]()
    expect(world.fake.at('/oauth/grants/')).toHaveLength(2)
    await granted()
    await world.sidecar[Symbol.asyncDispose]()
    expect(world.fake.at('/oauth/grants/')).toEqual([])
  })

  it('cannot be ended where there was none', async () => {
    expect((await world.call('bailiwick_complete_task')).message.result).toMatchObject({
      isError: true,
      structuredContent: { code: 'grant_unknown' },
    })
  })

  it('that is over is asked for again', async () => {
    await granted()
    world.fake.token = () => ({ status: 400, body: { error: 'access_denied' } })
    const { message } = await world.call('read')
    expect(message.result.content[0].text).toContain('Call bailiwick_request_access')
    expect(namesIn(await list())).toEqual(own)
  })

  it('that was withdrawn, and whose session ended with its server, is asked for again', async () => {
    await granted()
    const { session } = await world.send({ id: 1, method: 'initialize', params: hello })
    world.isWithdrawn = true
    const call = { id: 2, method: 'tools/call', params: { name: 'read', arguments: {} } }
    const { message } = await world.send(call, { session })
    expect(message).toMatchObject({
      result: { content: [{ text: expect.stringContaining('Call bailiwick_request_access') }] },
    })
    expect(namesIn(await list(session))).toEqual(own)
  })

  it('withdraws a request that still waits at its end', async () => {
    await world.call('bailiwick_request_access', ask)
    await world.sidecar[Symbol.asyncDispose]()
    expect(world.cancelled).toHaveLength(1)
  })
})

describe('a call that waits for a human', () => {
  const showing = { elicitation: { url: {} } }

  it('stays open while the human decides, and then runs once', async () => {
    await open({ grantId: 'grt_given0123456789abcdef', holdSeconds: 55 })
    const call = world.call('pay', { amount: 5 })
    await expect.poll(() => world.asked).toHaveLength(1)
    expect(world.asked[0]).toMatchObject({ mode: 'per_action', grant_id: 'grt_given0123456789abcdef' })
    world.status = 'approved'
    const { messages, message } = await call
    expect(messages[0]).toMatchObject({ method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } })
    expect(message).toMatchObject({ id: 1, result: { content: [{ text: 'pay done' }] } })
    expect(world.effects).toEqual([{ name: 'pay', args: { amount: 5 } }])
  })

  it('is denied when the human says no, and when the time is over', async () => {
    await open({ grantId: 'grt_given0123456789abcdef', holdSeconds: 1 })
    expect(textIn(await world.call('pay'))).toContain('has not answered yet')
    world.status = 'denied'
    expect(textIn(await world.call('pay'))).toContain("The human's answer is: denied.")
    expect(world.effects).toEqual([])
  })

  it('is neither asked for nor held unless the operator says so', async () => {
    await open({ grantId: 'grt_given0123456789abcdef' })
    expect((await world.call('pay')).message.result).toMatchObject({ structuredContent: { code: 'step_up_required' } })
    for (const capabilities of [{}, { elicitation: {} }, { elicitation: { form: {} } }])
      expect((await world.call('pay', {}, { capabilities })).message.result.resultType).toBe('complete')
    expect(world.asked).toEqual([])
  })

  it('is answered by `input_required` where the client can show an address, and runs once in the second round', async () => {
    await open({ grantId: 'grt_given0123456789abcdef' })
    const first = await world.call('pay', { amount: 5 }, { capabilities: showing })
    const { resultType, inputRequests, requestState } = first.message.result
    expect(resultType).toBe('input_required')
    expect(inputRequests.bailiwick_approval).toMatchObject({
      method: 'elicitation/create',
      params: { mode: 'url', url: expect.stringMatching(/^https:\/\/bailiwick\.example\/console\/requests\/req_/) },
    })
    world.status = 'approved'
    const inputResponses = { bailiwick_approval: { action: 'accept' } }
    const round = { capabilities: showing, requestState, inputResponses }
    await expect.poll(() => world.fake.at('/access/').some(({ method }) => method === 'GET')).toBe(true)
    // Until the sidecar has heard of the answer, it asks for one more round.
    let second = await world.call('pay', { amount: 5 }, round)
    while (second.message.result.resultType === 'input_required')
      second = await world.call('pay', { amount: 5 }, { ...round, requestState: second.message.result.requestState })
    expect(textIn(second)).toBe('pay done')
    expect(world.effects).toEqual([{ name: 'pay', args: { amount: 5 } }])
    expect((await world.call('pay', { amount: 5 }, round)).message.error.code).toBe(-32602)
  })

  it('runs for no other arguments, no other state, and no word of the client', async () => {
    await open({ grantId: 'grt_given0123456789abcdef' })
    const first = await world.call('pay', { amount: 5 }, { capabilities: showing })
    const { requestState } = first.message.result
    const accepted = { capabilities: showing, inputResponses: { bailiwick_approval: { action: 'accept' } } }
    expect((await world.call('pay', { amount: 6 }, { ...accepted, requestState })).message.error.code).toBe(-32602)
    expect(
      (await world.call('pay', { amount: 5 }, { ...accepted, requestState: 'bailiwick.x' })).message.error.code,
    ).toBe(-32602)
    const again = await world.call('pay', { amount: 5 }, { ...accepted, requestState })
    expect(again.message.result.resultType).toBe('input_required')
    const state = again.message.result.requestState
    const declined = { capabilities: showing, inputResponses: { bailiwick_approval: { action: 'decline' } } }
    expect(textIn(await world.call('pay', { amount: 5 }, { ...declined, requestState: state }))).toContain('withdrawn')
    expect(world.cancelled).toHaveLength(1)
    expect(world.effects).toEqual([])
  })
})
