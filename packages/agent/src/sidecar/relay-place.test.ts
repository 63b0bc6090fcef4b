import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeInstallation, grantId } from '../installation.fixture.ts'
import { type Loopback, listenPlaces } from './loopback.ts'
import { relayPlace } from './relay-place.ts'

let fake: FakeInstallation
let loopback: Loopback
let grants: string[]
beforeEach(async () => {
  fake = await FakeInstallation.start()
  fake.nonce = undefined
  grants = [grantId]
  const options = { agent: fake.agent(), grants: () => grants, mostBytes: 1024 }
  const places = new Map(
    ['http/erp', 'models/acme'].map((path) => [path, relayPlace({ ...options, address: `${fake.url}/${path}` })]),
  )
  loopback = await listenPlaces(places, { random: (n) => crypto.getRandomValues(new Uint8Array(n)) })
})
afterEach(async () => {
  await loopback[Symbol.asyncDispose]()
  await fake[Symbol.asyncDispose]()
})

interface Sending {
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** Sends a target as it is: no client rewrites it. */
const send = (target: string, { method = 'GET', headers = {}, body }: Sending = {}) =>
  new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>((resolve, reject) => {
    const { port, pathname } = new URL(loopback.url)
    const path = target.startsWith('!') ? target.slice(1) : `${pathname}${target}`
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
    })
    sent.on('error', reject)
    sent.end(body)
  })

describe('a place of the gateway, for a client that knows nothing of Bailiwick', () => {
  it('passes a request on as it is, with the credential and a proof of this address', async () => {
    fake.api = () => ({ body: { done: true }, headers: { 'x-request-id': 'r-1', 'set-cookie': 'a=b' } })
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'i-1' }
    const {
      status,
      text,
      headers: answered,
    } = await send('/http/erp/invoices/4711?a=%20b&c=d', {
      ...{ method: 'POST', headers, body: '{"amount":"12.00"}' },
    })
    expect([status, text, answered['x-request-id'], answered['set-cookie']]).toEqual([
      ...[200, '{"done":true}', 'r-1', undefined],
    ])
    const [got] = fake.at('/http/')
    expect(got).toMatchObject({
      method: 'POST',
      path: '/http/erp/invoices/4711?a=%20b&c=d',
      text: '{"amount":"12.00"}',
    })
    expect(got?.headers).toMatchObject({
      ...headers,
      authorization: 'DPoP token-1',
      'bailiwick-call-id': expect.any(String),
    })
  })

  it('passes on no key, credential, proof, cookie, origin or call id of its client', async () => {
    const theirs = {
      ...{ authorization: 'Bearer stolen', 'x-api-key': 'sk-real', dpop: 'x', cookie: 'a=b' },
      'proxy-authorization': 'Basic c2VjcmV0',
    }
    const origin = new URL(loopback.url).origin
    await send('/models/acme/v1/models', { headers: { ...theirs, 'bailiwick-call-id': 'mine', origin } })
    const headers = fake.at('/models/')[0]?.headers ?? {}
    expect(headers.authorization).toBe('DPoP token-1')
    expect(headers['bailiwick-call-id']).not.toBe('mine')
    for (const name of ['x-api-key', 'cookie', 'origin', 'proxy-authorization']) expect(headers[name]).toBeUndefined()
  })

  it.each([
    ['a path out of its name', '/http/erp/../reports/x'],
    ['an escaped one', '/http/erp/%2e%2e/reports/x'],
    ['another spelling', '/http/erp/a\\b'],
    ['a fragment', '/http/erp/a#b'],
  ])('refuses %s, and sends nothing', async (_, target) => {
    expect((await send(target)).status).toBe(400)
    expect(fake.at('/http/')).toEqual([])
  })

  it.each([
    ['another entry', '/http/crm/x'],
    ['an entry that begins alike', '/http/erp2/x'],
    ['no entry', '/'],
    ['the entry without the secret', '!/http/erp/x'],
    ['a guess of the secret', `!/${'A'.repeat(32)}/http/erp/x`],
    ['the whole address as the target', '!http://127.0.0.1/http/erp/x'],
  ])('has nothing at %s', async (_, target) => {
    expect((await send(target)).status).toBe(404)
    expect(fake.at('/http/')).toEqual([])
  })

  it.each([
    ['/http/erp/a/b/c?d=/e', '/http/erp/a/x?y=z', '/a/x?y=z'],
    ['/http/erp/a', '/http/erp/', '/'],
    ['/http/erp/a', '/http/erp/a:b', '/a:b'],
  ])('leads on from %s to %s at the address that its client knows', async (target, location, there) => {
    fake.api = () => ({ status: 302, headers: { location } })
    const shown = String((await send(target)).headers.location)
    expect(new URL(shown, `${loopback.url}${target}`).href).toBe(`${loopback.url}/http/erp${there}`)
    expect(shown).not.toContain(new URL(loopback.url).pathname)
  })

  it.each(['/http/crm/x', 'https://erp.example/http/erp/x'])('does not change where %s leads', async (location) => {
    fake.api = () => ({ status: 302, headers: { location } })
    expect((await send('/http/erp/a')).headers.location).toBe(location)
  })

  it('shows no challenge, and no 401, which clients take for a wrong key', async () => {
    fake.api = () => ({
      status: 401,
      headers: { 'www-authenticate': 'DPoP error="invalid_token"' },
      body: { code: 'x' },
    })
    const { status, headers } = await send('/http/erp/x')
    expect([status, headers['www-authenticate']]).toEqual([403, undefined])
  })

  it('waits for a grant of which the decision point has not read, and repeats nothing that an API did', async () => {
    const denied = {
      status: 403,
      headers: { 'bailiwick-denied': 'credential_unrecorded', 'retry-after': '1' },
      body: {},
    }
    const replies = [denied, denied, { body: { done: true } }]
    fake.api = () => replies.shift() ?? { status: 503, headers: { 'retry-after': '1' }, body: {} }
    expect((await send('/http/erp/x')).status).toBe(200)
    expect((await send('/http/erp/y', { method: 'POST', body: '{}' })).status).toBe(503)
    expect(fake.at('/http/erp/y')).toHaveLength(1)
  })

  it('says that the task is over, and takes no request that is too long', async () => {
    fake.token = () => ({ status: 400, body: { error: 'access_denied' } })
    const { status, text } = await send('/http/erp/x')
    expect([status, JSON.parse(text).code]).toEqual([403, 'access_request_refused'])
    expect((await send('/http/erp/x', { method: 'POST', body: 'x'.repeat(2000) })).status).toBe(413)
  })

  it('makes a request under the first of several grants that covers it, and shows the denial that says most', async () => {
    grants = ['grt_one', 'grt_two', 'grt_three']
    const codes = ['action_not_granted', undefined]
    fake.api = () => {
      const code = codes.shift()
      return code === undefined
        ? { body: { done: true } }
        : { status: 403, headers: { 'bailiwick-denied': code }, body: { code } }
    }
    expect((await send('/http/erp/x', { method: 'POST', body: '{}' })).text).toBe('{"done":true}')
    expect(fake.at('/http/erp/x')).toHaveLength(2)
    codes.push('action_not_granted', 'argument_out_of_bounds', 'action_not_granted')
    expect(JSON.parse((await send('/http/erp/y')).text).code).toBe('argument_out_of_bounds')
    // What is no matter of a grant is not tried again.
    codes.push('policy_denied')
    expect(JSON.parse((await send('/http/erp/z')).text).code).toBe('policy_denied')
    expect(fake.at('/http/erp/z')).toHaveLength(1)
    grants = []
    expect(JSON.parse((await send('/http/erp/w')).text).code).toBe('grant_not_active')
    expect(fake.at('/http/erp/w')).toEqual([])
  })
})
