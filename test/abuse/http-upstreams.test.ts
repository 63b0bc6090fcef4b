import { type Arrived, chunk, chunkedHead, whole } from '@bailiwick/relay/raw-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiWorld, openApiWorld, upstreamSecret } from '../e2e/api-world.ts'
import { exchangeRaw, passing, RawAgent, type RawAnswer } from './raw-request.ts'
import { eventually } from './scene.ts'

/*
 * An HTTP API that is hostile, broken, or repeats what it was sent. Nothing that it says may become another agent's answer, take an agent
 * elsewhere, pass for an answer of the gateway, or show the secret that the gateway sent it.
 */

const secret = upstreamSecret
const in64 = Buffer.from(`x:${secret}`).toString('base64')
const json = 'content-type: application/json\r\n'

const answers: Record<string, string | ((arrived: Arrived) => void)> = {
  ok: whole('{"ok":true}'),
  redirect: `HTTP/1.1 302 Found\r\nlocation: https://evil.example/?key=${secret}\r\ncontent-length: 0\r\n\r\n`,
  'redirect-home': 'HTTP/1.1 308 Permanent Redirect\r\nlocation: /plain/secret\r\ncontent-length: 0\r\n\r\n',
  'redirect-by-refresh': whole('{}', `${json}refresh: 0; url=https://evil.example/\r\n`),
  created: whole('{}', `${json}location: /plain/open/created/1\r\n`, '201 Created'),
  'created-with-secret': whole('{}', `${json}location: /plain/open/1?key=${secret}\r\n`, '201 Created'),
  'created-with-secret-in-64': whole('{}', `${json}location: /plain/open/1?auth=${in64}\r\n`, '201 Created'),
  'etag-with-secret': whole(
    '{}',
    `${json}etag: "${secret}"\r\nlink: <https://a.example/${encodeURIComponent(secret)}>\r\n`,
  ),
  'body-with-secret': whole(`{"sent":"Bearer ${secret}"}`),
  'body-with-secret-in-64': whole(`{"sent":"${in64}"}`),
  'error-with-secret': whole(`{"error":"bad key ${secret}"}`, json, '500 Internal Server Error'),
  'secret-in-two-chunks': ({ socket }) => {
    socket.write(`${chunkedHead('application/json')}${chunk(`{"sent":"${secret.slice(0, 9)}`)}`)
    setTimeout(() => socket.write(`${chunk(`${secret.slice(9)}"}`)}0\r\n\r\n`), 20)
  },
  unauthorised: whole(`{"error":"${secret}"}`, `${json}www-authenticate: Bearer realm="x"\r\n`, '401 Unauthorized'),
  'proxy-unauthorised': whole('{}', `${json}proxy-authenticate: Basic\r\n`, '407 Proxy Authentication Required'),
  fields: whole(
    '{"ok":true}',
    [
      ...[
        json.trim(),
        'set-cookie: session=1',
        'access-control-allow-origin: *',
        'strict-transport-security: max-age=9',
      ],
      ...['cache-control: public, max-age=600', 'expires: Thu, 01 Dec 2050 16:00:00 GMT', 'age: 1', 'vary: *'],
      ...['clear-site-data: "*"', 'alt-svc: h3="evil.example:443"', 'content-security-policy: none', 'server: erp/1.0'],
      ...['bailiwick-decision-id: dec_forged', 'dpop-nonce: forged', 'x-request-id: forged', 'x-internal: 10.0.0.1'],
      ...[
        'connection: x-total',
        'x-total: 1',
        'keep-alive: timeout=600',
        'upgrade: h2c',
        'x-accel-redirect: /etc/passwd',
      ],
    ]
      .map((line) => `${line}\r\n`)
      .join(''),
  ),
  // The second answer was not asked for (2026-48931).
  'two-answers': `${whole('{"ok":true}')}${whole('{"stolen":"answer of another"}')}`,
  'two-lengths':
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}',
  'length-and-chunks': 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'broken-chunk': ({ socket }) => socket.end(`${chunkedHead('application/json')}${chunk('{"part":1,')}zz\r\n`),
  'cut-in-a-chunk': ({ socket }) => socket.end(`${chunkedHead('application/json')}ff\r\n{"part":1`),
  'shorter-than-announced': ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{"part":1'),
  switching: 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  'informational-for-ever': ({ socket }) => socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(40)),
  compressed: whole('\x1f\x8b\x08', `${json}content-encoding: gzip\r\n`),
  'not-http': 'SSH-2.0-OpenSSH_9.2\r\n',
  'header-injection': 'HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: session=1\r\ncontent-length: 2\r\n\r\n{}',
}

let at: ApiWorld
let agent: RawAgent
let grantId: string
beforeAll(async () => {
  at = await openApiWorld({
    answer(arrived) {
      const given = answers[arrived.target.split('/').at(-1) ?? '']
      if (typeof given === 'function') given(arrived)
      else arrived.socket.write(given ?? whole('{"ok":true}'), 'latin1')
    },
  })
  ;({ grantId } = await at.world.granted(at.authority))
  agent = await RawAgent.open(at.world, grantId)
})
afterAll(() => at?.[Symbol.asyncDispose]())

async function get(name: string, method = 'GET'): Promise<RawAnswer> {
  const path = `/http/plain/open/${name}`
  return eventually('it is decided', async () => {
    const fields = [
      `Host: ${new URL(at.world.url).host}`,
      'Connection: close',
      ...agent.fields(method, `${at.world.url}${path}`),
    ]
    const given = await exchangeRaw(at.world.url, { line: `${method} ${path} HTTP/1.1`, fields })
    const [, nonce] = /\r\ndpop-nonce: (\S+)/i.exec(given.head) ?? []
    if (nonce !== undefined) agent.nonce = nonce
    return nonce !== undefined || passing.has(given.code ?? '') ? undefined : given
  })
}

it('the control: an answer of the API comes back, and no cache may keep it', async () => {
  const answer = await get('ok')
  expect(answer).toMatchObject({ status: 200, body: '{"ok":true}', isWhole: true })
  expect(answer.head).toMatch(/\r\ncache-control: no-store(\r\n|$)/i)
  expect(answer.head).toMatch(/\r\nbailiwick-decision-id: dec_/)
})

describe('an answer that the gateway does not pass on', () => {
  it.each<[string, string]>([
    ['redirect', 'upstream_redirected'],
    ['redirect-home', 'upstream_redirected'],
    ['unauthorised', 'upstream_failed'],
    ['proxy-unauthorised', 'upstream_failed'],
    ['two-lengths', 'upstream_failed'],
    ['length-and-chunks', 'upstream_failed'],
    ['switching', 'upstream_failed'],
    ['informational-for-ever', 'upstream_failed'],
    ['compressed', 'upstream_failed'],
    ['not-http', 'upstream_failed'],
    ['header-injection', 'upstream_failed'],
  ])('%s', async (name, code) => {
    const answer = await get(name)
    expect(answer).toMatchObject({ status: 502, code })
    expect(`${answer.head}${answer.body}`).not.toMatch(/evil|session=1|realm|stolen|location/i)
    expect(`${answer.head}${answer.body}`).not.toContain(secret)
  })
})

describe('an answer that is never taken for a whole one', () => {
  it.each([
    ['broken-chunk'],
    ['cut-in-a-chunk'],
    ['shorter-than-announced'],
    ['body-with-secret'],
    ['body-with-secret-in-64'],
    ['error-with-secret'],
    ['secret-in-two-chunks'],
  ])('%s', async (name) => {
    const answer = await get(name)
    expect(answer.isWhole).toBe(false)
    expect(`${answer.head}${answer.body}`).not.toContain(secret)
    expect(answer.body).not.toContain(in64)
  })
})

it('no field of an answer speaks for the gateway, reaches a browser or a cache, or holds the secret', async () => {
  const { head, status } = await get('fields')
  expect(status).toBe(200)
  expect(head).not.toMatch(/forged|session=1|max-age|evil|erp\/1|10\.0\.0\.1|passwd|x-total|vary|expires|upgrade/i)
  for (const name of ['etag-with-secret', 'created-with-secret', 'created-with-secret-in-64', 'redirect-by-refresh']) {
    const answer = await get(name)
    expect(answer.head).not.toMatch(/\r\n(location|etag|link|refresh):/i)
    expect(answer.head).not.toContain(secret)
  }
})

it('the address of what was created comes back', async () => {
  expect((await get('created')).head).toMatch(/\r\nlocation: \/plain\/open\/created\/1(\r\n|$)/)
})

it('a second answer that was not asked for reaches no other request', async () => {
  for (let n = 0; n < 5; n++) {
    const [first, second] = await Promise.all([get('two-answers'), get('ok')])
    const third = await get('ok')
    for (const { body } of [first, second, third]) expect(body).not.toContain('stolen')
    expect(third.body).toBe('{"ok":true}')
  }
})

it('the secret is in no log entry, in no event and in no answer of the gateway itself (V17)', async () => {
  const seen: string[] = []
  await using follower = await at.world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) seen.push(Buffer.from(bytes).toString())
  })
  await follower.caughtUp
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.join('\n')).not.toContain(secret)
})
