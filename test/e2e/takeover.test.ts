import { randomUUID } from 'node:crypto'
import type { ServiceName } from '@bailiwick/contracts'
import { makeDpopProof, signClientAssertion } from '@bailiwick/credentials'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { agentId } from './agent-side.ts'
import { Instances } from './instances.ts'
import { eventually } from './world.ts'

const ofOne = ['issuer', 'approval', 'evidence'] as const satisfies readonly ServiceName[]

/** The time it takes is printed, not asserted: a second's delay of heads on a busy machine is not silence, and proves nothing. */
async function takenOver(
  instances: Instances,
  service: ServiceName,
  by: ReturnType<Instances['active']>,
  began = performance.now(),
): Promise<void> {
  await eventually(() => by.acts() || undefined).catch((error) => {
    throw new Error(`${service} does not take over: ${JSON.stringify(by.host.health.gates())}`, { cause: error })
  })
  console.log(`${service}: taken over after ${Math.round(performance.now() - began)} ms`)
  expect(instances.active(service)).toBe(by)
}

it('each second instance stands by, says so, and serves only its health; the console reads evidence elsewhere', async () => {
  await using instances = await Instances.open()
  for (const service of ofOne) {
    const { host, metrics } = instances.standby(service)
    for (const [server, url] of [
      [host.http, '/'],
      [host.http, '/oauth/jwks'],
      [host.http, '/log/checkpoint'],
      [host.operator, '/operator/revocations'],
    ] as const) {
      const answer = await server.inject({ method: 'GET', url })
      expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([
        503,
        'service_standby',
        '1',
      ])
    }
    expect((await host.http.inject('/healthz')).statusCode).toBe(200)
    const ready = await host.http.inject('/readyz')
    expect(ready.statusCode).toBe(503)
    expect(ready.json().detail).toContain(`${service}-active: /${service}/`)
    expect(await metrics.text()).toContain(`bailiwick_active{role="${service}",service="${service}"} 0`)
    expect(await instances.active(service).metrics.text()).toContain(
      `bailiwick_active{role="${service}",service="${service}"} 1`,
    )
  }
  const { requestId } = await instances.story()
  // The enforcement point also reported to evidence directly, without the decision point.
  const told =
    /bailiwick_http_requests_total\{method="POST",route="\/log\/outcomes",status="200",service="evidence"\} [1-9]/
  await eventually(async () => told.test(await instances.active('evidence').metrics.text()) || undefined)
  // Reads as the auditor that is registered with approval's key; a stranger, and an assertion for another server, read
  // nothing.
  interface Traced {
    verified: boolean
    steps: { type: string }[]
  }
  const { approver, place } = instances
  const traced = await eventually(async () => {
    const trace = await approver.get<Traced>(`/console/api/evidence/trace/${requestId}`).catch(() => undefined)
    return trace?.steps.some(({ type }) => type === 'outcome.reported') ? trace : undefined
  })
  expect(traced.verified).toBe(true)
  expect(await approver.get('/console/api/evidence/events?type=grant')).toMatchObject({
    events: [{ type: 'grant.created' }],
  })
  for (const path of [`trace/${requestId}`, `bundle/${requestId}`, 'events', 'activity'])
    expect((await fetch(`${place.url}/v1/${path}?${path === 'activity' ? today() : ''}`)).status, path).toBe(401)
})

function today(): string {
  const now = Date.now()
  const [from = '', to = ''] = [now - 3_600_000, now].map((at) => new Date(at).toISOString())
  return new URLSearchParams({ from, to }).toString()
}

interface Sending {
  method: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  payload?: string
}

/** Sends to the active instance; 503 where a busy machine leaves none active for a moment. */
async function sent(instances: Instances, service: ServiceName, request: Sending): Promise<number> {
  const http = instances.of(service).find((instance) => instance.acts())?.host.http
  return http === undefined ? 503 : (await http.inject(request)).statusCode
}

/** Calls the active issuer with the same assertion each time, dated this many seconds ahead. */
function assertedBy(instances: Instances, ahead: number, by: 'point' | 'agent'): () => Promise<number> {
  const { place } = instances
  const iat = Math.floor(Date.now() / 1000) + ahead
  const name = by === 'point' ? sample.enforcementPoint : agentId()
  const claims = { iss: name, sub: name, aud: place.trust.public_url, iat, exp: iat + 60, jti: randomUUID() }
  const key = by === 'point' ? sampleKey(place.data, 'point-caller') : sampleKey(place.data, 'reconciler')
  const payload = new URLSearchParams({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: signClientAssertion(claims, key),
    token: 'none',
  }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const url = by === 'point' ? '/oauth/introspect' : '/oauth/revoke'
  return () => sent(instances, 'issuer', { method: 'POST', url, headers, payload })
}

/** Lists the agent's requests with the same proof each time, dated this many ms ahead. */
function lookedAt(instances: Instances, aheadMs: number): () => Promise<number> {
  const { place } = instances
  const path = '/access/v1/requests'
  const proof = { htm: 'GET', htu: `${place.trust.public_url}${path}`, jti: randomUUID(), now: Date.now() + aheadMs }
  const headers = { dpop: makeDpopProof(proof, sampleKey(place.data, 'reconciler')) }
  const url = `${path}?agent=${encodeURIComponent(sampleAgentId('reconciler'))}`
  return () => sent(instances, 'approval', { method: 'GET', url, headers })
}

it('an orderly stop of the active instances hands over at once; nothing is lost, doubled or accepted again (V2, V4, V10, V15)', async () => {
  await using instances = await Instances.open()
  const first = await instances.story()
  // With a clock as far ahead as is allowed. On a busy machine the issuer may not be proved fresh for a moment.
  const counted = (made: () => () => Promise<number>) =>
    eventually(async () => {
      const ask = made()
      if ((await ask()) !== 200) return undefined
      expect(await ask()).not.toBe(200)
      return ask
    })
  const introspection = await counted(() => assertedBy(instances, 4, 'point'))
  const withdrawal = await counted(() => assertedBy(instances, 4, 'agent'))
  const look = await counted(() => lookedAt(instances, 4900))
  for (const service of ofOne) {
    const next = instances.standby(service)
    await instances.active(service).stop()
    await takenOver(instances, service, next)
    if (service === 'issuer') expect([await introspection(), await withdrawal()]).not.toContain(200)
    if (service === 'approval') expect(await look()).not.toBe(200)
  }
  expect(await eventually(async () => ((await first.call()) === 'ok' ? true : undefined))).toBe(true)
  await instances.story()
  const report = await instances.close()
  expect(report.findings).toEqual([])
  expect(report.counted['grant.created']).toBe(2)
  expect(instances.all.flatMap(({ fatal }) => fatal)).toEqual([])
})

it('an instance that is cut off stops acting before its successor starts; the successor continues its work (V2, V4, V7, V8)', async () => {
  await using instances = await Instances.open()
  const first = await instances.story()
  const pending = await instances.ask()
  const old = ofOne.map((service) => instances.active(service))
  const next = ofOne.map((service) => instances.standby(service))
  let together = 0
  const looking = setInterval(() => {
    for (const service of ofOne) if (instances.of(service).filter((one) => one.acts()).length > 1) together++
  }, 5)
  // A process that dies frees its lock. One that is only cut off keeps it, and no other takes its place.
  const [issuer, approval, evidence] = old
  const began = performance.now()
  for (const one of old) one.cut()
  const gone = evidence?.stop()
  for (const [n, service] of ofOne.entries()) await takenOver(instances, service, next[n] ?? expect.fail(), began)
  await gone
  clearInterval(looking)
  expect(together).toBe(0)
  const second = await instances.story(pending)
  const { revoked_sequence } = await instances.approver.withdraw(first.requestId)
  expect(revoked_sequence).toBe(1)
  expect(await first.call()).not.toBe('ok')
  expect(await second.call()).toBe('ok')
  issuer?.mend()
  approval?.mend()
  for (const one of [issuer, approval])
    expect(await eventually(() => one?.fatal[0])).toMatchObject({ code: 'service_standby' })
  expect([issuer?.acts(), approval?.acts()]).toEqual([false, false])
  expect(await second.call()).toBe('ok')
  const report = await instances.close()
  expect(report.findings).toEqual([])
  expect(report.counted['grant.created']).toBe(2)
})

it('a credential whose issuer died after recording the intent is signed only if it is requested again (V4)', async () => {
  await using instances = await Instances.open()
  const { grantId } = await instances.story()
  const old = instances.active('issuer')
  const next = instances.standby('issuer')
  const credentials = async (type: string) =>
    (await instances.events('grants.v1')).filter((event) => event.type === type)
  old.cutBefore('"type":"credential.issued"')
  let answered = false
  void instances
    .agent()
    .credential({ grantId }, { wait: AbortSignal.timeout(1500) })
    .then(() => {
      answered = true
    })
    .catch(() => undefined)
  await eventually(async () => (await credentials('credential.intended')).length === 2 || undefined)
  await takenOver(instances, 'issuer', next)
  const [intended, issued] = [await credentials('credential.intended'), await credentials('credential.issued')]
  expect([intended.length, issued.length]).toEqual([2, 1])
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect((await credentials('credential.issued')).length).toBe(issued.length)
  expect((await credentials('credential.intended')).length).toBe(intended.length)
  await instances.agent().credential({ grantId }, { wait: AbortSignal.timeout(60_000) })
  expect((await credentials('credential.issued')).at(-1)?.source).not.toBe(intended.at(-1)?.source)
  expect(answered).toBe(false)
  expect((await instances.close()).findings).toEqual([])
})
