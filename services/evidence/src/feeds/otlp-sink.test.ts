import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@bailiwick/kit'
import { afterAll, describe, expect, it } from 'vitest'
import { aRecord, records } from './feed.fixture.ts'
import { anyValue, logsRequest } from './otlp-records.ts'
import { type OtlpSinkOptions, otlpSink } from './otlp-sink.ts'
import type { FeedRecord } from './records.ts'

const folder = mkdtempSync(join(tmpdir(), 'otlp-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Request {
  path: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

/** A collector on this machine that answers as the test says, correctly or not. */
async function aCollector(answer: (response: ServerResponse, nth: number, request: IncomingMessage) => void) {
  const requests: Request[] = []
  const server = createServer(async (request, response) => {
    response.on('error', () => undefined)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    requests.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() })
    answer(response, requests.length, request)
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`
  return {
    url,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const json = { 'content-type': 'application/json' }
const status =
  (code: number, headers: Record<string, string> = json, body = '{}') =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(body)
const never = new AbortController().signal

function deliver(url: string, sent: readonly FeedRecord[], more: Partial<OtlpSinkOptions> = {}) {
  const options = { url, headersFile: undefined, installation: 'ins_EXAMPLE0001', bound: 1e6, clock: systemClock }
  return otlpSink({ ...options, deadlineMs: 500, ...more }).deliver(sent, never)
}

/** The value that a receiver reads from an `AnyValue` (OTLP common.proto, JSON encoding). */
function plain(value: Record<string, unknown>): unknown {
  const [kind, inner] = Object.entries(value)[0] ?? []
  const list = () => (inner as { values: Record<string, unknown>[] }).values
  if (kind === 'intValue') return Number(inner as string)
  if (kind === 'arrayValue') return list().map(plain)
  if (kind === 'kvlistValue')
    return Object.fromEntries(list().map(({ key, value: of }) => [key, plain(of as Record<string, unknown>)]))
  return kind === undefined ? null : inner
}

describe('a request', () => {
  it('is an ExportLogsServiceRequest of OTLP/HTTP in JSON, whose bodies are the events', async () => {
    await using collector = await aCollector(status(200))
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const sent = [{ ...aRecord(3), traceparent }, aRecord(4)]
    expect(await deliver(collector.url, sent)).toEqual({ taken: 2, refused: 0 })
    const [{ path, headers, body } = expect.fail('nothing came')] = collector.requests
    expect(path).toBe('/v1/logs')
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    })
    const request = JSON.parse(body)
    const [{ resource, scopeLogs }] = request.resourceLogs
    expect(resource.attributes).toContainEqual({ key: 'service.name', value: { stringValue: 'bailiwick-evidence' } })
    const { logRecords } = scopeLogs[0]
    expect(logRecords.map(({ body: of }: { body: Record<string, unknown> }) => plain(of))).toEqual(
      sent.map(({ event }) => event),
    )
    expect(logRecords[0]).toMatchObject({
      timeUnixNano: `${sent[0]?.event.time}000000`,
      severityNumber: 9,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      flags: 1,
    })
    expect(logRecords[0].attributes).toContainEqual({
      key: 'log.record.uid',
      value: { stringValue: sent[0]?.event.metadata.uid },
    })
    expect(logRecords[1]).not.toHaveProperty('traceId')
  })

  it('keeps every value as it is', () => {
    const value = { a: 'x\u0000\n', b: [1, -2, 0.5, 1e300, true, false], c: { d: {}, e: [] }, f: 2 ** 53 - 1 }
    expect(plain(anyValue(value) as Record<string, unknown>)).toEqual(value)
    expect(anyValue(7)).toEqual({ intValue: '7' })
    expect(anyValue(null)).toEqual({})
  })

  it('is no larger than one may be', async () => {
    await using collector = await aCollector(status(200))
    const big = records(0, 128).map((record) => ({ ...record, json: record.json.padEnd(60_000) }))
    expect(await deliver(collector.url, big)).toEqual({ taken: 34, refused: 0 })
  })
})

describe('what an endpoint answers', () => {
  const cases: [string, (response: ServerResponse) => void, unknown][] = [
    ['full success', status(200), { taken: 3, refused: 0 }],
    ['nothing, successfully', status(204, {}, ''), { taken: 3, refused: 0 }],
    [
      'partial success',
      status(200, json, '{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}'),
      { taken: 3, refused: 2 },
    ],
    [
      'a warning',
      status(200, json, '{"partialSuccess":{"rejectedLogRecords":0,"errorMessage":"slow down"}}'),
      { taken: 3, refused: 0 },
    ],
    ['400, as it always will', status(400), { taken: 3, refused: 3 }],
    ['401', status(401), { taken: 3, refused: 3 }],
    ['404', status(404, { 'content-type': 'text/html' }, '<h1>no'), { taken: 3, refused: 3 }],
    ['500', status(500), { taken: 3, refused: 3 }],
    ['429 with seconds', status(429, { 'retry-after': '7' }), { again: 7000 }],
    ['503 without a word', status(503), { again: 0 }],
    ['502', status(502, { 'retry-after': 'soon' }), { again: 0 }],
    ['504 for a year', status(504, { 'retry-after': '31536000' }), { again: 300_000 }],
    ['503 in the past', status(503, { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }), { again: 0 }],
    ['a login page with status 200', status(200, { 'content-type': 'text/html' }, '<html>Log in'), { again: 0 }],
    ['an absurd count', status(200, json, '{"partialSuccess":{"rejectedLogRecords":"-1"}}'), { again: 0 }],
    ['another absurd count', status(200, json, '{"partialSuccess":{"rejectedLogRecords":"1e9x"}}'), { again: 0 }],
    ['deep nesting', status(200, json, '['.repeat(60_000)), { again: 0 }],
    ['success that has no end', (response) => flood(response.writeHead(200, json)), { again: 0 }],
    ['a refusal that has no end', (response) => flood(response.writeHead(400, json)), { taken: 3, refused: 3 }],
  ]
  it.each(cases)('%s', async (_, answer, want) => {
    await using collector = await aCollector(answer)
    expect(await deliver(collector.url, records(0, 3), { deadlineMs: 5000 })).toEqual(want)
    expect(collector.requests).toHaveLength(1)
  })

  function flood(response: ServerResponse): void {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
    }
    response.on('drain', more)
    more()
  }

  it('a redirect is followed nowhere, and loses nothing', async () => {
    await using elsewhere = await aCollector(status(200))
    for (const code of [301, 302, 303, 307, 308]) {
      await using collector = await aCollector(status(code, { location: elsewhere.url }))
      expect(await deliver(collector.url, records(0, 3))).toEqual({ again: 0 })
    }
    expect(elsewhere.requests).toEqual([])
  })

  it('413 gets smaller requests, and never the same one again', async () => {
    const most = 5
    await using collector = await aCollector((response, nth) => {
      const body = collector.requests[nth - 1]?.body ?? ''
      return status(JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords.length > most ? 413 : 200)(response)
    })
    expect(await deliver(collector.url, records(0, 32))).toEqual({ taken: 4, refused: 0 })
    const bodies = collector.requests.map(({ body }) => body)
    expect(new Set(bodies).size).toBe(bodies.length)
  })

  it('413 to one event is a refusal of that event', async () => {
    await using collector = await aCollector(status(413))
    expect(await deliver(collector.url, records(0, 4))).toEqual({ taken: 1, refused: 1 })
  })

  const silences: [string, (response: ServerResponse, nth: number, request: IncomingMessage) => void][] = [
    ['nothing at all', () => undefined],
    [
      'a head without an end',
      (response) => void response.writeHead(200, { ...json, 'content-length': '2' }).flushHeaders(),
    ],
    ['a letter now and then', (response) => void setInterval(() => response.write(' '), 50).unref()],
    ['a closed connection', (response) => void response.destroy()],
    [
      'another protocol',
      (response) =>
        void response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    ['no HTTP', (response) => void response.socket?.end('220 smtp\r\n')],
    [
      'endless headers',
      (response) => void response.socket?.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`),
    ],
  ]
  it.each(silences)('%s is waited for no longer than the deadline', async (_, answer) => {
    await using collector = await aCollector(answer)
    await expect(deliver(collector.url, records(0, 3))).rejects.toThrow()
  })

  it('a collector that does not listen', async () => {
    const collector = await aCollector(status(200))
    await collector[Symbol.asyncDispose]()
    await expect(deliver(collector.url, records(0, 3))).rejects.toThrow()
  })

  it('a stop is not held up', async () => {
    await using collector = await aCollector(() => stop.abort())
    const stop = new AbortController()
    const options = { url: collector.url, headersFile: undefined, installation: 'i', bound: 1, clock: systemClock }
    await expect(otlpSink(options).deliver(records(0, 3), stop.signal)).rejects.toThrow()
  })
})

describe('headers', () => {
  const path = join(folder, 'headers')

  it('go along, and are read anew for each request', async () => {
    await using collector = await aCollector(status(200))
    for (const token of ['first', 'second']) {
      writeFileSync(path, `Authorization: Bearer ${token}\r\n\nx-scope: audit\n`, { mode: 0o600 })
      await deliver(collector.url, records(0, 1), { headersFile: path })
    }
    expect(collector.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer first', 'Bearer second'])
    expect(collector.requests[0]?.headers['x-scope']).toBe('audit')
  })

  it.each([
    'no header',
    ': empty',
    'authorization:',
    'content-length: 3',
    'Host: elsewhere',
    'a b: c',
    'x: a\u0000CANARY',
    'x: 1\nx: CANARY',
    'x: grün-CANARY',
  ])('are refused with the line and nothing of it: %j', async (text) => {
    writeFileSync(path, `ok: 1\n${text}`, { mode: 0o600 })
    const refused = deliver('http://127.0.0.1:1/', records(0, 1), { headersFile: path })
    await expect(refused).rejects.toMatchObject({
      code: 'config_invalid',
      detail: expect.stringMatching(/: line [23] /),
    })
    await refused.catch((error: Error) => expect(`${error.message} ${error.stack}`).not.toContain('CANARY'))
  })
})

it('has nothing of what an endpoint says in what it throws or gives', async () => {
  await using collector = await aCollector(
    status(200, json, '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"CANARY"}}'),
  )
  expect(JSON.stringify(await deliver(collector.url, records(0, 2)))).not.toContain('CANARY')
  expect(logsRequest(records(0, 1), { installation: 'i', now: 1 })).not.toContain('CANARY')
})
