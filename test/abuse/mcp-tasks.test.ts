import { randomUUID } from 'node:crypto'
import { makeDpopProof } from '@bailiwick/credentials'
import { sampleKey } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayWorld, gatewayAuthority, type McpAnswer, type McpClient } from '../e2e/gateway-world.ts'
import { eventually } from '../e2e/world.ts'
import { projectAdapters } from './scene.ts'

/* A call that goes on as a task of its server: for others to read, to be counted never or twice, or to outlive its grant. */

let world: GatewayWorld
/** One client of each era under one grant, for attacks that need none of their own. */
let shared: { grant: { grantId: string }; legacy: McpClient; modern: McpClient }
beforeAll(async () => {
  world = await GatewayWorld.open({ adapters: projectAdapters })
  const grant = await world.granted()
  shared = { grant, legacy: await clientOf('legacy', grant), modern: await clientOf('modern', grant) }
})
afterAll(() => world?.[Symbol.asyncDispose]())

const eras = ['legacy', 'modern'] as const
type Era = (typeof eras)[number]

/** What a client of 2026-07-28 says in each request, to get a task for an answer. */
const takesTasks = {
  _meta: { 'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
}

const clientOf = async (era: Era, grant?: { grantId: string }): Promise<McpClient> => {
  const client = await world.client('billing', era, grant)
  if (era === 'legacy') await client.begin()
  return client
}

interface Begun {
  id: string
  decision: string
}

/** A call that its server answers with a task. */
async function begun(client: McpClient): Promise<Begun> {
  const isModern = client.options.era === 'modern'
  const params = isModern ? { arguments: { job: true }, ...takesTasks } : { arguments: {}, task: { ttl: 60_000 } }
  const { message, headers, text } = await client.ask('tools/call', { name: 'read', ...params })
  const id = (message?.result?.task ?? message?.result)?.taskId
  if (typeof id !== 'string') throw new Error(`no task: ${text}`)
  return { id, decision: headers.get('bailiwick-decision-id') ?? '' }
}

const about = (client: McpClient, method: string, taskId: unknown, more: object = {}): Promise<McpAnswer> =>
  client.ask(method, { taskId, ...(client.options.era === 'modern' ? takesTasks : {}), ...more })

/** The methods that name a task. */
const methodsOf = (era: Era) =>
  era === 'legacy' ? ['tasks/get', 'tasks/result', 'tasks/cancel'] : ['tasks/get', 'tasks/cancel']
const resultOf = (era: Era) => (era === 'legacy' ? 'tasks/result' : 'tasks/get')

const job = (id: string) => {
  const found = world.http.state.jobs.get(id)
  if (found === undefined) throw new Error('the server has no such task')
  return found
}

/** Requests about tasks that reached the server from clients; the gateway's own have ids of its own. */
const reached = () =>
  world.http.arrived.filter(({ body }) => body.includes('"tasks/') && !body.includes('"id":"bailiwick-')).length

/** What the log holds of a decision's outcome. */
async function outcomesOf(decision: string): Promise<{ status: string; cut?: string }[]> {
  const seen: { status: string; cut?: string }[] = []
  await using follower = await world.system.bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const { type, subject, data } = JSON.parse(Buffer.from(bytes).toString())
      if (subject === decision && type.startsWith('outcome.')) seen.push({ status: data.status ?? type, ...data })
    }
  })
  await follower.caughtUp
  return seen
}

describe.each(eras)('in the %s era, a task', (era) => {
  let spelled: string | undefined

  it('is one call, however often it is asked about, and its outcome comes when it ends (V9)', async () => {
    const grant = await world.granted({
      ...gatewayAuthority(['billing']),
      budget: { calls: 2, cost: { EUR: '2000.00' } },
    })
    const client = await clientOf(era, grant)
    const { id, decision } = await begun(client)
    for (let n = 0; n < 6; n++)
      expect((await about(client, 'tasks/get', id)).message?.result).toMatchObject({ taskId: id, status: 'working' })
    expect(await outcomesOf(decision)).toEqual([])
    job(id).status = 'completed'
    await about(client, 'tasks/get', id)
    const { message } = await about(client, resultOf(era), id)
    const shown = era === 'legacy' ? message?.result : message?.result.result
    expect(shown.content).toEqual([{ type: 'text', text: expect.stringContaining('read {') }])
    const outcomes = await eventually(async () => {
      const found = await outcomesOf(decision)
      return found.length > 0 ? found : undefined
    })
    expect(outcomes).toMatchObject([{ status: 'succeeded' }])
    // The result may be read again. The second call of the budget is there, and no third one.
    expect((await about(client, resultOf(era), id)).message?.result).toBeDefined()
    expect((await client.call('read')).message?.result).toBeDefined()
    expect((await client.call('read')).message?.error?.data.code).toMatch(/^(budget|uses)_/)
    expect(await outcomesOf(decision)).toHaveLength(1)
  })

  it('is found by no other grant, session or server, and none of them reaches it', async () => {
    const grant = await world.granted()
    const { id } = await begun(await clientOf(era, grant))
    const others = [shared[era], await world.client('local', era, shared.grant)]
    if (era === 'legacy') others.push(await clientOf(era, grant))
    const before = reached()
    for (const other of others) {
      if (other.options.server === 'local' && era === 'legacy') await other.begin()
      for (const method of methodsOf(era))
        expect((await about(other, method, id)).message?.error).toMatchObject({
          code: -32602,
          data: { code: 'mcp_task_unknown' },
        })
      // An id that no server ever gave looks the same.
      expect((await about(other, 'tasks/get', 'task-9999')).message?.error?.data.code).toBe('mcp_task_unknown')
    }
    expect(reached()).toBe(before)
    expect(job(id).status).toBe('working')
  })

  it('ends when its grant is withdrawn, and the gateway tells its server (V7)', async () => {
    const grant = await world.granted()
    const client = await clientOf(era, grant)
    const { id, decision } = await begun(client)
    await world.approver.withdraw(grant.requestId)
    await expect.poll(() => job(id).status).toBe('cancelled')
    const outcomes = await eventually(async () => {
      const found = await outcomesOf(decision)
      return found.length > 0 ? found : undefined
    })
    expect(outcomes).toMatchObject([{ status: 'unknown' }])
    job(id).status = 'completed'
    const before = reached()
    for (const method of methodsOf(era)) {
      const answer = await about(client, method, id)
      expect([answer.message?.result, answer.status === 404 || answer.message?.error !== undefined]).toEqual([
        undefined,
        true,
      ])
    }
    expect(reached()).toBe(before)
  })

  it('can be cancelled by its own client, which says nothing of what it had done', async () => {
    const client = shared[era]
    const { id, decision } = await begun(client)
    expect((await about(client, 'tasks/cancel', id)).message?.result).toBeDefined()
    expect(job(id).status).toBe('cancelled')
    await about(client, 'tasks/get', id)
    await eventually(async () => ((await outcomesOf(decision))[0]?.status === 'unknown' ? true : undefined))
  })

  it.each<[string, (id: string) => object]>([
    ['another member', (id) => ({ taskId: id, TaskId: 'task-1' })],
    ['a list of ids', (id) => ({ taskId: [id] })],
    ['a number', () => ({ taskId: 1 })],
    ['no id', () => ({})],
    ['an id that is too long', (id) => ({ taskId: id.padEnd(300, 'x') })],
  ])('is not found by %s', async (_, paramsOf) => {
    const client = shared[era]
    spelled ??= (await begun(client)).id
    const id = spelled
    const before = reached()
    const headers = era === 'modern' ? { 'mcp-name': id } : {}
    const params = { ...paramsOf(id), ...(era === 'modern' ? takesTasks : {}) }
    const { message, status } = await client.ask('tasks/get', params, { headers })
    expect([message?.result, status >= 400 || message?.error !== undefined]).toEqual([undefined, true])
    expect(reached()).toBe(before)
  })

  it('cannot be read with its agent’s credential and the key of another (V11)', async () => {
    const { agent, url } = shared[era].options
    const { id } = await begun(shared[era])
    const { token } = await agent.credential(shared.grant)
    const before = reached()
    for (const method of methodsOf(era)) {
      const message = shared[era].message(method, { taskId: id, ...(era === 'modern' ? takesTasks : {}) })
      const mirrors = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, 'mcp-name': id }
      const proof = makeDpopProof(
        { htm: 'POST', htu: url, jti: randomUUID(), now: world.system.clock.now(), accessToken: token },
        sampleKey(world.system.data, 'forecaster'),
      )
      const response = await fetch(url, {
        method: 'POST',
        body: JSON.stringify(message),
        headers: {
          'content-type': 'application/json',
          authorization: `DPoP ${token}`,
          dpop: proof,
          ...(era === 'modern' ? mirrors : { 'mcp-session-id': shared[era].session ?? '' }),
        },
      })
      expect([response.status, await response.json()]).toMatchObject([401, { error: { code: -32001 } }])
    }
    expect([reached(), job(id).status]).toEqual([before, 'working'])
  })

  it('of another id than was asked about does not pass', async () => {
    const client = shared[era]
    const [{ id }, other] = [await begun(client), await begun(client)]
    world.http.instead = ({ body }, response) => {
      const message = body === '' ? {} : JSON.parse(body)
      if (message.method !== 'tasks/get') return false
      const shown = { taskId: other.id, status: 'completed', resultType: 'complete', result: { content: ['secret'] } }
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: shown }))
      return true
    }
    try {
      const { message, text } = await about(client, 'tasks/get', id)
      expect([message?.error?.data, text.includes('secret')]).toEqual([{ code: 'upstream_failed' }, false])
    } finally {
      world.http.instead = undefined
    }
  })

  it('that has the id of one under way is none: what became of its call is unknown', async () => {
    const client = shared[era]
    const first = await begun(client)
    world.http.instead = ({ body }, response) => {
      const message = body === '' ? {} : JSON.parse(body)
      if (message.method !== 'tools/call') return false
      const shown = { taskId: first.id, status: 'working' }
      const result = era === 'legacy' ? { task: shown } : { ...shown, resultType: 'task' }
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
      return true
    }
    try {
      await expect(begun(client)).rejects.toThrow('upstream_failed')
    } finally {
      world.http.instead = undefined
    }
    expect((await about(client, 'tasks/get', first.id)).message?.result).toMatchObject({ status: 'working' })
  })
})

it('a list shows the tasks of its own session, of a server that keeps none apart', async () => {
  const [one, other] = [await clientOf('legacy', shared.grant), await clientOf('legacy', shared.grant)]
  const [mine, theirs] = [await begun(one), await begun(other)]
  const list = async (client: McpClient) =>
    (await client.ask('tasks/list')).message?.result.tasks.map(({ taskId }: { taskId: string }) => taskId)
  expect(await list(one)).toEqual([mine.id])
  expect(await list(other)).toEqual([theirs.id])
  expect(await list(await clientOf('legacy', shared.grant))).toEqual([])
})

it('a stream that waits for the result is cut when the grant is withdrawn (V7)', async () => {
  const grant = await world.granted()
  const client = await clientOf('legacy', grant)
  const { id } = await begun(client)
  const response = await client.open(client.message('tasks/result', { taskId: id }))
  const reader = response.body?.getReader()
  expect((await reader?.read())?.done).toBe(false)
  await world.approver.withdraw(grant.requestId)
  const ended = (async () => {
    while (!(await reader?.read())?.done);
  })()
  await expect(ended).rejects.toThrow()
})

it('an agent that signs a call and sends it as a task is refused', async () => {
  const client = shared.legacy
  const signed = client.message('tools/call', { name: 'read', arguments: {} })
  const sent = { ...signed, params: { ...signed.params, task: {} } }
  const before = world.http.state.effects.length
  const answer = await client.send(signed, { body: JSON.stringify(sent) })
  expect([answer.status, answer.message?.error?.data.code]).toEqual([401, 'proof_action_mismatch'])
  expect(world.http.state.effects.length).toBe(before)
})

it('a server that answers with a task unasked has begun one all the same (2026-07-28)', async () => {
  const client = shared.modern
  const { message, headers } = await client.call('read', { job: true })
  const decision = headers.get('bailiwick-decision-id') ?? ''
  expect(message?.result).toMatchObject({ resultType: 'task' })
  expect(await outcomesOf(decision)).toEqual([])
  job(message?.result.taskId).status = 'failed'
  await about(client, 'tasks/get', message?.result.taskId)
  await eventually(async () => ((await outcomesOf(decision))[0]?.status === 'failed' ? true : undefined))
})

it('an answer to a question of a task is a call of its own: it must be granted, and the task the caller’s', async () => {
  const authority = gatewayAuthority(['billing'])
  const permission = { actions: ['tools/call'], resource: { type: 'tool', id: 'billing/tasks/update' } }
  const may = await clientOf(
    'modern',
    await world.granted({ ...authority, permissions: [...authority.permissions, permission] }),
  )
  const mayNot = shared.modern
  const answers = { inputResponses: { amount: { action: 'accept', content: { amount: 9000 } } } }
  const [mine, theirs] = [await begun(may), await begun(mayNot)]
  expect((await about(mayNot, 'tasks/update', theirs.id, answers)).message?.error?.data.code).toBe('action_not_granted')
  expect((await about(may, 'tasks/update', theirs.id, answers)).message?.error?.data.code).toBe('mcp_task_unknown')
  expect(job(theirs.id).responses).toEqual([])
  expect((await about(may, 'tasks/update', mine.id, answers)).message?.result).toBeDefined()
  expect(job(mine.id).responses).toMatchObject([answers])
})

it('no notification about a task passes: it could be about another client’s', async () => {
  const client = shared.modern
  world.http.state.before.push(
    { jsonrpc: '2.0', method: 'notifications/tasks', params: { taskId: 'task-1', result: { content: ['secret'] } } },
    { jsonrpc: '2.0', method: 'notifications/tasks/status', params: { taskId: 'task-1', statusMessage: 'secret' } },
    { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'passes' } },
  )
  const { text } = await client.call('read')
  expect([text.includes('secret'), text.includes('passes')]).toEqual([false, true])
})

it('has no more tasks at once than a conversation may have (V18)', async () => {
  const client = await clientOf('modern')
  for (let n = 0; n < 16; n++) await begun(client)
  const before = world.http.state.effects.length
  const message = client.message('tools/call', { name: 'read', arguments: { job: true }, ...takesTasks })
  const refused = await client.open(message)
  expect([refused.status, await refused.json()]).toMatchObject([429, { error: { data: { code: 'queue_full' } } }])
  expect(world.http.state.effects.length).toBe(before)
})
