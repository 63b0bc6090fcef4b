import { metrics } from '@bailiwick/host'
import { systemRandom } from '@bailiwick/kit'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { openSecrets } from '@bailiwick/relay'
import { expect, it } from 'vitest'
import { AccessLogs } from './access-logs.ts'
import type { Asking } from './asked-about.ts'
import { authorizeEntry } from './authorize-entry.ts'
import { type Authorized, Authorizer } from './authorizer.ts'
import { Authorizers } from './authorizers.ts'

const secret = 'proxy-secret-0123456789'
const credentialFor = (aud: string) => {
  const claims = { sub: 'a', client_id: 'a/1', aud, exp: 1, grant: { root: 'grt_1' } }
  return `a.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c`
}
const credential = credentialFor('https://erp.example/base')
const common = {
  url: 'http://api.test/v1',
  address: 'https://erp.example/base',
  secret: `\${secret:env:PROXY}`,
  forward: ['idempotency-key'],
}

const newLogs = () =>
  new AccessLogs({ random: systemRandom, metrics: metrics({ service: 'test', processMetrics: false }) })

async function world(more: object = {}, env: Record<string, string> = { PROXY: secret }) {
  await using opening = new AsyncDisposableStack()
  const pdp = opening.use(await FakePdp.start())
  const point = opening.use(await aPoint(pdp))
  const entry = authorizeEntry.parse({ ...common, ...more })
  const logs = opening.use(newLogs())
  const parts = { point, logs, audiences: [], secrets: openSecrets({ env }) }
  const authorizer = new Authorizer({ ...parts, name: 'erp', entry })
  const owned = opening.move()
  return { pdp, point, logs, authorizer, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const forward = (method: string, uri: string, more: string[] = []): Asking => ({
  ...{ method: 'GET', target: '' },
  rawHeaders: [
    ...['Bailiwick-Proxy', secret, 'X-Forwarded-Method', method, 'X-Forwarded-Uri', uri],
    ...['X-Forwarded-Host', 'erp.example', 'Authorization', `DPoP ${credential}`, 'DPoP', 'd.e.f', ...more],
  ],
  body: new Uint8Array(),
})
const envoy = (method: string, target: string, body = '', more: string[] = []): Asking => ({
  ...{ method, target },
  rawHeaders: [
    ...['Bailiwick-Proxy', secret, 'Host', 'erp.example', 'Authorization', `DPoP ${credential}`, 'DPoP', 'd.e.f'],
    ...(body === '' ? [] : ['Content-Type', 'application/json', 'X-Envoy-Auth-Partial-Body', 'false']),
    ...more,
  ],
  body: Buffer.from(body),
})

it('asks about the request that the proxy tells of, at the address that agents call, and reports what it did not see', async () => {
  await using w = await world()
  const asking = forward('GET', '/base/invoices/1?a=b', ['Idempotency-Key', 'k', 'Cookie', 'c=d', 'User-Agent', 'x'])
  const decided = await w.authorizer.decide(asking)
  expect(decided).toMatchObject({ allowed: true, fields: new Set(['idempotency-key']) })
  expect(w.pdp.evaluations).toMatchObject([
    {
      action: { name: 'GET', properties: { query: { a: 'b' }, headers: { 'idempotency-key': 'k' } } },
      resource: { type: 'api', id: 'http://api.test/v1/invoices/1' },
      context: {
        supported_obligations: ['step-up'],
        bailiwick: { htm: 'GET', htu: 'https://erp.example/base/invoices/1', credential, proof: 'd.e.f' },
      },
    },
  ])
  await w.point.delivered()
  expect(w.pdp.outcomes).toMatchObject([{ status: 'not_observed' }])
})

it('decides on the body that Envoy shows', async () => {
  await using w = await world({ proxy: 'envoy', body: 'shown' })
  expect(await w.authorizer.decide(envoy('POST', '/base/x', '{"n": 1}'))).toMatchObject({ allowed: true })
  expect(w.pdp.evaluations[0]?.action.properties).toMatchObject({ body: { n: 1 } })
  const part = { ...envoy('POST', '/base/x', '{"n": 1}'), rawHeaders: ['X-Envoy-Auth-Partial-Body', 'true'] }
  expect(await w.authorizer.decide(part)).toMatchObject({ refused: 'body_not_shown' })
  const twice = envoy('POST', '/base/x', '{"n": 1}', ['X-Envoy-Auth-Partial-Body', 'false'])
  expect(await w.authorizer.decide(twice)).toMatchObject({ refused: 'body_not_shown' })
  expect(w.pdp.evaluations).toHaveLength(1)
})

it('reports what the log of Envoy says of a request that it allowed, as soon as it says it', async () => {
  await using w = await world({ proxy: 'envoy', log_seconds: 600 })
  const markOf = async (asking: Asking) => ((await w.authorizer.decide(asking)) as Authorized).logMark
  const [mark, other] = [await markOf(envoy('GET', '/base/x')), await markOf(envoy('GET', '/base/y'))]
  expect(w.pdp.evaluations[0]).toMatchObject({ context: { bailiwick: { answer_seconds: 600 } } })
  w.logs.take('erp', mark ?? '', { status: 404, bytes: 3 })
  w.logs[Symbol.dispose]()
  await w.point.delivered()
  expect(other).not.toBe(mark)
  expect(w.pdp.outcomes).toMatchObject([
    { status: 'failed', http_status: 404, egress_bytes: 3 },
    { status: 'not_observed' },
  ])
})

it('takes no body for shown that the fields announce and Envoy did not show', async () => {
  await using w = await world({ proxy: 'envoy', body: 'shown' })
  const fields = (...more: string[]) => envoy('POST', '/base/x', '{}', more)
  expect(await w.authorizer.decide(fields('Content-Length', '2'))).toMatchObject({ allowed: true })
  expect(await w.authorizer.decide(fields('Content-Length', '3'))).toMatchObject({ refused: 'body_not_shown' })
  const none = envoy('POST', '/base/x', '', ['Transfer-Encoding', 'chunked'])
  expect(await w.authorizer.decide(none)).toMatchObject({ refused: 'body_not_shown' })
  const get = envoy('GET', '/base/x', '', ['Content-Length', '2'])
  expect(await w.authorizer.decide(get)).toMatchObject({ refused: 'request_malformed' })
  expect(w.pdp.evaluations).toHaveLength(1)
})

it('says that the body is not shown, if bounds may be about it, and the reason of the decision point otherwise', async () => {
  await using w = await world()
  const reasons = (reason: string) => {
    w.pdp.answer = () => ({ body: { decision: false, context: { reason } } })
  }
  reasons('argument_out_of_bounds')
  const refused = { refused: 'body_not_shown', detail: 'argument_out_of_bounds' }
  expect(await w.authorizer.decide(forward('POST', '/base/x'))).toEqual(refused)
  expect(await w.authorizer.decide(forward('GET', '/base/x'))).toMatchObject({ reason: 'argument_out_of_bounds' })
  reasons('cost_invalid')
  expect(await w.authorizer.decide(forward('POST', '/base/x'))).toMatchObject({ refused: 'body_not_shown' })
  reasons('action_not_granted')
  expect(await w.authorizer.decide(forward('POST', '/base/x'))).toMatchObject({ reason: 'action_not_granted' })
  expect(w.pdp.evaluations.map(({ action }) => action.properties.body_unseen)).toEqual([true, undefined, true, true])
})

it.each<[string, string, Asking]>([
  ['a path that is not below the address', 'route_unknown', forward('GET', '/other/x')],
  ['a path that begins like the address', 'route_unknown', forward('GET', '/based/x')],
  ['the address itself', 'route_unknown', forward('GET', '/base')],
  ['two targets', 'header_repeated', forward('GET', '/base/x', ['X-Forwarded-Uri', '/base/y'])],
  ['two methods', 'header_repeated', forward('GET', '/base/x', ['x-forwarded-method', 'DELETE'])],
  ['two hosts', 'header_repeated', forward('GET', '/base/x', ['X-Forwarded-Host', 'evil.example'])],
  ['another name of the target', 'header_forbidden', forward('GET', '/base/x', ['X-Original-URI', '/base/y'])],
  ['no method', 'request_malformed', { ...forward('GET', '/base/x'), rawHeaders: ['X-Forwarded-Uri', '/base/x'] }],
  ['no target', 'request_malformed', { ...forward('GET', '/base/x'), rawHeaders: ['X-Forwarded-Method', 'GET'] }],
  ['a body', 'request_malformed', { ...forward('POST', '/base/x'), body: Buffer.from('{}') }],
])('refuses %s before anything is decided', async (_, refused, asking) => {
  await using w = await world()
  expect(await w.authorizer.decide(asking)).toMatchObject({ refused })
  expect(w.pdp.evaluations).toEqual([])
})

it('refuses another host than that of the address, and ignores its port', async () => {
  await using w = await world({ proxy: 'envoy' })
  const at = (host: string) => ({ ...envoy('GET', '/base/x'), rawHeaders: ['Host', host] })
  for (const host of [
    'evil.example',
    'erp.example.evil.example',
    'x@evil.example',
    'x@erp.example',
    '',
    'erp.example:',
  ])
    expect(await w.authorizer.decide(at(host))).toMatchObject({ refused: 'host_unknown' })
  for (const host of ['erp.example:8443', 'ERP.example'])
    expect(await w.authorizer.decide(at(host))).toHaveProperty('allowed')
  const shown = envoy('POST', '/base/x', '{}')
  expect(await w.authorizer.decide(shown)).toMatchObject({ refused: 'request_malformed' })
})

it('knows the proxy by its secret, and by nothing else', async () => {
  await using w = await world()
  const has = (...rawHeaders: string[]) => w.authorizer.isProxy({ rawHeaders })
  expect(await has('bailiwick-proxy', secret)).toBe(true)
  expect(await has('Bailiwick-Proxy', `${secret} `)).toBe(false)
  expect(await has('Bailiwick-Proxy', '')).toBe(false)
  expect(await has()).toBe(false)
  expect(await has('Bailiwick-Proxy', secret, 'Bailiwick-Proxy', secret)).toBe(false)
  await using short = await world({}, { PROXY: 'short' })
  await expect(short.authorizer.isProxy({ rawHeaders: ['Bailiwick-Proxy', 'short'] })).rejects.toThrow('secret')
})

it('takes a credential for the address alone, if it names an address', async () => {
  await using w = await world()
  const ask = (aud: string) => {
    const { rawHeaders, ...asking } = forward('GET', '/base/x')
    const named = rawHeaders.map((text) => (text === `DPoP ${credential}` ? `DPoP ${credentialFor(aud)}` : text))
    return w.authorizer.decide({ ...asking, rawHeaders: named })
  }
  expect(await ask('https://erp.example/base')).toMatchObject({ allowed: true })
  expect(await ask('https://erp.example')).toEqual({ allowed: false, reason: 'credential_audience_wrong' })
})

it('keeps an entry that did not change, and uses none of a file with one that cannot work', async () => {
  await using w = await world()
  const authorizers = new Authorizers({
    ...{ point: w.point, logs: w.logs },
    audiences: [],
    secrets: openSecrets({ env: { PROXY: secret } }),
  })
  const entry = (more: object = {}) => authorizeEntry.parse({ ...common, ...more })
  expect(authorizers.prepare({ erp: entry() }).use()).toEqual({ added: ['erp'], changed: [], removed: [] })
  const before = authorizers.get('erp')
  expect(() => authorizers.prepare({ erp: entry({ secret: `\${secret:nowhere:x}` }) })).toThrow('config_invalid')
  authorizers.prepare({ erp: entry() }).use()
  expect(authorizers.get('erp')).toBe(before)
  expect(authorizers.prepare({ erp: entry({ body: 'unseen', proxy: 'envoy' }) }).use()).toMatchObject({
    changed: ['erp'],
  })
  expect(authorizers.prepare({}).use()).toMatchObject({ removed: ['erp'] })
  expect(authorizers.get('erp')).toBeUndefined()
})
