import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayWorld, type McpClient } from './gateway-world.ts'

/* A client of one revision before a server that speaks the other alone. */

const revisions = { legacy: '2025-11-25', modern: '2026-07-28' } as const

describe.each([
  ['legacy', 'modern'],
  ['modern', 'legacy'],
] as const)('a client of the %s era before a server of the %s era', (era, speaks) => {
  let world: GatewayWorld
  let client: McpClient
  beforeAll(async () => {
    world = await GatewayWorld.open({
      entries: { billing: { speaks: revisions[speaks] } },
      prepare: (http) => {
        http.only = speaks
      },
    })
    client = await world.client('billing', era)
    if (era === 'legacy') {
      const { message } = await client.begin()
      expect(message?.result).toMatchObject({
        protocolVersion: '2025-11-25',
        capabilities: { tools: {}, resources: {}, prompts: {} },
        serverInfo: { name: 'fixture' },
        instructions: 'Use the tools.',
      })
      expect(client.session).toMatch(/^[\w-]{20,}$/)
    }
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  it('sees the lists of the server, in its own form', async () => {
    const { message, text } = await client.ask('tools/list')
    expect(message?.result.tools.map(({ name }: { name: string }) => name)).toEqual(['read', 'adjust', 'slow'])
    expect(text).toContain('"x-vendor":{"big":1,"list":[1,2]}')
    const { resultType, cacheScope } = message?.result ?? {}
    expect([resultType, cacheScope]).toEqual(era === 'modern' ? ['complete', 'private'] : [undefined, undefined])
  })

  it('calls a tool with the arguments that were decided, letter for letter', async () => {
    const before = world.http.arrived.length
    const { message } = await client.call('adjust', { amount: 5, currency: 'EUR' })
    expect(message?.result).toMatchObject({ content: [{ text: 'adjust {"amount":5,"currency":"EUR"}' }] })
    expect(message?.result.resultType).toBe(era === 'modern' ? 'complete' : undefined)
    const call = world.http.arrived.slice(before).find(({ body }) => body.includes('"adjust"'))
    expect(call?.body).toContain('"arguments":{"amount":5,"currency":"EUR"}')
    const fields = Object.fromEntries(
      (call?.rawHeaders ?? []).flatMap((name, n, all) => (n % 2 === 0 ? [[name.toLowerCase(), all[n + 1]]] : [])),
    )
    expect(fields['mcp-protocol-version']).toBe(revisions[speaks])
    expect([fields['mcp-method'], fields['mcp-name'], fields['mcp-param-amount']]).toEqual(
      speaks === 'modern' ? ['tools/call', 'adjust', '5'] : [undefined, undefined, undefined],
    )
    const meta = JSON.parse(call?.body ?? '{}').params._meta ?? {}
    expect(Object.keys(meta).filter((name) => name.startsWith('io.modelcontextprotocol/')).length > 0).toBe(
      speaks === 'modern',
    )
  })

  it('is denied as before any other server', async () => {
    expect((await client.call('delete')).message?.error?.data.code).toBe('action_not_granted')
    const over = await client.call('adjust', { amount: 501, currency: 'EUR' })
    expect(over.message?.error?.data.code).toBe('argument_out_of_bounds')
    expect((await client.ask('resources/read', { uri: 'file:///srv/a.txt' })).message?.result.contents).toHaveLength(1)
  })

  it('hears by name of each method that the other revision lacks', async () => {
    const method = era === 'legacy' ? 'logging/setLevel' : 'subscriptions/listen'
    const params = era === 'legacy' ? { level: 'info' } : { notifications: {} }
    expect((await client.ask(method, params)).message?.error).toMatchObject({
      code: -32601,
      data: { code: 'mcp_method_unmapped', detail: `${method}: the server speaks ${revisions[speaks]}` },
    })
  })

  if (era === 'legacy')
    it('is answered by the gateway where the newer revision has nothing to ask', async () => {
      expect((await client.ask('ping')).message?.result).toEqual({})
      expect((await client.send({ jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202)
    })
})
