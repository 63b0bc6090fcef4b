import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { encodeVkey } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { bailiwick, type Folder, temporaryFolder } from './io.fixture.ts'
import { logKey, writeLog } from './log.fixture.ts'

// A log comes from its operator: its content and its server may be hostile.

const vkey = encodeVkey(logKey().verifier)

function aLog(): Folder {
  const folder = temporaryFolder()
  writeLog(folder.at('log'), [600])
  return folder
}

it.each(['checkpoint', 'tile/0/000', 'tile/entries/002.p/88'])(
  'reports %s as missing where it is a folder, or a pipe without a writer',
  async (path) => {
    using folder = aLog()
    const place = folder.at('log', path)
    for (const put of [mkdirSync, (at: string) => void execFileSync('mkfifo', [at])]) {
      rmSync(place, { recursive: true })
      put(place)
      const { code, out } = await bailiwick(['verify', '--log', folder.at('log'), '--vkey', vkey, '--json'])
      expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 1, ok: false, path, reason: 'missing' })
    }
  },
)

/** The log, and a server for it that answers `only` in its own way. */
async function servedLog(answer: (response: ServerResponse) => void, only = 'tile/entries/001') {
  const folder = aLog()
  const server = createServer((request, response) => {
    const path = request.url?.replace('/log/', '') ?? ''
    if (path === only) return answer(response)
    try {
      response.end(readFileSync(folder.at('log', path)))
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    folder,
    address,
    verify: () => bailiwick(['verify', '--log', `${address}/log`, '--vkey', vkey, '--json']),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
      folder[Symbol.dispose]()
    },
  }
}

it.each<[what: string, says: string, answer: (response: ServerResponse) => void]>([
  [
    'breaks off',
    'its answer to tile/entries/001 breaks off',
    (response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write(Buffer.alloc(100), () => response.destroy())
    },
  ],
  [
    'says that it compressed what it did not',
    'its answer to tile/entries/001 breaks off',
    (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip'),
  ],
  [
    'redirects the client to another place',
    'it answers 302 to tile/entries/001',
    (response) => response.writeHead(302, { location: '/log/tile/entries/000' }).end(),
  ],
])('cannot verify a log whose server %s, and says where', async (_, says, answer) => {
  await using log = await servedLog(answer)
  expect(await log.verify()).toMatchObject({ code: 2, out: '', err: expect.stringContaining(says) })
})

it('reads no more of a file than a log can hold, however much is behind it', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  await using log = await servedLog((response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb))
  const { code, out } = await log.verify()
  expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 1, path: 'tile/entries/001', reason: 'malformed' })
})

it('reads no more of a key than a key can have, from a server that never ends', async () => {
  const part = Buffer.alloc(4096, 'a')
  await using log = await servedLog((response) => {
    const more = setInterval(() => response.write(part), 1)
    response.once('close', () => clearInterval(more))
  }, '/vkey')
  const argv = ['verify', '--log', log.folder.at('log'), '--vkey', `${log.address}/vkey`]
  expect(await bailiwick(argv)).toMatchObject({ code: 2, err: expect.stringContaining('holds no verifier key') })
})
