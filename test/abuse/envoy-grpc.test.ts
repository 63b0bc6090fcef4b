import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { field, integerField } from '@bailiwick/gateway/protobuf'
import { paths } from '@bailiwick/installation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { plus, replaced, without } from './api-attacks.ts'
import {
  answerOf,
  checkPath,
  checkRequest,
  framed,
  GrpcClient,
  headerValue,
  logEntry,
  logMessage,
  logPath,
  ofHttp,
  type Shown,
} from './envoy-client.ts'
import { AskingProxy, type GrpcAsk, spellings } from './proxy-attacks.ts'
import { eventually } from './scene.ts'

/*
 * Envoy asks the gateway over gRPC, and sends the log of what it did. Each attack is a message that two readers could understand
 * differently, that costs the gateway more than its sender, or that does not come from Envoy. Nothing of it may be allowed or reported.
 */

let proxy: AskingProxy
beforeAll(async () => {
  proxy = await AskingProxy.open()
})
afterAll(() => proxy?.[Symbol.asyncDispose]())
const ask = (made: GrpcAsk = {}) => proxy.askGrpc(made)
const allowed = async (made: GrpcAsk = {}) => {
  await expect.poll(() => ask(made)).toMatchObject({ status: 200 })
  return ask(made)
}
/** Any call of the method, with the proxy's secret. */
const call = (...bytes: Uint8Array[]) => proxy.grpc.call(checkPath, proxy.metadata(), ...bytes)

describe('the control: without an attack Envoy may send the request on', () => {
  it('and must leave out all that was no part of the decision', async () => {
    const more = plus('Cookie: a=b', 'X-Other: 1', 'X-Forwarded-For: 1.2.3.4', 'User-Agent: x')
    const { fields, removed, mark } = await allowed({ method: 'POST', body: '{"n":1}', fields: more })
    expect(fields).toEqual([expect.stringMatching(/^bailiwick-decision-id: dec_/)])
    const gone = ['authorization', 'dpop', 'cookie', 'bailiwick-proxy', 'bailiwick-call-id', 'x-other', 'user-agent']
    expect(removed).toEqual(expect.arrayContaining([...gone, 'x-forwarded-for', 'forwarded']))
    for (const kept of ['accept', 'content-type', 'content-length', 'host']) expect(removed).not.toContain(kept)
    expect(mark).toBeUndefined()
  })

  it('and a challenge is that of an answer over HTTP', async () => {
    const none = await ask({ fields: (f) => without(without(f, 'authorization'), 'dpop') })
    expect(none).toMatchObject({ status: 401, denied: 'credential_missing' })
    expect(none.fields).toContainEqual(expect.stringMatching(/^www-authenticate: DPoP/))
    expect(none.fields).toContain('content-type: application/problem+json')
  })
})

describe('a path that is read in two ways', () => {
  it.each(spellings)('%s', async (_, code, target) => {
    const answer = await ask({ target, path: code === 'action_not_granted' ? target : '/open/x' })
    expect(answer.status).not.toBe(200)
    if (code !== undefined) expect([answer.status, answer.denied]).toEqual([403, code])
  })
})

const withMore = (...more: Uint8Array[]) => ({ shown: (said: Shown) => ({ ...said, more: Buffer.concat(more) }) })
const changed = (change: Partial<Shown>) => ({ shown: (said: Shown) => ({ ...said, ...change }) })

describe('attributes and header fields that contradict each other', () => {
  it.each<[string, string | undefined, GrpcAsk]>([
    ['another path beside the header field', 'request_malformed', withMore(field(4, '/secret'))],
    ['another method beside the header field', 'request_malformed', withMore(field(2, 'DELETE'))],
    ['a second list of header fields', 'request_malformed', withMore(field(13, headerValue('x', 'y')))],
    ['header fields that were joined', 'request_malformed', withMore(field(3, field(1, 'x'), field(2, 'y')))],
    ['a query beside the path', 'request_malformed', withMore(field(7, 'admin=1'))],
    ['a fragment beside the path', 'request_malformed', withMore(field(8, 'x'))],
    ['a body as text beside the bytes', 'body_not_shown', withMore(field(11, '{"n":1}'))],
    ['a second path in the header fields', 'header_repeated', { fields: plus(':path: /secret') }],
    ['a second authority', 'header_repeated', { fields: plus(':authority: other.test') }],
    ['a Host field beside the authority', 'header_repeated', { fields: plus('Host: envoy.test') }],
    ['a tunnel to another protocol', 'header_forbidden', { fields: plus(':protocol: websocket') }],
    ['an upgrade', undefined, { fields: plus('Upgrade: websocket') }],
    ['another host', 'host_unknown', changed({ host: 'other.test' })],
    ['no host', 'host_unknown', changed({ host: '' })],
    ['a method in small letters', 'method_not_allowed', changed({ method: 'get' })],
    ['another method than the proof is for', 'proof_invalid', changed({ method: 'POST' })],
    ['a target for which the proof is not', 'proof_invalid', changed({ path: '/open/y' })],
    ['an id of a decision from the client', 'header_forbidden', { fields: plus('Bailiwick-Decision-Id: dec_other') }],
    ['a mark of the log from the client', 'header_forbidden', { fields: plus('Bailiwick-Log: x') }],
    [
      'a connection that ends at the id of the decision (2026-33805)',
      undefined,
      { fields: plus('Connection: close, bailiwick-decision-id') },
    ],
    ['two credentials', undefined, { fields: plus('Authorization: DPoP a.b.c') }],
    ['two proofs', undefined, { fields: plus('DPoP: a.b.c') }],
    ['a line end in a field', 'header_value_forbidden', { fields: plus('X-A: b\r\nx-c: d') }],
    ['a byte above ASCII in a field', 'header_value_forbidden', { fields: plus('X-A: \xe9') }],
    ['another name of the target', 'header_forbidden', { fields: plus('X-Original-URI: /open/x') }],
    ['Range', 'header_forbidden', { fields: plus('Range: bytes=0-1') }],
    ['the secret of the proxy from the client', undefined, { metadata: { 'bailiwick-proxy': 'x' } }],
    [
      'a part of a body',
      'body_not_shown',
      {
        ...{ method: 'POST', body: '{"n":1}' },
        fields: (f) => replaced(f, 'x-envoy-auth-partial-body', 'X-Envoy-Auth-Partial-Body: true'),
      },
    ],
    [
      'a part of a body, and a client that says otherwise',
      'body_not_shown',
      { method: 'POST', body: '{"n":1}', fields: plus('X-Envoy-Auth-Partial-Body: true') },
    ],
    [
      'less of a body than its length says',
      'body_not_shown',
      { method: 'POST', body: '{"n":1}', fields: (f) => replaced(f, 'content-length', 'Content-Length: 8') },
    ],
    ['a body that is announced and not shown', 'body_not_shown', { method: 'POST', fields: plus('Content-Length: 7') }],
    ['chunks that are not shown', 'body_not_shown', { method: 'POST', fields: plus('Transfer-Encoding: chunked') }],
    ['GET with a body', undefined, { body: '{"n":1}' }],
    ['GET with a body that is not shown', undefined, { entry: 'envoy-unseen', fields: plus('Content-Length: 7') }],
    ['two equal keys', 'json_malformed', { method: 'POST', body: '{"n":1,"n":2}' }],
    ['a body that names another method', 'request_malformed', { method: 'POST', body: '{"_method":"DELETE"}' }],
  ])('%s', async (_, code, made) => {
    const answer = await ask(made)
    expect(answer.status).not.toBe(200)
    expect(answer.denied).toBeDefined()
    if (code !== undefined) expect(answer.denied).toBe(code)
  })

  it.each<[string, number, string | undefined, GrpcAsk]>([
    ['a body within its bound', 200, undefined, { method: 'POST', target: '/bounded', body: '{"amount":500}' }],
    ['beyond it', 403, 'argument_out_of_bounds', { method: 'POST', target: '/bounded', body: '{"amount":501}' }],
    [
      'one that is not shown, where the grant bounds it',
      403,
      'body_not_shown',
      { entry: 'envoy-unseen', method: 'POST', target: '/bounded', fields: plus('Content-Length: 7') },
    ],
    [
      'one that is not shown, where nothing bounds it',
      200,
      undefined,
      { entry: 'envoy-unseen', method: 'POST', fields: plus('Content-Length: 7') },
    ],
    ['a field of the answer that must be hidden', 403, 'obligation_unsupported', { entry: 'envoy-erp' }],
    ['a path that is no operation', 403, 'operation_unmapped', { entry: 'envoy-erp', target: '/erp/users' }],
  ])('%s: %d', async (_, status, denied, made) => {
    await expect.poll(() => ask(made)).toMatchObject({ status, denied })
  })
})

describe('a message that is none', () => {
  it.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['attributes of no request', field(1)],
    ['a length beyond the end', Buffer.from([0x0a, 0x7f, 0x00])],
    ['a length of 2^63', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
    ['an integer that never ends', Buffer.alloc(64, 0xff)],
    ['an integer of 70 bits', Buffer.from([0x08, ...Array(9).fill(0xff), 0x7f])],
    ['a group', Buffer.from([0x0b, 0x0c])],
    ['field 0', Buffer.from([0x00, 0x00])],
    ['an integer in place of a message', integerField(1, 7)],
    ['attributes twice', Buffer.concat([ofHttp(field(2, 'GET')), ofHttp(field(4, '/open/x'))])],
    ['a method that is not UTF-8', ofHttp(field(2, Buffer.from([0xc0, 0xaf])))],
    ['a hundred thousand messages in each other', nested(100_000)],
  ])('%s is denied', async (_, bytes) => {
    expect(await ask({ bytes: () => bytes })).toMatchObject({ status: 403, denied: 'request_malformed' })
  })

  it('in any prefix of a right one, nothing is allowed', async () => {
    const whole = checkRequest({ method: 'GET', path: '/open/x', host: 'envoy.test', fields: [] })
    const answers = await Promise.all(
      Array.from({ length: whole.length }, (_, length) => ask({ bytes: () => whole.subarray(0, length) })),
    )
    expect(answers.filter(({ status }) => status !== 403 && status !== 401)).toEqual([])
  })

  it('a message over the limit is denied before it is read', async () => {
    const stream = proxy.grpc.open(checkPath, proxy.metadata())
    const answer = answerOf(stream)
    stream.write(framed(Buffer.alloc(10), 0, 2 ** 32 - 1))
    const { messages } = await answer
    expect(messages.map((bytes) => bytes.toString()).join()).toContain('body_too_large')
  })

  it.each<[string, Record<string, string>, Uint8Array]>([
    ['by its flag', {}, framed(gzipSync(Buffer.alloc(1_000_000)), 1)],
    ['by its metadata', { 'grpc-encoding': 'gzip' }, framed(gzipSync(Buffer.alloc(1_000_000)))],
    ['by a flag that does not exist', {}, framed(Buffer.alloc(1), 2)],
  ])('a compressed bomb is not unpacked, %s', async (_, metadata, bytes) => {
    const { messages } = await proxy.grpc.call(checkPath, { ...proxy.metadata(), ...metadata }, bytes)
    expect(messages.map((each) => each.toString()).join()).toContain('content_encoding_forbidden')
  })

  it('two messages, one that breaks off, and none are denied', async () => {
    const one = framed(checkRequest({ method: 'GET', path: '/open/x', host: 'envoy.test', fields: [] }))
    for (const bytes of [[one, one], [one.subarray(0, -1)], [Buffer.from([0, 0])], []]) {
      const { status, messages } = await call(...bytes)
      expect([status, messages.join()]).toEqual([0, expect.stringContaining('request_malformed')])
    }
  })

  it.each([
    '/envoy.service.auth.v3.Authorization/check',
    '/envoy.service.auth.v2.Authorization/Check',
    '/__proto__',
    '/x/../envoy.service.auth.v3.Authorization/Check',
  ])('no other method answers: %s', async (path) => {
    expect(await proxy.grpc.call(path, proxy.metadata())).toEqual({ status: 12, messages: [] })
  })
})

describe('a caller that is not Envoy', () => {
  it.each<[string, Record<string, string | string[]>]>([
    ['an agent without the secret', { 'bailiwick-proxy': [] }],
    ['a guessed secret', { 'bailiwick-proxy': 'proxy-secret-0123456788' }],
    ['a second secret beside the right one', { 'bailiwick-proxy': ['proxy-secret-0123456789', 'x'] }],
  ])('%s learns nothing from any question', async (_, metadata) => {
    for (const target of ['/open/x', '/secret'])
      expect(await ask({ target, metadata })).toMatchObject({ status: 403, denied: 'proxy_unauthenticated' })
  })

  it.each<[string, Record<string, string | string[]>]>([
    ['no entry', { 'bailiwick-entry': [] }],
    ['two entries', { 'bailiwick-entry': ['envoy', 'envoy-erp'] }],
    ['an entry of another kind of proxy', { 'bailiwick-entry': 'forward' }],
    ['an entry that does not exist', { 'bailiwick-entry': '__proto__' }],
  ])('%s is no route', async (_, metadata) => {
    expect(await ask({ metadata })).toMatchObject({ status: 403, denied: 'route_unknown' })
  })

  it('its log is refused before it is read, and a flood of it costs its own connection alone', async () => {
    await using stranger = new GrpcClient(proxy.world.gateway.grpcUrl ?? '')
    const forged = framed(logMessage(logEntry({ mark: 'guess' })))
    const metadata = { 'bailiwick-entry': 'envoy-logged', 'bailiwick-proxy': 'guessed-secret-0123' }
    expect(await stranger.call(logPath, metadata, forged)).toEqual({ status: 16, messages: [] })
    await eventually('the connection is cut', async () => {
      await Promise.all(Array.from({ length: 100 }, () => (stranger.isClosed ? 0 : stranger.call(logPath, metadata))))
      return stranger.isClosed
    })
    await allowed()
  })

  it('a connection that does not speak HTTP/2 is closed', async () => {
    const { port } = new URL(proxy.world.gateway.grpcUrl ?? '')
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
  })
})

describe('the log of Envoy', () => {
  it('reports the outcome of the request that it is about, once, and of no other', async () => {
    const made: GrpcAsk = { entry: 'envoy-logged' }
    const [first, second, third] = [await allowed(made), await ask(made), await ask(made)]
    const before = await counts()
    const log = openLog('envoy-logged')
    log(
      logEntry({ mark: first.mark, type: 4 }), // it begins
      logEntry({ mark: first.mark, status: 201, bytes: 12 }),
      logEntry({ mark: first.mark, status: 500 }), // once more
      logEntry({ mark: decisionOf(second) }), // what the API sees
      logEntry({}),
    )
    openLog('envoy')(logEntry({ mark: third.mark })) // the log of another proxy
    log(
      logEntry({ mark: second.mark, status: 503, flags: integerField(2, 1) }),
      logEntry({ mark: third.mark, attempts: 2 }),
    )
    const outcomes = await eventually('all three are reported', async () => {
      const found = (await outcomesOf()).filter(({ decision }) =>
        [first, second, third].map(decisionOf).includes(decision),
      )
      return found.length === 3 ? found : undefined
    })
    expect(outcomes.find(({ decision }) => decision === decisionOf(first))).toMatchObject({
      status: 'succeeded',
      http_status: 201,
    })
    for (const each of [second, third])
      expect(outcomes.find(({ decision }) => decision === decisionOf(each))).toMatchObject({ status: 'unknown' })
    const after = await counts()
    expect(Object.fromEntries(Object.entries(after).map(([name, n]) => [name, n - (before[name] ?? 0)]))).toEqual({
      ...{ reported: 3, unknown: 1, foreign: 1, repeated: 1, late: 0 },
      ...{ unmarked: 1, interim: 1, malformed: 0 },
    })
  })

  it('comes too late, and what was not observed stays so', async () => {
    const { mark, ...told } = await allowed({ entry: 'envoy-hasty' })
    const outcome = await eventually('nothing is awaited any more', async () =>
      (await outcomesOf()).find(({ decision }) => decision === decisionOf(told)),
    )
    expect(outcome).toMatchObject({ status: 'not_observed' })
    const { late = 0 } = await counts()
    openLog('envoy-hasty')(logEntry({ mark }))
    await eventually('it is counted', async () => (await counts()).late === late + 1)
  })

  it('that is malformed ends, and what was in it is not reported', async () => {
    const { malformed = 0 } = await counts()
    const broken = framed(field(2, field(1, Buffer.from([0x0a, 0x7f]))))
    expect(await proxy.grpc.call(logPath, proxy.metadata(), broken)).toEqual({ status: 3, messages: [] })
    expect((await counts()).malformed).toBe(malformed + 1)
  })

  it('is read up to a limit a message', async () => {
    const large = framed(Buffer.alloc(1), 0, 64 * 1024 * 1024)
    expect(await proxy.grpc.call(logPath, proxy.metadata(), large)).toEqual({ status: 8, messages: [] })
  })
})

// Last, because it uses up what this machine may ask as a stranger.
it('a client that leaves again and again ends its own questions alone (V18)', async () => {
  const grpc = new GrpcClient(proxy.world.gateway.grpcUrl ?? '')
  await using _ = grpc
  const log = grpc.open(logPath, proxy.metadata({ entry: 'envoy-logged' }))
  for (let n = 0; n < 1500; n++) {
    const stream = grpc.open(checkPath, proxy.metadata())
    stream.write(Buffer.from([0]))
    await new Promise((resolve) => setImmediate(resolve))
    stream.close(8)
  }
  expect([log.closed, grpc.isClosed]).toEqual([false, false])
  expect(await grpc.call(checkPath, proxy.metadata())).toMatchObject({ status: 0 })
})

it('every request has one outcome, and an auditor finds all in order', async () => {
  const { log, trust } = paths(proxy.world.system.data)
  const report = await eventually('the audit is clean', async () => {
    const seen = await audit({ logDir: log, trustPath: trust })
    return seen.findings.length === 0 ? seen : undefined
  })
  expect(report.findings).toEqual([])
})

const decisionOf = ({ fields }: { fields: string[] }): string | undefined =>
  fields.find((line) => line.startsWith('bailiwick-decision-id: '))?.split(': ')[1]

/** Sends entries of the log, as the proxy of this entry. */
function openLog(entry: GrpcAsk['entry']): (...entries: Uint8Array[]) => void {
  const stream = proxy.grpc.open(logPath, proxy.metadata({ entry } as GrpcAsk))
  return (...entries) => void stream.write(framed(logMessage(...entries)))
}

function nested(depth: number): Uint8Array {
  let bytes: Uint8Array = Buffer.alloc(0)
  for (let n = 0; n < depth && bytes.length < 500_000; n++) bytes = field(1, bytes)
  return bytes
}

async function counts(): Promise<Record<string, number>> {
  const text = await (await fetch(`${proxy.world.url}/metrics`)).text()
  const found = text.matchAll(/^bailiwick_gateway_access_log_entries_total\{[^}]*result="(\w+)"[^}]*\} (\d+)$/gm)
  return Object.fromEntries([...found].map(([, name, n]) => [name, Number(n)]))
}

async function outcomesOf(): Promise<{ decision: string; status: string; http_status?: number }[]> {
  const found: { decision: string; status: string; http_status?: number }[] = []
  await using follower = await proxy.world.system.host.bus.follow(['decisions.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const { type, data } = JSON.parse(Buffer.from(bytes).toString())
      if (type !== 'outcome.reported') continue
      const { http_status } = JSON.parse(Buffer.from(data.outcome.split('.')[1], 'base64url').toString())
      found.push({ decision: data.decision_id, status: data.status, http_status })
    }
  })
  await follower.caughtUp
  return found
}
