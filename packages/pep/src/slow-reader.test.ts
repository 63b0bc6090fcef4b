import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { type FastifyReply, fastify } from 'fastify'
import { expect, it } from 'vitest'
import { bailiwickPep } from './fastify.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

const chunk = Buffer.alloc(65_536, 'a')
/** More than the sockets of any machine hold. */
const large = 64 * 1_048_576

function* endless() {
  for (;;) yield chunk
}

/** The outcome reported while a client that asked reads nothing at all. */
async function toldOf(answer: (reply: FastifyReply) => unknown, obligations: object[] = []) {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  pdp.answer = (evaluation) => pdp.allow(evaluation, { obligations })
  const told = Promise.withResolvers<(typeof pdp.outcomes)[number]>()
  pdp.outcome = (outcome) => {
    told.resolve(outcome)
    return { status: 204 }
  }
  const app = fastify()
  const guarded = bailiwickPep(app, {
    point,
    baseUrl: 'https://api.example',
    toAction: () => ({ name: 'GET', properties: {}, resource: { type: 'api', id: 'x' } }),
  })
  app.get(
    '/',
    guarded(async (_, __, reply) => answer(reply)),
  )
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const reader = connect(Number(new URL(address).port), '127.0.0.1').pause()
  reader.on('error', () => undefined)
  reader.write('GET / HTTP/1.1\r\nhost: x\r\nauthorization: DPoP a.b.c\r\ndpop: d.e.f\r\n\r\n')
  try {
    return await told.promise
  } finally {
    reader.destroy()
    app.server.closeAllConnections()
    await app.close()
  }
}

const within = (seconds: number) => ({
  id: 'due',
  type: 'custom',
  properties: { vendor: 'bailiwick', action: 'report_outcome_by', seconds },
})

it.each<[string, (reply: FastifyReply) => unknown]>([
  ['a whole answer', () => Buffer.alloc(large, 'a')],
  ['an answer that is sent on its own', (reply) => reply.send(Buffer.alloc(large, 'a'))],
  ['a stream that has ended', (reply) => void reply.hijack().raw.end(Buffer.alloc(large, 'a'))],
])('reports the outcome of %s once all was handed over, however slowly it is read (V9)', async (_, answer) => {
  expect(await toldOf(answer)).toMatchObject({ status: 'succeeded', http_status: 200, egress_bytes: large })
})

it.each<[string, (reply: FastifyReply) => unknown]>([
  ['a stream', () => Readable.from(endless())],
  ['a stream that is sent on its own', (reply) => reply.send(Readable.from(endless()))],
  ['raw writes', (reply) => void Readable.from(endless()).pipe(reply.hijack().raw)],
])(
  'cuts a reader of %s off that would keep the outcome past its time, and tells what left (V9, V13)',
  async (_, answer) => {
    const { status, egress_bytes } = await toldOf(answer, [within(1)])
    expect(status).toBe('succeeded')
    expect(egress_bytes).toBeGreaterThanOrEqual(chunk.length)
  },
)

it('gives a late handler a moment to be read: who was slow was not the reader', async () => {
  const late = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500))
    return 'done'
  }
  expect(await toldOf(late, [within(1)])).toMatchObject({ status: 'succeeded', http_status: 200, egress_bytes: 4 })
})
