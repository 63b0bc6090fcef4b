import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { type FastifyReply, fastify } from 'fastify'
import { expect, it } from 'vitest'
import { bailiwickPep } from './fastify.ts'
import { aPoint, FakePdp } from './pdp.fixture.ts'

async function* ticking() {
  for (;;) {
    yield 'tick\n'
    await pause(5)
  }
}

/** What a client got under a grant that is withdrawn while the handler answers, and the outcome. */
async function cut(answer: (reply: FastifyReply) => unknown) {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  pdp.openCalls = ([decision_id]) => ({ body: { over: [{ decision_id, reason: 'grant_revoked' }], unknown: [] } })
  const app = fastify()
  const guarded = bailiwickPep(app, {
    point,
    baseUrl: 'https://api.example',
    toAction: () => ({ name: 'GET', properties: {}, resource: { type: 'api', id: 'x' } }),
    answerSeconds: 600,
  })
  app.get(
    '/',
    guarded(async (_, __, reply) => answer(reply)),
  )
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  try {
    const response = await fetch(address, { headers: { authorization: 'DPoP a.b.c', dpop: 'd.e.f' } })
    const text = await response.text().catch(() => 'cut off')
    await expect.poll(() => pdp.outcomes.length).toBe(1)
    return { text, asked: pdp.evaluations[0]?.context.bailiwick, outcome: pdp.outcomes[0] }
  } finally {
    app.server.closeAllConnections()
    await app.close()
  }
}

it.each<[string, (reply: FastifyReply) => unknown]>([
  ['a stream', () => Readable.from(ticking())],
  [
    'raw writes',
    (reply) => {
      reply.hijack()
      Readable.from(ticking()).pipe(reply.raw)
    },
  ],
])('cuts an answer that flows when its grant is withdrawn, and says so: %s (V7)', async (_, answer) => {
  const { text, asked, outcome } = await cut(answer)
  expect(text).toBe('cut off')
  expect(outcome).toMatchObject({ status: 'unknown', cut: 'grant_revoked', http_status: 200 })
  expect(outcome?.egress_bytes).toBeGreaterThan(0)
  expect(asked).toMatchObject({ answer_seconds: 600 })
})

it('lets an answer leave whole that its handler had begun to make: the effect has happened', async () => {
  const { text, outcome } = await cut(async () => {
    await pause(1000)
    return 'done'
  })
  expect(text).toBe('done')
  expect(outcome).toMatchObject({ status: 'succeeded', egress_bytes: 4 })
})
