import { once } from 'node:events'
import { connect } from 'node:net'
import { after } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { aServer, listening, speak } from './http.fixture.ts'

const post = async (
  url: string,
  type: string | undefined,
  payload: string | Buffer,
  more: Record<string, string> = {},
) => {
  await using fixture = await aServer()
  const headers = { ...(type === undefined ? {} : { 'content-type': type }), ...more }
  const answer = await fixture.server.inject({ method: 'POST', url, headers, payload })
  return {
    status: answer.statusCode,
    ...(answer.json() as { code?: string; detail?: string; body?: unknown; bytes?: string }),
  }
}

describe('JSON', () => {
  it('is read strictly, and its bytes are kept as they came', async () => {
    const text = '{ "a": 1.50 }\n'
    expect(await post('/echo', 'application/json', text)).toEqual({
      status: 200,
      body: { a: 1.5 },
      bytes: Buffer.from(text).toString('base64url'),
    })
  })

  it.each([
    ['equal keys', String.raw`{"a":1,"\u0061":2}`],
    ['a prototype', '{"__proto__":{}}'],
    ['deep nesting', '['.repeat(60_000)],
    ['a byte order mark', '\ufeff{}'],
    ['an overlong form', Buffer.from([0x22, 0xc0, 0x80, 0x22])],
    ['a lone surrogate', String.raw`"\ud800"`],
    ['a number that is not exact', '{"amount":500.00000000000000001}'],
    ['nothing', ''],
  ])('is refused with %s', async (_what, payload) => {
    expect(await post('/echo', 'application/json', payload)).toMatchObject({ status: 400, code: 'json_malformed' })
  })
})

describe('a body in chunks', () => {
  const head =
    'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n'
  const chunksOf = (text: string, size: number) => {
    const chunks = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    return chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
  }
  const sent = async (chunks: string) => {
    await using fixture = await aServer()
    return await speak(await listening(fixture), `${head}Connection: close\r\n\r\n${chunks}0\r\n\r\n`)
  }

  it.each([1, 7, 16_384, 40_000])('is the same body in chunks of any length: %s bytes', async (size) => {
    const text = JSON.stringify({ a: 'x'.repeat(50_000) })
    const answer = await sent(chunksOf(text, size))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain(Buffer.from(text).toString('base64url'))
  })

  it('is refused beyond the limit, and nothing of its rest ends the process', async () => {
    await using fixture = await aServer()
    const port = await listening(fixture)
    const answer = await speak(port, `${head}\r\n${chunksOf('x'.repeat(200_000), 1000)}`)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(await speak(port, 'GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(/ 200 /)
  })

  it('that is cut off is no body', async () => {
    await using fixture = await aServer()
    const port = await listening(fixture)
    const client = connect(port, '127.0.0.1')
    client.write(`${head}\r\n8\r\n{"a":12}`)
    await after(100)
    client.destroy()
    await after(100)
    expect(fixture.log()).not.toContain('"status":200')
  })

  it('is held in about as many bytes as it has (V18)', { timeout: 60_000 }, async () => {
    await using fixture = await aServer({ bodyLimit: 1024 * 1024 })
    const port = await listening(fixture)
    const length = 1_000_000
    const client = connect(port, '127.0.0.1')
    client.write(`${head}\r\n`)
    const before = process.memoryUsage()
    const part = Buffer.from('1\r\nx\r\n'.repeat(10_000))
    for (let n = 0; n < length / 10_000; n++) if (!client.write(part)) await once(client, 'drain')
    await after(500)
    const now = process.memoryUsage()
    client.destroy()
    expect(now.heapUsed + now.external - before.heapUsed - before.external).toBeLessThan(64 * length)
  })
})

describe('a content type', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json; charset="UTF-8"',
  ])('is taken as JSON: %s', async (type) => {
    expect((await post('/echo', type, '{}')).status).toBe(200)
  })

  it.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jose',
    'application/json; charset=utf-16',
    'application/json; charset=utf-7',
    'application/json, text/plain',
    'application/jsonx',
    'application/problem+json',
    'json',
    'application/json; a=b',
    'multipart/form-data; boundary=x',
  ])('is refused: %s', async (type) => {
    expect(await post('/echo', type, '{}')).toMatchObject({
      status: 415,
      code: 'content_type_unsupported',
    })
  })

  it.each(['gzip', 'br', 'GZIP', 'identity, gzip'])('is refused when the body is encoded: %s', async (encoding) => {
    const answer = await post('/echo', 'application/json', '{}', { 'content-encoding': encoding })
    expect(answer).toMatchObject({ status: 415, code: 'content_type_unsupported' })
  })

  it('is what the route declares, and only that', async () => {
    expect(await post('/form', 'application/x-www-form-urlencoded', 'a=1&b=x+y')).toEqual({
      status: 200,
      body: { a: '1', b: 'x y' },
    })
    expect(await post('/form', 'application/json', '{}')).toMatchObject({
      status: 415,
      detail: 'this route takes application/x-www-form-urlencoded',
    })
    expect(await post('/jose', 'application/jose', 'eyJ.eyJ.c2ln')).toEqual({ status: 200, body: 'eyJ.eyJ.c2ln' })
    expect(await post('/jose', 'application/jose', 'eyJ.eyJ')).toMatchObject({ status: 400, code: 'request_malformed' })
  })
})

it.each(['a=1&a=2', 'a=', '', 'a=%FF'])('refuses a form that can be read in two ways: %j', async (form) => {
  expect(await post('/form', 'application/x-www-form-urlencoded', form)).toMatchObject({
    status: 400,
    code: 'request_malformed',
  })
})

it('takes a request without a body to a route that needs none', async () => {
  await using fixture = await aServer()
  expect((await fixture.server.inject({ method: 'POST', url: '/echo' })).json()).toEqual({})
})

it('lets a route have its own limit', async () => {
  await using fixture = await aServer()
  fixture.server.post('/small', { bodyLimit: 4 }, async ({ body }) => ({ body }))
  const send = (payload: string) =>
    fixture.server.inject({ method: 'POST', url: '/small', headers: { 'content-type': 'application/json' }, payload })
  expect((await send('"ab"')).statusCode).toBe(200)
  expect((await send('"abc"')).json()).toMatchObject({ code: 'body_too_large' })
})

describe('on the wire', () => {
  const head = (path: string, ...fields: string[]) =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
  const chunk = (data: string) => `${data.length.toString(16)}\r\n${data}\r\n`

  it('a chunked body over the limit is refused while it comes, and the connection closed', async () => {
    await using fixture = await aServer()
    const port = await listening(fixture)
    const chunks = Array.from({ length: 70 }, () => chunk('x'.repeat(1000)))
    const answer = await speak(port, head('/echo', 'Transfer-Encoding: chunked'), ...chunks)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('"code":"body_too_large"')
    expect(answer).toMatch(/connection: close/i)
  })

  it('a body whose length is announced over the limit is refused before it comes', async () => {
    await using fixture = await aServer()
    const answer = await speak(await listening(fixture), head('/echo', 'Content-Length: 99999999'))
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('a request with two lengths is refused (request smuggling)', async () => {
    await using fixture = await aServer()
    const port = await listening(fixture)
    for (const fields of [
      ['Content-Length: 2', 'Content-Length: 3'],
      ['Content-Length: 2', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked, identity'],
      ['Content-Length: +2'],
    ]) {
      const answer = await speak(port, `${head('/echo', ...fields, 'Connection: close')}{}`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('application/problem+json')
    }
  })

  it('a refused body is not read on', async () => {
    await using fixture = await aServer()
    const answer = await speak(await listening(fixture), head('/form', 'Content-Length: 60000'), 'x'.repeat(1000))
    expect(answer).toMatch(/^HTTP\/1\.1 415 /)
    expect(answer).toMatch(/connection: close/i)
  })
})
