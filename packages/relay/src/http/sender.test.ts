import { expect, it } from 'vitest'
import { openSecrets } from '../secrets/secrets.ts'
import { headerTemplate } from '../secrets/template.ts'
import { RawServer, whole } from './raw-server.fixture.ts'
import { Sender } from './sender.ts'

const env = { KEY: 'sk-0123456789abcdef' }

async function world(answer: string, inject = 'Bearer ${secret:env:KEY}') {
  await using opening = new AsyncDisposableStack()
  const server = opening.use(await RawServer.start(({ socket }) => socket.write(answer)))
  const sender = opening.use(
    new Sender({
      ...{ url: `${server.url}/base/`, secrets: openSecrets({ env }), isPrivate: false },
      inject: { authorization: headerTemplate(inject) },
      ...{ mostCalls: 4, connectMs: 5000, headMs: 5000, idleMs: 5000, mostBytes: 65_536 },
    }),
  )
  const get = (headers: string[] = []) =>
    sender.send({ method: 'GET', headers, body: new Uint8Array(), below: '/a' }, new AbortController().signal)
  const owned = opening.move()
  return { server, get, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

it('sends its own field in place of one of the request', async () => {
  await using w = await world(whole('{}'))
  await w.get(['Authorization', 'Bearer other', 'Accept', 'x/y'])
  const [arrived] = w.server.arrived
  expect(arrived?.target).toBe('/base/a')
  expect(arrived?.head).toContain(`authorization: Bearer ${env.KEY}`)
  expect(arrived?.head).not.toContain('Bearer other')
})

it('refuses an encoded answer, also one that has the field about that taken out on the way', async () => {
  await using w = await world(whole('x', 'content-encoding: gzip\r\nconnection: content-encoding\r\n'))
  await expect(w.get()).rejects.toMatchObject({ code: 'upstream_failed' })
})

it('refuses a reference that can never be read, before anything is sent', async () => {
  await expect(world(whole('{}'), '${secret:nowhere:x}')).rejects.toMatchObject({ code: 'config_invalid' })
})
