import { Readable } from 'node:stream'
import { type FastifyReply, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { type BailiwickPepOptions, bailiwickPep } from './fastify.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

const custom = (action: string, properties: object) => ({
  id: action,
  type: 'custom',
  properties: { vendor: 'bailiwick', action, ...properties },
})
const limit = (bytes: number) => custom('limit', { bytes })
const redact = (...fields: string[]) => custom('redact', { fields })

interface Got {
  status: number
  /** The body; if it was cut off, the part that arrived. */
  text: string
  isWhole: boolean
  headers: Headers
}

/** What a client gets, and what is reported, for one call whose handler answers like this. */
async function got(
  obligations: object[],
  answer: (reply: FastifyReply) => unknown,
  options: Partial<BailiwickPepOptions> = {},
) {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  pdp.answer = (evaluation) => pdp.allow(evaluation, { obligations })
  const app = fastify()
  const guarded = bailiwickPep(app, {
    point,
    baseUrl: 'https://api.example',
    toAction: () => ({ name: 'GET', properties: {}, resource: { type: 'api', id: 'x' } }),
    ...options,
  })
  app.get(
    '/',
    guarded(async (_, __, reply) => answer(reply)),
  )
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const response = await fetch(address, { headers: { authorization: 'DPoP a.b.c', dpop: 'd.e.f' } })
    .then(read)
    .catch((): Got => ({ status: 0, text: '', isWhole: false, headers: new Headers() }))
  await point.delivered()
  await app.close()
  return { ...response, outcome: pdp.outcomes[0], evaluation: pdp.evaluations[0] }
}

async function read(response: Response): Promise<Got> {
  const { status, headers } = response
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk)
    return { status, headers, text, isWhole: true }
  } catch {
    return { status, headers, text, isWhole: false }
  }
}

const chunks = (n: number) => Readable.from(Array.from({ length: n }, () => 'a'.repeat(10)))
const secret = { owner: { iban: 'DE1' }, n: 1 }
const hidden = '{"owner":{"iban":"[redacted]"},"n":1}'

describe('bytes', () => {
  it.each<[string, (reply: FastifyReply) => unknown, number]>([
    ['a value', () => ({ a: 1 }), 7],
    ['a text', () => 'äb', 3],
    ['bytes', () => Buffer.from('abc'), 3],
    ['nothing', (reply) => reply.code(204).send(), 0],
    ['a stream', (reply) => reply.send(chunks(3)), 30],
    ['a web stream', (reply) => reply.send(Readable.toWeb(chunks(3))), 30],
    ['a raw answer', (reply) => void reply.hijack().raw.end('abcd'), 4],
    ['an answer that is sent on its own', (reply) => reply.send({ a: 1 }), 7],
  ])('of %s are counted, and those that just fit leave (V9)', async (_, answer, bytes) => {
    const { isWhole, text, outcome } = await got([limit(Math.max(1, bytes))], answer)
    expect([isWhole, Buffer.byteLength(text)]).toEqual([true, bytes])
    expect(outcome).toMatchObject({ status: 'succeeded', egress_bytes: bytes })
    expect((await got([], answer)).outcome).toMatchObject({ egress_bytes: bytes })
  })

  it.each<[string, (reply: FastifyReply) => unknown]>([
    ['a value', () => ({ a: 'a'.repeat(100) })],
    ['a text of many bytes in few characters', () => 'ä'.repeat(15)],
    ['bytes', (reply) => reply.header('x-leak', 'a'.repeat(100)).send(Buffer.alloc(100, 'a'))],
    ['a stream that says how long it is', (reply) => reply.header('content-length', 100).send(chunks(10))],
  ])('of %s over the limit do not leave, not even in part (V9)', async (_, answer) => {
    const { status, text, headers, outcome } = await got([limit(20)], answer)
    expect([status, headers.get('x-leak'), headers.get('content-type')]).toEqual([
      502,
      null,
      'application/problem+json',
    ])
    expect(JSON.parse(text)).toMatchObject({ code: 'answer_withheld', executed: true })
    expect(headers.get('bailiwick-decision-id')).toMatch(/^dec_/)
    expect(outcome).toMatchObject({ status: 'succeeded', http_status: 502, egress_bytes: 0 })
  })

  it.each<[string, (reply: FastifyReply) => unknown]>([
    ['a stream', (reply) => reply.send(chunks(1000))],
    ['a web stream', (reply) => reply.send(Readable.toWeb(chunks(1000)))],
    [
      'raw writes',
      (reply) => {
        const { raw } = reply.hijack()
        for (let n = 0; n < 10; n++) raw.write('a'.repeat(10))
        raw.end('a'.repeat(10))
      },
    ],
    ['a raw end', (reply) => void reply.hijack().raw.end('a'.repeat(100))],
    ['raw writes in another encoding', (reply) => void reply.hijack().raw.end('61'.repeat(30), 'hex')],
  ])('of %s over the limit are cut off with the connection, so they do not look whole (V9)', async (_, answer) => {
    const { isWhole, text, outcome } = await got([limit(25)], answer)
    expect(isWhole).toBe(false)
    expect(text.length).toBeLessThanOrEqual(25)
    expect(outcome?.egress_bytes).toBeLessThanOrEqual(25)
  })

  it('of an error that a handler throws are held too', async () => {
    const { text } = await got([limit(20)], () => {
      throw new Error(`leak ${'a'.repeat(100)}`)
    })
    expect(text).not.toContain('leak')
  })

  it('that a handler sent elsewhere are added; a value that is not a number of bytes counts as none reported', async () => {
    const { outcome } = await got([limit(50)], () => 'abc', { egressBytes: (result) => String(result).length * 10 })
    expect(outcome).toMatchObject({ egress_bytes: 33 })
    for (const wrong of [-10, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
      const said = await got([limit(50)], () => 'abc', { egressBytes: () => wrong })
      expect(said.outcome).toMatchObject({ status: 'succeeded' })
      expect(said.outcome).not.toHaveProperty('egress_bytes')
    }
  })

  it('that an answer needs are asked for', async () => {
    const { evaluation } = await got([], () => 'abc', { mostBytes: 70_000 })
    expect(evaluation?.context.bailiwick).toMatchObject({ answer_bytes: 70_000 })
  })
})

describe('fields', () => {
  it.each<[string, (reply: FastifyReply) => unknown]>([
    ['a value', () => secret],
    ['JSON as a text', (reply) => reply.type('application/json').send(JSON.stringify(secret))],
    [
      'JSON as bytes',
      (reply) => reply.type('application/vnd.x+json; charset=utf-8').send(Buffer.from(JSON.stringify(secret))),
    ],
    ['an answer that says no', (reply) => reply.code(409).send(secret)],
  ])('are hidden in %s (V13)', async (_, answer) => {
    const { text, isWhole, headers } = await got([redact('iban')], answer)
    expect([text, isWhole, headers.get('content-length')]).toEqual([hidden, true, String(hidden.length)])
  })

  it.each<[string, (reply: FastifyReply) => unknown]>([
    ['a text', () => JSON.stringify(secret)],
    ['a table', (reply) => reply.type('text/csv').send('iban\nDE1')],
    ['two equal keys', (reply) => reply.type('application/json').send('{"iban":"x","iban":"DE1"}')],
    ['a stream', (reply) => reply.type('application/json').send(Readable.from([JSON.stringify(secret)]))],
    [
      'a coding',
      (reply) => reply.type('application/json').header('content-encoding', 'identity').send(JSON.stringify(secret)),
    ],
    ['lines', (reply) => reply.type('application/x-ndjson').send(JSON.stringify(secret))],
    ['raw writes', (reply) => void reply.hijack().raw.end(JSON.stringify(secret))],
    [
      'raw writes before the answer',
      (reply) => {
        reply.raw.write(JSON.stringify(secret))
        return {}
      },
    ],
    [
      'an error',
      () => {
        throw new Error('of DE1')
      },
    ],
  ])('that might be in %s do not leave (V13)', async (_, answer) => {
    const { text } = await got([redact('iban', 'message')], answer)
    expect(text).not.toContain('DE1')
  })
})
