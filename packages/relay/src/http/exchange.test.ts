import { after } from '@bailiwick/kit'
import { Client } from 'undici'
import { expect, it } from 'vitest'
import { exchange } from './exchange.ts'
import { type Arrived, RawServer, whole } from './raw-server.fixture.ts'

/** Sends a body whose parts need longer than the server's time for an answer. */
async function slowly(answer: (arrived: Arrived) => void) {
  await using server = await RawServer.start(answer)
  const client = new Client(server.url)
  const parts = async function* () {
    for (let n = 0; n < 5; n++) {
      await after(100)
      yield Buffer.from(`part ${n}`)
    }
  }
  const sent = { method: 'POST', target: '/x', headers: [], body: Buffer.from('commands'), following: parts() }
  try {
    const { signal } = new AbortController()
    const answered = await exchange(client, sent, { headMs: 250, mostBytes: 1000 }, signal, () => undefined)
    return { status: answered.status, bytes: server.bytes[0] }
  } finally {
    await client.destroy()
  }
}

it('a request that is long on its way leaves its upstream the time for an answer', async () => {
  const { status, bytes } = await slowly(({ head, socket }) => {
    if (head.endsWith('\r\n0\r\n\r\n')) socket.write(whole('{}'))
  })
  expect(status).toBe(200)
  expect(bytes).toContain('part 4')
})

it('an upstream that says nothing once it has all of it is given up', async () => {
  await expect(slowly(() => undefined)).rejects.toMatchObject({ code: 'upstream_timed_out' })
})
