import { paths } from '@bailiwick/installation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { plus, replaced, without } from './api-attacks.ts'
import { type Ask, AskingProxy, spellings } from './proxy-attacks.ts'
import { eventually } from './scene.ts'

/*
 * Another proxy asks the gateway, and then sends the request on itself. Each attack is a request that the proxy, the gateway and the API
 * could read in different ways, or does not come from the proxy. The answer must not be 200. The numbers are those of CVEs.
 */

let proxy: AskingProxy
beforeAll(async () => {
  proxy = await AskingProxy.open()
})
afterAll(() => proxy?.[Symbol.asyncDispose]())
const ask = (made: Ask) => proxy.ask(made)
const allowed = async (made: Ask) => {
  await expect.poll(() => ask(made)).toMatchObject({ status: 200 })
  return ask(made)
}

describe('the control: without an attack the proxy may send the request on', () => {
  it('that it tells of in fields', async () => {
    const { head, body } = await allowed({ target: '/open/x?a=1&b=%26' })
    expect(head).toMatch(/\r\nbailiwick-decision-id: dec_/i)
    expect(head).toMatch(/\r\ncache-control: no-store/i)
    expect(head).not.toMatch(/headers-to-remove/i)
    expect(body).toBe('')
  })

  it('that Envoy repeats, and it must leave out all that was no part of the decision', async () => {
    const more = plus('Cookie: a=b', 'X-Other: 1', 'X-Forwarded-For: 1.2.3.4', 'User-Agent: x')
    const { head } = await allowed({ entry: 'envoy', method: 'POST', body: '{"n":1}', fields: more })
    const [, list = ''] = /\r\nx-envoy-auth-headers-to-remove: (\S+)/i.exec(head) ?? []
    const removed = ['authorization', 'dpop', 'cookie', 'bailiwick-proxy', 'bailiwick-call-id', 'x-other', 'user-agent']
    expect(list.split(',')).toEqual(expect.arrayContaining([...removed, 'x-forwarded-for', 'forwarded']))
    // Also what an Envoy that shows fewer fields would let pass, and act on: one decision, and several requests.
    for (const unseen of [
      'x-envoy-retry-on',
      'x-envoy-max-retries',
      'x-http-method-override',
      'x-original-url',
      'range',
    ])
      expect(list.split(',')).toContain(unseen)
    for (const kept of ['accept', 'content-type', 'content-length', 'host']) expect(list.split(',')).not.toContain(kept)
  })
})

describe.each(['forward', 'envoy'] as const)('a path that is read in two ways, by %s', (entry) => {
  it.each(spellings)('%s', async (_, code, target) => {
    // What is refused by its form is refused before anything reads the proof.
    const answer = await ask({ entry, target, path: code === 'action_not_granted' ? target : '/open/x' })
    expect(answer.status).not.toBe(200)
    if (code !== undefined) expect([answer.status, answer.denied]).toEqual([403, code])
  })
})

describe('what a client writes into fields that the proxy writes too', () => {
  it.each<[string, string | undefined, Ask]>([
    ['a second target', 'header_repeated', { fields: plus('X-Forwarded-Uri: /open/x') }],
    ['a second method', 'header_repeated', { fields: plus('X-Forwarded-Method: GET') }],
    ['a second host', 'header_repeated', { fields: plus('X-Forwarded-Host: forward.test') }],
    ['another name of the target', 'header_forbidden', { fields: plus('X-Original-URI: /open/x') }],
    ['another name of the target (IIS)', 'header_forbidden', { fields: plus('X-Original-URL: /secret') }],
    ['another name of the target (Zend)', 'header_forbidden', { fields: plus('X-Rewrite-URL: /secret') }],
    ['another name of the method', 'header_forbidden', { fields: plus('X-HTTP-Method-Override: DELETE') }],
    ['another spelling of the field', 'header_name_forbidden', { fields: plus('X_Forwarded_Uri: /secret') }],
    ['no target', 'request_malformed', { fields: (f) => without(f, 'x-forwarded-uri') }],
    ['no method', 'request_malformed', { fields: (f) => without(f, 'x-forwarded-method') }],
    [
      'a whole URL as the target',
      'target_form_forbidden',
      { fields: (f) => replaced(f, 'x-forwarded-uri', 'X-Forwarded-Uri: http://forward.test/open/x') },
    ],
    [
      'two targets in one value',
      'path_character_forbidden',
      { fields: (f) => replaced(f, 'x-forwarded-uri', 'X-Forwarded-Uri: /open/x, /secret') },
    ],
    [
      'another host',
      'host_unknown',
      { fields: (f) => replaced(f, 'x-forwarded-host', 'X-Forwarded-Host: other.test') },
    ],
    [
      'another method than the proof is for',
      'proof_invalid',
      { fields: (f) => replaced(f, 'x-forwarded-method', 'X-Forwarded-Method: POST') },
    ],
    [
      'a method in small letters',
      'method_not_allowed',
      { fields: (f) => replaced(f, 'x-forwarded-method', 'X-Forwarded-Method: get') },
    ],
    [
      'a method that shows what is sent',
      'method_not_allowed',
      { fields: (f) => replaced(f, 'x-forwarded-method', 'X-Forwarded-Method: TRACE') },
    ],
    [
      'a target for which the proof is not',
      'proof_invalid',
      { fields: (f) => replaced(f, 'x-forwarded-uri', 'X-Forwarded-Uri: /open/y') },
    ],
    ['an id of a decision', 'header_forbidden', { fields: plus('Bailiwick-Decision-Id: dec_other') }],
    [
      'Envoy: an id of a decision',
      'header_forbidden',
      { entry: 'envoy', fields: plus('Bailiwick-Decision-Id: dec_other') },
    ],
    ['Range', 'header_forbidden', { fields: plus('Range: bytes=0-1') }],
    ['an upgrade', undefined, { fields: plus('Upgrade: websocket') }],
    [
      'Connection that strips a field (2026-33805)',
      undefined,
      { fields: (f) => replaced(f, 'connection', 'Connection: x-forwarded-uri') },
    ],
    ['two credentials', undefined, { fields: plus('Authorization: DPoP a.b.c') }],
    [
      'the target in the query of the question',
      'request_malformed',
      { line: 'GET /authorize/forward?uri=/open/x HTTP/1.1', fields: (f) => without(f, 'x-forwarded-uri') },
    ],
    ['HTTP/1.0', 'http_version_forbidden', { line: 'GET /authorize/forward HTTP/1.0' }],
    [
      'the paths of Envoy at a proxy of another kind',
      'route_unknown',
      { line: 'GET /authorize/forward/open/x HTTP/1.1' },
    ],
    ['an entry that is not there', 'route_unknown', { line: 'GET /authorize/other HTTP/1.1' }],
    ['an entry in capitals', 'route_unknown', { line: 'GET /authorize/FORWARD HTTP/1.1' }],
    ['Envoy: another host', 'host_unknown', { entry: 'envoy', fields: (f) => replaced(f, 'host', 'Host: other.test') }],
    ['Envoy: two hosts', undefined, { entry: 'envoy', fields: plus('Host: envoy.test') }],
    [
      'Envoy: the fields of other proxies',
      'proof_invalid',
      {
        entry: 'envoy',
        target: '/open/y',
        path: '/open/x',
        fields: plus('X-Forwarded-Uri: /open/x', 'X-Forwarded-Method: GET'),
      },
    ],
    [
      'Envoy: dots out of the entry',
      undefined,
      { entry: 'envoy', target: '/../envoy-erp/erp/invoices/1', path: '/erp/invoices/1' },
    ],
    ['Envoy: the entry escaped', 'route_unknown', { entry: 'envoy', line: 'GET /authorize/%65nvoy/open/x HTTP/1.1' }],
    [
      'Envoy: a part of a body',
      'body_not_shown',
      {
        entry: 'envoy',
        method: 'POST',
        body: '{"n":1}',
        fields: (f) => replaced(f, 'x-envoy-auth-partial-body', 'X-Envoy-Auth-Partial-Body: true'),
      },
    ],
    [
      'Envoy: a part of a body, and a client that says otherwise',
      'body_not_shown',
      { entry: 'envoy', method: 'POST', body: '{"n":1}', fields: plus('X-Envoy-Auth-Partial-Body: true') },
    ],
    ['Envoy: GET with a body', undefined, { entry: 'envoy', body: '{"n":1}' }],
    ['Envoy: two equal keys', 'json_malformed', { entry: 'envoy', method: 'POST', body: '{"n":1,"n":2}' }],
    [
      'Envoy: a body that names another method',
      'request_malformed',
      { entry: 'envoy', method: 'POST', body: '{"_method":"DELETE"}' },
    ],
  ])('%s', async (_, code, made) => {
    const answer = await ask(made)
    expect(answer.status).not.toBe(200)
    if (code !== undefined) expect(answer.denied).toBe(code)
  })
})

describe('a caller that is not the proxy', () => {
  const secretless = (f: string[]) => without(f, 'bailiwick-proxy')
  it.each<[string, (fields: string[]) => string[]]>([
    ['an agent that calls the gateway itself', secretless],
    ['a guessed secret', (f) => [...secretless(f), 'Bailiwick-Proxy: proxy-secret-0123456788']],
    ['an empty secret', (f) => [...secretless(f), 'Bailiwick-Proxy:']],
    ['a second secret beside the right one', plus('Bailiwick-Proxy: x')],
    ['the secret where others send theirs', (f) => [...secretless(f), 'X-Bailiwick-Proxy: proxy-secret-0123456789']],
  ])('%s learns nothing from any question', async (_, fields) => {
    for (const entry of ['forward', 'envoy'] as const)
      for (const target of ['/open/x', '/secret'])
        expect(await ask({ entry, target, fields })).toMatchObject({ status: 403, denied: 'proxy_unauthenticated' })
  })

  it('a proof serves once, no matter which proxy shows it (V10)', async () => {
    await allowed({})
    const proof = proxy.agent.proof('GET', 'http://forward.test/open/x')
    const same = (f: string[]) => replaced(f, 'dpop', `DPoP: ${proof}`)
    const first = await ask({ fields: same })
    const again = await ask({ fields: same })
    expect([first.status, again.status, again.denied]).toEqual([200, 401, 'proof_replayed'])
    expect(again.head).toMatch(/\r\nwww-authenticate: DPoP error="invalid_dpop_proof"/i)
  })

  it('refuses a bearer, and a request without a credential', async () => {
    const bearer = (f: string[]) => replaced(f, 'authorization', `Authorization: Bearer ${proxy.agent.token}`)
    expect(await ask({ fields: bearer })).toMatchObject({ status: 401, denied: 'proof_missing' })
    const none = await ask({ fields: (f) => without(without(f, 'authorization'), 'dpop') })
    expect(none).toMatchObject({ status: 401, denied: 'credential_missing' })
  })
})

describe('what a proxy cannot show, or cannot do', () => {
  it.each<[string, number, string | undefined, Ask]>([
    ['a body that nothing bounds', 200, undefined, { method: 'POST', target: '/open/x', body: '{}' }],
    ['a body that the grant bounds', 403, 'body_not_shown', { method: 'POST', target: '/bounded', body: '{}' }],
    ['a body where no argument may be', 403, 'body_not_shown', { method: 'POST', target: '/paged?page=1', body: '{}' }],
    [
      'a body whose members people signed',
      403,
      'body_not_shown',
      { entry: 'forward-erp', method: 'POST', target: '/erp/invoices', body: '{}' },
    ],
    [
      'a body where people signed that there is none',
      403,
      'body_not_shown',
      { entry: 'forward-erp', method: 'POST', target: '/erp/invoices/1/cancel' },
    ],
    [
      'a body of any members',
      200,
      undefined,
      { entry: 'forward-erp', method: 'POST', target: '/erp/search', body: '{}' },
    ],
    [
      'a body that Envoy shows, within its bound',
      200,
      undefined,
      { entry: 'envoy', method: 'POST', target: '/bounded', body: '{"amount":500}' },
    ],
    [
      'a body that Envoy shows, beyond it',
      403,
      'argument_out_of_bounds',
      { entry: 'envoy', method: 'POST', target: '/bounded', body: '{"amount":501}' },
    ],
    [
      'no body, where Envoy would show it',
      403,
      'argument_out_of_bounds',
      { entry: 'envoy', method: 'POST', target: '/bounded' },
    ],
    ['a field of the answer that must be hidden', 403, 'obligation_unsupported', { entry: 'forward-erp' }],
    ['a field of the answer that must be hidden, by Envoy', 403, 'obligation_unsupported', { entry: 'envoy-erp' }],
    ['an operation in capitals', 403, 'operation_ambiguous', { entry: 'envoy-erp', target: '/erp/invoices/EXPORT' }],
    ['a path that is no operation', 403, 'operation_unmapped', { entry: 'envoy-erp', target: '/erp/users' }],
    ['the API of another entry', 403, 'route_unknown', { entry: 'envoy-erp', target: '/open/x' }],
  ])('%s: %d', async (_, status, denied, made) => {
    await expect.poll(() => ask(made)).toMatchObject({ status, denied })
  })

  it('what may have been done stays spent, although the gateway may release (V9)', async () => {
    const create = (amount: number): Ask => ({
      ...{ entry: 'envoy-erp', method: 'POST', target: '/erp/invoices' },
      body: JSON.stringify({ amount, currency: 'EUR' }),
    })
    await expect.poll(() => ask(create(6))).toMatchObject({ status: 200 })
    await expect.poll(() => ask(create(6))).toMatchObject({ status: 403, denied: 'budget_exhausted' })
  })
})

it('says of each request that was let through that it was not observed, and an auditor finds that in order', async () => {
  const { log, trust } = paths(proxy.world.system.data)
  const statuses = await eventually('the outcomes are there', async () => {
    const found: string[] = []
    await using follower = await proxy.world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
      for (const { bytes } of batch) {
        const { type, data } = JSON.parse(Buffer.from(bytes).toString())
        if (type === 'outcome.reported') found.push(data.status)
        if (type === 'decision.allowed') found.push('allowed')
      }
    })
    await follower.caughtUp
    const reported = found.filter((each) => each !== 'allowed')
    return reported.length > 0 && reported.length * 2 === found.length ? reported : undefined
  })
  expect(new Set(statuses)).toEqual(new Set(['not_observed']))
  const report = await eventually('the audit is clean', async () => {
    const seen = await audit({ logDir: log, trustPath: trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})
