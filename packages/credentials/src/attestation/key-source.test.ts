import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authority } from './authority.fixture.ts'
import { type AuthorityKeys, parseAuthorityKeys } from './authority-keys.ts'
import { fetchBytes, maxAnswerBytes } from './fetch-bytes.ts'
import { KeySource, keptMs, retryMs } from './key-source.ts'

const authority = await Authority.open()
const keysOf = (more: object = {}): AuthorityKeys | undefined =>
  parseAuthorityKeys(Buffer.from(authority.set('sig', more)), ['sig'])

/** A source whose authority answers on command, or does not. */
function scene() {
  let at = 1_000_000
  const world = { reads: 0, answer: keysOf() as AuthorityKeys | undefined | Error }
  const source = new KeySource(
    async () => {
      world.reads++
      if (world.answer instanceof Error) throw world.answer
      return world.answer
    },
    { monotonic: () => at },
  )
  const find = async (kid = authority.kid) => {
    const found = await source.find(kid)
    return 'ok' in found ? found.code : 'found'
  }
  const pass = (ms: number) => {
    at += ms
  }
  return { world, find, pass }
}

describe('the keys of an authority', () => {
  it('are read once for all who need them at the same moment', async () => {
    const { world, find } = scene()
    expect(await Promise.all([find(), find(), find()])).toEqual(['found', 'found', 'found'])
    expect(world.reads).toBe(1)
  })

  it('are read again when they are as old as the authority says', async () => {
    const { world, find, pass } = scene()
    world.answer = keysOf({ spiffe_refresh_hint: 60 })
    await find()
    pass(59_999)
    await find()
    expect(world.reads).toBe(1)
    pass(1)
    await find()
    expect(world.reads).toBe(2)
  })

  it('are read again for a kid that is new, but never twice within 30 s', async () => {
    const { world, find, pass } = scene()
    await find()
    for (let n = 0; n < 100; n++) expect(await find(`unknown-${n}`)).toBe('key_unknown')
    expect(world.reads).toBe(1)
    pass(retryMs)
    await find('unknown')
    expect(world.reads).toBe(2)
  })

  it('go on for an hour while they cannot be read, and then nothing is attested (V13)', async () => {
    const { world, find, pass } = scene()
    await find()
    world.answer = new Error('down')
    pass(keptMs - 1)
    expect(await find()).toBe('found')
    pass(1)
    expect(await find()).toBe('attestation_unavailable')
    world.answer = keysOf()
    pass(retryMs)
    expect(await find()).toBe('found')
  })

  it('count no more once the authority has taken them back', async () => {
    const { world, find, pass } = scene()
    await find()
    world.answer = { keys: new Map(), refreshSeconds: undefined }
    pass(300_000)
    expect(await find()).toBe('key_unknown')
  })

  it('that are no set leave the last good ones in place', async () => {
    const { world, find, pass } = scene()
    await find()
    world.answer = undefined
    pass(300_000)
    expect(await find()).toBe('found')
  })
})

describe('an endpoint of an authority', () => {
  let server: Server
  let port: number
  const asked: string[] = []
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url ?? '')
      if (request.url === '/good') response.end('{}')
      else if (request.url === '/redirect') response.writeHead(302, { location: '/good' }).end()
      else if (request.url === '/huge') response.end(Buffer.alloc(maxAnswerBytes + 1, 32))
      else if (request.url === '/trickle') response.write('{')
      else response.writeHead(404).end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  /** Only tests use an address without TLS, through their own fetch. */
  const read = (path: string, signal?: AbortSignal) =>
    fetchBytes(`https://bundle.example${path}`, (url, init) =>
      fetch(`http://127.0.0.1:${port}${new URL(String(url)).pathname}`, signal ? { ...init, signal } : init),
    ).then(
      (bytes) => Buffer.from(bytes).toString(),
      (error) => error.code,
    )

  it('is read', async () => {
    expect(await read('/good')).toBe('{}')
  })

  it.each(['/redirect', '/huge', '/missing'])('that answers with %s gives nothing', async (path) => {
    asked.length = 0
    expect(await read(path)).toBe('attestation_unavailable')
    expect(asked).toEqual([path]) // a redirect is not followed
  })

  it('that never ends its answer gives nothing', async () => {
    expect(await read('/trickle', AbortSignal.timeout(100))).toBe('attestation_unavailable')
  })

  it.each(['http://bundle.example/', 'file:///etc/passwd', 'data:application/json,{}'])(
    'at %s is not asked',
    async (url) => {
      const ask = async () => Promise.reject(new Error('it was asked'))
      await expect(fetchBytes(url, ask)).rejects.toMatchObject({
        code: 'attestation_unavailable',
        detail: expect.stringContaining('https'),
      })
    },
  )
})
