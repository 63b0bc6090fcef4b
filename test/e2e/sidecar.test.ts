import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { openSidecar, type Sidecar } from '@bailiwick/agent/sidecar'
import { paths } from '@bailiwick/installation'
import { systemRandom } from '@bailiwick/kit'
import { endWithThis } from '@bailiwick/native'
import { sample, sampleAgentId, sampleKeyFile } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { GatewayWorld } from './gateway-world.ts'

const cli = join(import.meta.dirname, '../../packages/cli/src/main.ts')

type Anything = ReturnType<typeof JSON.parse>

/** A program that speaks plain MCP of revision 2025-11-25 to a sidecar. */
class PlainClient {
  readonly #sidecar: Sidecar
  #session: string | undefined
  #id = 0

  constructor(sidecar: Sidecar) {
    this.#sidecar = sidecar
  }

  async begin(): Promise<void> {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'plain', version: '1' } }
    await this.ask('initialize', params)
  }

  async ask(method: string, params: object = {}): Promise<Anything> {
    const id = ++this.#id
    const session = this.#session === undefined ? [] : ['mcp-session-id', this.#session]
    const { headers, body } = await this.#sidecar.exchange(
      {
        method: 'POST',
        headers: ['content-type', 'application/json', 'accept', 'application/json, text/event-stream', ...session],
        body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params })),
      },
      new AbortController().signal,
    )
    const named = headers.indexOf('mcp-session-id')
    if (method === 'initialize') this.#session = headers[named + 1]
    const chunks: Uint8Array[] = []
    if (body instanceof Uint8Array) chunks.push(body)
    else for await (const chunk of body) chunks.push(chunk)
    const whole = Buffer.concat(chunks).toString()
    const texts = whole.startsWith('{') ? [whole] : [...whole.matchAll(/^data: ?(.+)$/gm)].map(([, data = '']) => data)
    return texts.map((each) => JSON.parse(each)).find((each) => each.id === id)
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
    await world.approver.approve(asked.request_id)
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

  it('is stopped by a human, and asks again', async () => {
    await using sidecar = sidecarOf('billing')
    const client = new PlainClient(sidecar)
    await client.begin()
    const ask = (task: string) =>
      client.call('bailiwick_request_access', { task, permissions: [{ tool: 'read' }], reason: 'A copy is wanted.' })
    const read = () => client.call('read')
    const first = (await ask('one')).structuredContent.request_id
    await world.approver.approve(first)
    await expect.poll(read).toMatchObject({ content: [{ text: 'read {}' }] })
    await world.approver.withdraw(first)
    await expect.poll(async () => (await read()).content[0].text).toContain('bailiwick_request_access')
    const second = (await ask('two')).structuredContent.request_id
    await world.approver.approve(second)
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

  it('leaves a log in which each call has its decision and each decision its grant', async () => {
    const at = paths(world.system.data)
    await expect.poll(async () => (await audit({ logDir: at.log, trustPath: at.trust })).findings).toEqual([])
  })
})
