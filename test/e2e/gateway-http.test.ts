import type { Agent } from '@bailiwick/agent'
import { paths } from '@bailiwick/installation'
import { type Arrived, chunk, chunkedHead, whole } from '@bailiwick/relay/raw-server'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { openAdapters } from './adapters-under-test.ts'
import { type ApiWorld, openApiWorld, upstreamSecret } from './api-world.ts'
import { passing } from './gateway-world.ts'
import { eventually } from './world.ts'

/* HTTP APIs behind the gateway, from the request for a task to its withdrawal. */

const policies = `
@id("no-accounts") @redact("iban")
permit (principal is agent, action == Action::"tools/call", resource is tool)
when { resource.labels.contains("reads_private") };

@id("small-answers") @limit("64")
permit (principal is agent, action == Action::"GET", resource is api);
`

const invoice = '{"id":"4711","iban":"DE02"}'

function answer({ target, socket }: Arrived): void {
  if (target.endsWith('/changes')) {
    socket.write(chunkedHead('text/event-stream'))
    const timer = setInterval(() => socket.write(chunk(`data: ${invoice}\n\n`)), 20)
    socket.on('close', () => clearInterval(timer))
  } else if (target.endsWith('/long')) socket.write(whole(JSON.stringify({ text: 'a'.repeat(100) })))
  else socket.write(whole(invoice))
}

let at: ApiWorld
let agent: Agent
const opened = new AsyncDisposableStack()
beforeAll(async () => {
  const { bus, store } = opened.use(await openAdapters())
  at = opened.use(
    await openApiWorld({
      answer,
      system: {
        adapters: { bus, grantStore: store },
        policies: (starter) => new Map([...starter, ['zz.cedar', Buffer.from(policies)]]),
      },
    }),
  )
  agent = at.world.agent()
})
afterAll(() => opened.disposeAsync())

interface Call {
  method?: string
  path: string
  body?: string
  type?: string
  headers?: Record<string, string>
  /** What the agent signs. Without it: the address alone. */
  tool?: string
  properties?: Record<string, unknown>
  resource?: string
}

async function call(
  grantId: string,
  { method = 'GET', path, body, type, headers, tool, properties = {}, resource }: Call,
) {
  const signed =
    tool === undefined ? {} : { action: 'tools/call', resource: { type: 'tool', id: `erp/${tool}` }, properties }
  return eventually(async () => {
    const response = await agent.fetch(
      `${at.world.url}${path}`,
      {
        method,
        headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
        ...(body === undefined ? {} : { body }),
      },
      { grant: { grantId, ...(resource === undefined ? {} : { resource }) }, patienceMs: 0, ...signed },
    )
    if (response.status < 400 || !passing.has(await codeOf(response.clone()))) return response
    await response.body?.cancel()
    return undefined
  })
}

const codeOf = async (response: Response) => ((await response.json()) as { code: string }).code

it('an agent uses an API by its operations and by its URLs, within what a person approved', async () => {
  const { grantId } = await at.world.granted(at.authority)
  const read = await call(grantId, {
    path: '/http/erp/invoices/4711',
    tool: 'read_invoice',
    properties: { invoice: '4711' },
  })
  // The obligation of a policy that matches by the registry's word on what the operation does.
  expect([read.status, await read.text()]).toEqual([200, '{"id":"4711","iban":"[redacted]"}'])
  expect(read.headers.get('bailiwick-decision-id')).toMatch(/^dec_/)
  expect(at.api.arrived.at(-1)?.text).toMatch(/^GET \/erp\/invoices\/4711 HTTP\/1\.1\r\n/)
  expect(at.api.arrived.at(-1)?.text).toContain(`authorization: Bearer ${upstreamSecret}\r\n`)

  const create = (amount: number): Call => ({
    method: 'POST',
    path: '/http/erp/invoices',
    type: 'application/json',
    body: ` { "currency": "EUR",\n "amount": ${amount}.00 }`,
    tool: 'create_invoice',
    properties: { amount, currency: 'EUR' },
  })
  expect((await call(grantId, create(499))).status).toBe(200)
  expect(at.api.arrived.at(-1)?.body).toBe(' { "currency": "EUR",\n "amount": 499.00 }')
  const arrived = at.api.arrived.length
  const denied = await call(grantId, create(501))
  expect([denied.status, await codeOf(denied)]).toEqual([403, 'argument_out_of_bounds'])
  const pay = { method: 'POST', path: '/http/erp/invoices/1/payments', type: 'application/x-www-form-urlencoded' }
  expect((await call(grantId, { ...pay, body: 'amount=12.50' })).status).toBe(200)
  expect((await call(grantId, { ...pay, body: 'amount=1250' })).status).toBe(403)

  expect((await call(grantId, { path: '/http/plain/open/x' })).status).toBe(200)
  const beside = await call(grantId, { path: '/http/plain/secret' })
  expect([beside.status, await codeOf(beside)]).toEqual([403, 'action_not_granted'])
  const long = await call(grantId, { path: '/http/plain/open/long' })
  expect([long.status, await codeOf(long)]).toEqual([502, 'answer_withheld'])
  expect(at.api.arrived).toHaveLength(arrived + 3)
})

it('a credential for one API is none for the other', async () => {
  const { grantId } = await at.world.granted(at.authority)
  const resource = `${at.world.url}/http/erp`
  const other = await call(grantId, { path: '/http/plain/open/x', resource })
  expect([other.status, await codeOf(other)]).toEqual([401, 'credential_audience_wrong'])
  expect((await call(grantId, { path: '/http/erp/invoices/1', resource })).status).toBe(200)
})

it('a withdrawal cuts a stream in the middle, also at the API, and its outcome says so (V7)', async () => {
  const { grantId, requestId } = await at.world.granted(at.authority)
  const accept = { accept: 'text/event-stream' }
  const stream = await call(grantId, { path: '/http/erp/invoices/1/changes', headers: accept })
  expect(stream.status).toBe(200)
  const socket = at.api.arrived.at(-1)?.socket
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  const text = Buffer.from((await reader.read()).value ?? []).toString()
  expect(text).toContain('data: {"id":"4711","iban":"[redacted]"}')
  await at.world.approver.withdraw(requestId)
  const ended = (async () => {
    while (!(await reader.read()).done);
  })()
  await expect(ended).rejects.toThrow()
  await eventually(() => (socket?.destroyed ? true : undefined))
  const after = await call(grantId, { path: '/http/erp/invoices/1', headers: accept })
  expect(await codeOf(after)).toMatch(/^(grant_revoked|credential_revoked)$/)

  const decisionId = stream.headers.get('bailiwick-decision-id')
  const outcome = await eventually(async () => {
    const found: string[] = []
    await using follower = await at.world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { type, data } = JSON.parse(Buffer.from(bytes).toString())
        if (type === 'outcome.reported' && data.decision_id === decisionId) found.push(data.outcome)
      }
    })
    await follower.caughtUp
    return found[0]
  })
  const said = JSON.parse(Buffer.from(outcome.split('.')[1] ?? '', 'base64url').toString())
  expect(said).toMatchObject({ status: 'unknown', cut: 'grant_revoked', http_status: 200 })
})

it('a table that people did not sign is of no use, and a stream of the one before flows on', async () => {
  const { grantId } = await at.world.granted(at.authority)
  const accept = { accept: 'text/event-stream' }
  const stream = await call(grantId, { path: '/http/erp/invoices/1/changes', headers: accept })
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  const { erp, plain } = at.entries
  const operations = { ...erp?.operations, read_invoice: { request: 'GET /admin/{invoice}' } }
  at.world.rewrite((mcp) => mcp, { http: { plain, erp: { ...erp, operations } } })
  expect(at.world.gateway.reload()).toBeUndefined()
  const arrived = at.api.arrived.length
  const denied = await call(grantId, { path: '/http/erp/admin/1' })
  expect([denied.status, await codeOf(denied)]).toEqual([403, 'manifest_changed'])
  expect((await call(grantId, { path: '/http/erp/invoices/1' })).status).toBe(404)
  expect(at.api.arrived).toHaveLength(arrived)
  expect((await call(grantId, { path: '/http/plain/open/x' })).status).toBe(200)
  expect((await reader.read()).done).toBe(false)

  at.world.rewrite((mcp) => mcp, { http: { plain, erp: { ...erp, url: 'ftp://x' } } })
  expect(at.world.gateway.reload()).toBe('config_invalid')
  at.world.rewrite((mcp) => mcp, { http: at.entries })
  expect(at.world.gateway.reload()).toBeUndefined()
  expect((await call(grantId, { path: '/http/erp/invoices/1' })).status).toBe(200)
  await reader.cancel()
})

it('leaves evidence that an auditor finds in order', async () => {
  const { log, trust } = paths(at.world.system.data)
  const report = await eventually(async () => {
    const seen = await audit({ logDir: log, trustPath: trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})
