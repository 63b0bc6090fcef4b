import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { openSidecar, type Sidecar } from '@bailiwick/agent/sidecar'
import { paths } from '@bailiwick/installation'
import { after, systemRandom } from '@bailiwick/kit'
import { endWithThis } from '@bailiwick/native'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { GatewayWorld, mostTries, passing, patiently } from './gateway-world.ts'

const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')

type Anything = ReturnType<typeof JSON.parse>

interface Exchanged {
  status: number
  text: string
  messages: Anything[]
}

/** A program that speaks plain MCP of revision 2025-11-25 to a sidecar. */
class PlainClient {
  readonly #sidecar: Sidecar
  #session: string | undefined
  #id = 0

  constructor(sidecar: Sidecar) {
    this.#sidecar = sidecar
  }

  async begin(capabilities: object = {}): Promise<void> {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'plain', version: '1' } }
    await this.ask('initialize', params)
  }

  async ask(method: string, params: object = {}): Promise<Anything> {
    const { id, messages } = await this.post({ id: ++this.#id, method, params })
    return messages.find((each) => each.id === id && each.method === undefined)
  }

  /** Posts a message, and returns everything that came back. */
  async post(message: { id: unknown; [member: string]: unknown }): Promise<Exchanged & { id: unknown }> {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }))
    const content = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream']
    return { id: message.id, ...(await this.#patiently('POST', content, body)) }
  }

  /** Opens the stream of the session again, after an event of a stream that broke off. */
  resume(lastEventId: string): Promise<Exchanged> {
    return this.#patiently('GET', ['accept', 'text/event-stream', 'last-event-id', lastEventId], Buffer.alloc(0))
  }

  /** Sends a request again after a denial that a busy machine brings about. */
  async #patiently(...request: Parameters<PlainClient['exchange']>): Promise<Exchanged> {
    for (let tries = 1; ; tries++) {
      const exchanged = await this.exchange(...request)
      const { result, error } = exchanged.messages.at(-1) ?? {}
      const code = error?.data?.code ?? result?.structuredContent?.code
      if (!passing.has(code) || tries === mostTries) return exchanged
      await after(500)
    }
  }

  async exchange(method: string, fields: readonly string[], content: Buffer): Promise<Exchanged> {
    const session = this.#session === undefined ? [] : ['mcp-session-id', this.#session]
    const { status, headers, body } = await this.#sidecar.exchange(
      { method, headers: [...fields, ...session], body: content },
      new AbortController().signal,
    )
    const named = headers.indexOf('mcp-session-id')
    if (named >= 0) this.#session = headers[named + 1]
    const chunks: Uint8Array[] = []
    if (body instanceof Uint8Array) chunks.push(body)
    else for await (const chunk of body) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const texts = text.startsWith('{') ? [text] : [...text.matchAll(/^data: ?(\S.*)$/gm)].map(([, data = '']) => data)
    return { status, text, messages: texts.map((each) => JSON.parse(each)) }
  }

  async call(name: string, args: object = {}): Promise<Anything> {
    return (await this.ask('tools/call', { name, arguments: args })).result
  }
}

describe('a program that was never changed, behind a sidecar', () => {
  let world: GatewayWorld
  beforeAll(async () => {
    world = await GatewayWorld.open()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  const sidecarOf = (server: string) =>
    openSidecar({
      ...{ agent: world.agent(), gateway: world.url, server, publicUrl: world.system.url },
      random: systemRandom,
    })

  it.each(['billing', 'local'])('asks for its own task at %s, works, and gives it back', async (server) => {
    await using sidecar = sidecarOf(server)
    const client = new PlainClient(sidecar)
    await client.begin()
    const own = ['bailiwick_request_access', 'bailiwick_access_status', 'bailiwick_complete_task']
    const tools = async () => (await client.ask('tools/list')).result.tools.map(({ name }: { name: string }) => name)
    expect(await tools()).toEqual(own)

    expect(await client.call('read')).toMatchObject({
      isError: true,
      structuredContent: { code: 'credential_missing' },
    })

    const { structuredContent: asked } = await client.call('bailiwick_request_access', {
      task: `read-one-invoice-at-${server}`,
      permissions: [{ tool: 'read' }],
      limits: { minutes: 10, calls: 5 },
      reason: 'The customer asks for a copy.',
    })
    expect(asked).toMatchObject({ status: 'pending', url: `${world.system.url}/console/requests/${asked.request_id}` })
    await patiently(() => world.approver.approve(asked.request_id))
    const status = () => client.call('bailiwick_access_status', { request_id: asked.request_id })
    await expect.poll(async () => (await status()).structuredContent.status).toBe('approved')

    await expect.poll(tools).toEqual(['read', ...own])
    const read = async () => (await client.call('read', { invoice: 'INV-1' })).content[0].text
    await expect.poll(read).toBe('read {"invoice":"INV-1"}')
    expect(await client.call('delete')).toMatchObject({
      isError: true,
      structuredContent: { code: 'action_not_granted' },
    })

    expect((await client.call('bailiwick_complete_task')).structuredContent.status).toBe('completed')
    expect(await tools()).toEqual(own)
    expect(await client.call('read')).toMatchObject({ isError: true })
  })

  it('calls a tool as a task, asks how it is, and reads its result', async () => {
    const { grantId } = await world.granted()
    await using sidecar = openSidecar({
      ...{ agent: world.agent(), gateway: world.url, server: 'billing', publicUrl: world.system.url, grantId },
      random: systemRandom,
    })
    const client = new PlainClient(sidecar)
    await client.begin()
    const { task } = (await client.ask('tools/call', { name: 'read', arguments: {}, task: {} })).result
    expect((await client.ask('tasks/get', { taskId: task.taskId })).result).toMatchObject({ status: 'working' })
    const job = world.http.state.jobs.get(task.taskId)
    if (job === undefined) throw new Error('the server has no such task')
    job.status = 'completed'
    expect((await client.ask('tasks/result', { taskId: task.taskId })).result.content[0].text).toBe('read {}')
    expect((await client.ask('tasks/list')).result.tasks).toMatchObject([{ taskId: task.taskId }])
  })

  it('is stopped by a human, and asks again', async () => {
    await using sidecar = sidecarOf('billing')
    const client = new PlainClient(sidecar)
    await client.begin()
    const ask = (task: string) =>
      client.call('bailiwick_request_access', { task, permissions: [{ tool: 'read' }], reason: 'A copy is wanted.' })
    const read = () => client.call('read')
    const first = (await ask('one')).structuredContent.request_id
    await patiently(() => world.approver.approve(first))
    await expect.poll(read).toMatchObject({ content: [{ text: 'read {}' }] })
    await patiently(() => world.approver.withdraw(first))
    await expect.poll(async () => (await read()).content[0].text).toContain('bailiwick_request_access')
    const second = (await ask('two')).structuredContent.request_id
    await patiently(() => world.approver.approve(second))
    await expect.poll(read).toMatchObject({ content: [{ text: 'read {}' }] })
  })

  it('is served by one command on standard input and output, which says who can read the key', async () => {
    const { data } = world.system
    const key = sampleKeyFile(data, 'reconciler')
    const words = ['--gateway', world.url, '--server', 'billing', '--key', key, '--trust', paths(data).trust]
    const id = `${sampleAgentId('reconciler')}/${sample.instance}`
    const child = spawn(process.execPath, [cli, 'agent', 'mcp', ...words, '--agent', id], { stdio: 'pipe' })
    endWithThis(child)
    const ended = once(child, 'close')
    const [out, err] = [text(child.stdout), text(child.stderr)]
    for (const method of ['ping', 'tools/list'])
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: method, method })}\n`)
    child.stdin.end()
    expect((await ended)[0]).toBe(0)
    const answers = (await out)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(answers.map(({ id: answered }) => answered).sort()).toEqual(['ping', 'tools/list'])
    expect(await err).toContain(`can read ${key}`)
  })

  describe('that answers what its server asks', () => {
    const asks = (id: unknown, method: string) => ({ jsonrpc: '2.0', id, method, params: { message: 'Which?' } })
    const said = { result: { action: 'accept', content: { which: 'this' } } }
    const responses = () => world.http.state.responses
    afterEach(() => {
      world.http.instead = undefined
      responses().length = 0
    })

    /** A client with a task for these tools, and what a call of it brings. */
    const working = async (sidecar: Sidecar, ...tools: string[]) => {
      const client = new PlainClient(sidecar)
      await client.begin({ elicitation: {}, sampling: {} })
      const task = `answer-with-${tools.join('-')}`.replaceAll('/', '-')
      const permissions = tools.map((tool) => ({ tool }))
      const args = { task, permissions, reason: 'The server may ask.' }
      const { structuredContent: asked } = await client.call('bailiwick_request_access', args)
      await patiently(() => world.approver.approve(asked.request_id))
      await expect.poll(() => client.call('read')).toMatchObject({ content: [{ text: 'read {}' }] })
      return { client, requestId: asked.request_id }
    }
    const read = { id: 'call', method: 'tools/call', params: { name: 'read' } }

    it('has its answer signed and decided, if its task allows it', async () => {
      await using sidecar = sidecarOf('billing')
      const { client } = await working(sidecar, 'read', 'elicitation/create')
      world.http.state.before.push(asks(0, 'elicitation/create'), asks(1, 'sampling/createMessage'))
      const { messages } = await client.post(read)
      const [asked] = messages
      expect(messages.map(({ method }) => method)).toEqual(['elicitation/create', undefined])
      expect((await client.post({ id: asked.id, ...said })).status).toBe(202)
      // The gateway answers what the task does not allow.
      await expect
        .poll(() => responses().toSorted((a, b) => Number(a.id) - Number(b.id)))
        .toMatchObject([
          { id: 0, ...said },
          { id: 1, error: { code: -32601 } },
        ])
      expect((await client.post({ id: asked.id, ...said })).status).toBe(400)
    })

    it('has none of another session, and none after its task was withdrawn (V10)', async () => {
      await using sidecar = sidecarOf('billing')
      const { client, requestId } = await working(sidecar, 'read', 'elicitation/create')
      const other = new PlainClient(sidecar)
      await other.begin({ elicitation: {} })
      world.http.state.before.push(asks(0, 'elicitation/create'))
      const [asked] = (await client.post(read)).messages
      expect((await other.post({ id: asked.id, ...said })).status).toBe(400)
      await patiently(() => world.approver.withdraw(requestId))
      expect((await client.post({ id: asked.id, ...said })).status).toBeGreaterThanOrEqual(400)
      expect(responses().filter((each) => 'result' in each)).toEqual([])
    })

    it('gets the answer of a call whose stream broke off on the stream that resumes it', async () => {
      await using sidecar = sidecarOf('billing')
      const { client } = await working(sidecar, 'read', 'stream/open')
      const events = { 'content-type': 'text/event-stream' }
      let id: unknown
      let resumed: string | undefined
      world.http.instead = ({ method, body, rawHeaders }, response) => {
        const message = body === '' ? {} : JSON.parse(body)
        if (method === 'GET') {
          resumed = rawHeaders[rawHeaders.findIndex((name) => name.toLowerCase() === 'last-event-id') + 1]
          const late = { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'late' }] } }
          response.writeHead(200, events).end(`id: e-2\ndata: ${JSON.stringify(late)}\n\n`)
          return true
        }
        if (message.method !== 'tools/call') return false
        id = message.id
        response.writeHead(200, events).end('id: e-1\nretry: 10\ndata: \n\n')
        return true
      }
      expect((await client.post(read)).text).toContain('id: e-1')
      const { status, messages } = await client.resume('e-1')
      expect([status, resumed]).toEqual([200, 'e-1'])
      expect(messages).toMatchObject([{ id: 'call', result: { content: [{ text: 'late' }] } }])
    })
  })

  it('leaves a log in which each call has its decision and each decision its grant', async () => {
    const at = paths(world.system.data)
    await expect.poll(async () => (await audit({ logDir: at.log, trustPath: at.trust })).findings).toEqual([])
  })
})
