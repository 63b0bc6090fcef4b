import { randomBytes } from 'node:crypto'
import type { ServiceProcess } from '@bailiwick/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GatewayWorld, McpClient } from './gateway-world.ts'
import { eventually } from './world.ts'

/* Two processes of one gateway behind one address. A load balancer sends a request to either; here, to both. */

let world: GatewayWorld
let replica: ServiceProcess
let grant: { requestId: string; grantId: string }
beforeAll(async () => {
  world = await GatewayWorld.open()
  replica = await world.replica()
  grant = await world.granted()
})
afterAll(async () => {
  await replica?.[Symbol.asyncDispose]()
  await world?.[Symbol.asyncDispose]()
})

/** What one process answered: a result, or why not. */
const saidBy = async (response: Response): Promise<string> => {
  const { result, error } = JSON.parse(await response.clone().text())
  return result === undefined ? String(error?.data?.code) : 'executed'
}

/** A client whose requests reach both processes in the same moment, and what they answered to each. */
function clientOfBoth(): { client: McpClient; answers: Map<string, string[]> } {
  const answers = new Map<string, string[]>()
  const both: typeof fetch = async (input, init) => {
    const { origin, pathname } = new URL(String(input))
    if (origin !== world.url) return fetch(input, init)
    const callId = new Headers(init?.headers).get('bailiwick-call-id') ?? ''
    const responses = await Promise.all([world.url, replica.url].map((at) => fetch(`${at}${pathname}`, init)))
    const said = await Promise.all(responses.map(saidBy))
    answers.set(callId, [...(answers.get(callId) ?? []), ...said])
    const [first] = responses
    const chosen = responses[said.indexOf('executed')] ?? first
    if (chosen === undefined) throw new Error('no process answered')
    return chosen
  }
  const agent = world.agent({ fetch: both })
  const url = `${world.url}/mcp/billing`
  return { client: new McpClient({ agent, grantId: grant.grantId, url, server: 'billing', era: 'modern' }), answers }
}

const effectsOf = (invoice: string) => world.http.state.effects.filter(({ args }) => args.invoice === invoice)

it('executes a request that reaches both processes once (V1, V10)', async () => {
  const { client, answers } = clientOfBoth()
  const before = world.http.state.effects.length
  for (let n = 0; n < 12; n++) {
    const { message } = await client.call('read', { invoice: `BOTH-${n}` })
    expect(message?.result).toBeDefined()
    expect(effectsOf(`BOTH-${n}`)).toHaveLength(1)
  }
  const executed = [...answers.values()].map((said) => said.filter((each) => each === 'executed').length)
  expect(Math.max(...executed)).toBe(1)
  expect(world.http.state.effects.length - before).toBe(executed.reduce((sum, count) => sum + count, 0))
})

it('executes a call that its client repeats at the other process once, under the same call id', async () => {
  let at = world.url
  const either: typeof fetch = (input, init) => {
    const { origin, pathname } = new URL(String(input))
    return fetch(origin === world.url ? `${at}${pathname}` : input, init)
  }
  const agent = world.agent({ fetch: either })
  const url = `${world.url}/mcp/billing`
  const client = new McpClient({ agent, grantId: grant.grantId, url, server: 'billing', era: 'modern' })
  const message = client.message('tools/call', { name: 'read', arguments: { invoice: 'AGAIN' } })
  const send = async (to: string, callId: string) => {
    at = to
    return saidBy(await client.open(message, { callId }))
  }
  // A busy machine may turn the first call away before it was decided.
  const callId = await eventually(async () => {
    const made = `call-again-${randomBytes(12).toString('hex')}`
    return (await send(world.url, made)) === 'executed' ? made : undefined
  })
  const others = [await send(replica.url, callId), await send(replica.url, callId), await send(world.url, callId)]
  expect(others).not.toContain('executed')
  expect(others.slice(0, 2)).toEqual(['call_elsewhere', 'call_elsewhere'])
  expect(effectsOf('AGAIN')).toHaveLength(1)
})
