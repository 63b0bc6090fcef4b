import { Readable } from 'node:stream'
import { type Notification, parseStrictJson } from '@bailiwick/contracts'
import { Health, type HttpReply, type HttpServer, httpServer, logger, metrics } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { bailiwickPep, type EnforcementPoint, memoryOutcomeStore, openEnforcementPoint } from '@bailiwick/pep'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { type Approver, enrolApprover, type System, startSystem } from '@bailiwick/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { answered, eventually } from './scene.ts'

// The obligations of a decision, against answers, agents and networks that try to avoid them.

const policies = `
@id("private") @redact("iban, owner/name") @report_outcome_by("30")
permit (principal is agent, action == Action::"tools/call", resource is tool) when { resource.labels.contains("reads_private") };
@id("told") @notify("security")
permit (principal is agent, action == Action::"tools/call", resource is tool) when { resource.labels.contains("writes") };
@id("never") @notify("security")
forbid (principal, action == Action::"tools/call", resource is tool) when { resource.labels.contains("destructive") };
`

const most = 4000
/** The number of bytes in the tool's answer, and the answer itself. */
type Answering = (reply: HttpReply) => unknown

let system: System
let approver: Approver
let point: EnforcementPoint
let api: HttpServer
const sent: Notification[] = []
let answering: Answering = () => ({})
/** Changes traffic between the enforcement point and the decision point. */
let between: (context: Record<string, unknown>) => Record<string, unknown> = (context) => context
let effects = 0

beforeAll(async () => {
  system = await startSystem({
    env: { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }, // a busy machine is not a failure
    policies: (starter) => new Map([...starter, ['zz.cedar', Buffer.from(policies)]]),
  })
  approver = await answered(() => enrolApprover(system))
  const { data, trust, url: pdpUrl, invoicesUrl } = system
  point = await openEnforcementPoint({
    ...{ id: sample.enforcementPoint, trust, pdpUrl, store: memoryOutcomeStore() },
    callerKey: sampleKey(data, 'point-caller'),
    outcomeKey: sampleKey(data, 'point-outcome'),
    now: systemClock.now,
    random: systemRandom,
    timeoutMs: 12_000,
    notify: async (notification) => void sent.push(notification),
    fetch: async (input, init) => {
      const response = await fetch(input, init)
      if (!String(input).endsWith('/access/v1/evaluation')) return response
      const body = (await response.json()) as { decision: boolean; context: Record<string, unknown> }
      return Response.json({ ...body, context: between(body.context) }, { status: response.status })
    },
  })
  api = await httpServer({
    logger: logger({ service: 'api', level: 'silent' }),
    clock: systemClock,
    health: new Health(),
    metrics: metrics({ service: 'api', processMetrics: false }),
    random: systemRandom,
  })
  const guarded = bailiwickPep(api, {
    point,
    baseUrl: invoicesUrl,
    toAction: ({ routeOptions, body }) => ({
      name: 'tools/call',
      properties: body as Record<string, unknown>,
      resource: { type: 'tool', id: `${sample.toolServer}${routeOptions.url}` },
    }),
  })
  for (const tool of ['read', 'adjust', 'delete'])
    api.post(
      `/${tool}`,
      guarded(async (_, __, reply) => {
        effects++
        return answering(reply)
      }),
    )
  await api.listen({ port: Number(new URL(invoicesUrl).port) })
})
afterAll(async () => {
  await api.close()
  await point[Symbol.asyncDispose]()
  await system[Symbol.asyncDispose]()
})

let asks = 0
async function granted(egress_bytes: number | undefined = most): Promise<string> {
  const agent = sampleAgent(system.host, 'reconciler')
  const deleting = { actions: ['tools/call'], resource: { type: 'tool', id: `${sample.toolServer}/delete` } }
  const permissions = [...sampleAuthority.permissions, deleting]
  const authority = { ...sampleAuthority, permissions, budget: { ...sampleAuthority.budget, calls: 200, egress_bytes } }
  const signed = agent.signRequest({ authority, mode: 'window', expiresInSeconds: 3000 + ++asks } as never)
  const { requestId } = await answered(() => agent.request(signed))
  const { grant_id } = await answered(() => approver.approve(requestId))
  if (grant_id === undefined) throw new Error('there is no grant')
  return grant_id
}

/** The agent's result, however the call ends. */
async function call(
  grantId: string,
  answer: Answering = () => ({}),
  tool = 'read',
  properties: object = { id: ++asks },
) {
  answering = answer
  try {
    const response = await sampleAgent(system.host, 'reconciler').fetch(
      `${system.invoicesUrl}/${tool}`,
      { method: 'POST' },
      {
        grant: { grantId },
        action: 'tools/call',
        resource: { type: 'tool', id: `${sample.toolServer}/${tool}` },
        properties: { ...properties },
      },
    )
    const { status } = response
    let text = ''
    try {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk)
    } catch {
      return { status, text, code: 'cut' }
    }
    return { status, text, code: status < 400 ? 'ok' : ((JSON.parse(text) as { code?: string }).code ?? '') }
  } catch (error) {
    return { status: 0, text: '', code: 'cut', error }
  }
}

const taken = (grantId: string) =>
  Number(system.services.policyDecision.pdp.projection.ledger.decisions.trees.get(grantId)?.taken.egressBytes ?? 0n)
const settled = async (grantId: string) => {
  await point.delivered()
  const { decisions } = system.services.policyDecision.pdp.projection.ledger
  await eventually('its outcomes count', () => (decisions.trees.get(grantId)?.open === 0 ? true : undefined))
}
const json = (value: object) => (reply: HttpReply) => reply.type('application/json').send(JSON.stringify(value))

describe('an answer that is larger than what was reserved', () => {
  it.each<[string, Answering, string]>([
    ['whole', json({ a: 'a'.repeat(most) }), 'answer_withheld'],
    ['as an object', () => ({ a: 'a'.repeat(most) }), 'answer_withheld'],
    ['raw', (reply) => void reply.hijack().raw.end('a'.repeat(most)), 'cut'],
  ])('does not leave: %s (V9)', async (_, answer, code) => {
    const grantId = await granted()
    const got = await call(grantId, answer)
    expect([got.code, got.text.includes('aaaa')]).toEqual([code, false])
    await settled(grantId)
    expect(taken(grantId)).toBe(0)
  })

  it('never lets a task exceed its bytes over many concurrent calls, and every byte that left is counted (V9)', {
    timeout: 120_000,
  }, async () => {
    const grantId = await granted()
    const body = json({ a: 'a'.repeat(290) })
    let left = 0
    for (let round = 0; round < 4; round++) {
      const got = await Promise.all(Array.from({ length: 12 }, () => call(grantId, body)))
      for (const { code, text } of got) if (code === 'ok') left += Buffer.byteLength(text)
      await settled(grantId)
      expect(taken(grantId)).toBe(left)
    }
    expect(left).toBeGreaterThan(most / 2)
    expect(left).toBeLessThanOrEqual(most)
  })
})

describe('a field that must be hidden', () => {
  it.each<[string, object, string]>([
    ['at the top', { iban: 'DE1' }, '{"iban":"[redacted]"}'],
    ['nested', { a: { b: { iban: 'DE1' } } }, '{"a":{"b":{"iban":"[redacted]"}}}'],
    ['in arrays', { a: [[{ iban: ['DE1'] }]] }, '{"a":[[{"iban":"[redacted]"}]]}'],
    ['by its place', { owner: [{ name: 'DE1' }], name: 'n' }, '{"owner":[{"name":"[redacted]"}],"name":"n"}'],
    ['in a text', { text: '{"iban":"DE1"}' }, '{"text":"{\\"iban\\":\\"[redacted]\\"}"}'],
  ])('does not leave: %s (V13)', async (_, value, text) => {
    expect(await call(await granted(undefined), json(value))).toEqual({ status: 200, text, code: 'ok' })
  })

  it.each<[string, Answering]>([
    ['twice', (reply) => reply.type('application/json').send('{"iban":"x","iban":"DE1"}')],
    ['twice, spelled differently', (reply) => reply.type('application/json').send('{"iban":"x","\\u0069ban":"DE1"}')],
    ['in lines', (reply) => reply.type('application/json').send('{"iban":"DE1"}\n{"iban":"DE2"}')],
    ['in a table', (reply) => reply.type('text/csv').send('iban\nDE1')],
    ['in a stream', (reply) => reply.type('application/json').send(Readable.from(['{"iban":', '"DE1"}']))],
    ['past fastify', (reply) => void reply.hijack().raw.end('{"iban":"DE1"}')],
  ])('does not leave when readers could disagree about the answer: %s (V13)', async (_, answer) => {
    const got = await call(await granted(undefined), answer)
    expect(got.code).not.toBe('ok')
    expect(got.text).not.toContain('DE1')
  })
})

describe('between the two points', () => {
  it.each<[string, (context: Record<string, unknown>) => Record<string, unknown>]>([
    ['stripped of them', ({ obligations: _, ...context }) => context],
    ['with none', (context) => ({ ...context, obligations: [] })],
    ['with others', (context) => ({ ...context, obligations: (context.obligations as unknown[]).slice(1) })],
  ])('an answer %s is not accepted (V1, V13)', async (_, tamper) => {
    const grantId = await granted()
    const before = effects
    between = (context) => (context.permit === undefined ? context : tamper(context))
    try {
      expect((await call(grantId, json({ iban: 'DE1' }))).code).toBe('obligation_unknown')
    } finally {
      between = (context) => context
    }
    expect(effects).toBe(before)
    await settled(grantId)
    expect(taken(grantId)).toBe(0) // and the reservation was returned
  })
})

describe('a required notification', () => {
  it('names the call to the people that the policy lists, before it happens and when it is denied', async () => {
    const grantId = await granted()
    sent.length = 0
    const adjusted = await call(grantId, undefined, 'adjust', { amount: '1', currency: 'EUR' })
    expect(adjusted.code).toBe('ok')
    const agent = 'spiffe://bailiwick.local/agent/reconciler/i1'
    expect(sent).toEqual([
      {
        to: 'security',
        topic: 'policy told',
        body: expect.stringMatching(new RegExp(`^Allowed: ${agent}: tools/call on tool invoices/adjust \\(dec_`)),
      },
    ])
    expect(JSON.stringify(sent)).not.toContain('EUR') // no arguments of the call
    sent.length = 0
    const before = effects
    expect((await call(grantId, undefined, 'delete', { invoice: 'INV-1' })).code).toBe('policy_denied')
    expect([effects, sent]).toEqual([
      before,
      [
        {
          to: 'security',
          topic: 'policy never',
          body: expect.stringMatching(new RegExp(`^Denied: ${agent}: tools/call on tool invoices/delete \\(dec_`)),
        },
      ],
    ])
  })
})

it('stands in evidence as it was signed, and the audit finds nothing (V2, V9)', async () => {
  const grantId = await granted()
  await call(grantId, json({ a: 1 }))
  await settled(grantId)
  const found: unknown[] = []
  await using follower = await system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) found.push(parseStrictJson(bytes))
  })
  await follower.caughtUp
  const allowed = (found as { partitionkey: string; type: string }[]).find(
    ({ partitionkey, type }) => partitionkey === grantId && type === 'decision.allowed',
  )
  const vendor = 'bailiwick'
  expect(allowed).toMatchObject({
    data: {
      reserved: { egress_bytes: most / 8 },
      obligations: [
        { id: 'redact', type: 'custom', properties: { vendor, action: 'redact', fields: ['iban', 'owner/name'] } },
        { id: 'limit', type: 'custom', properties: { vendor, action: 'limit', bytes: most / 8 } },
        { id: 'report-outcome-by', type: 'custom', properties: { vendor, action: 'report_outcome_by', seconds: 30 } },
      ],
    },
  })
  const { evidence } = system.services
  for (let size = -1; size !== evidence.size(); await new Promise((resolve) => setTimeout(resolve, 500)))
    size = evidence.size()
  const { findings } = await audit({ logDir: paths(system.data).log, trustPath: paths(system.data).trust })
  expect(findings).toEqual([])
})
