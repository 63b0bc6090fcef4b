import { once } from 'node:events'
import { existsSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { testTls } from '../http/tls.fixture.ts'
import { logger } from '../observe/logger.ts'
import { metrics as makeMetrics } from '../observe/metrics.ts'
import { openServers, publicUrlOf, type ServerSettings, type ServersOptions } from './open-servers.ts'

const settings: ServerSettings = {
  BAILIWICK_HOST: '127.0.0.1',
  BAILIWICK_PORT: 0,
  BAILIWICK_TLS: 'none',
  BAILIWICK_METRICS: 'loopback',
}

function opened(over: Partial<ServerSettings> = {}, more: Partial<ServersOptions> = {}) {
  const metrics = makeMetrics({ service: 'test', processMetrics: false })
  const log = logger({ service: 'test', level: 'silent' })
  const config = { ...settings, ...over }
  return openServers({ config, clock: systemClock, random: systemRandom, logger: log, metrics, ...more })
}

/** By Node's own client, because `fetch` sets the Host header itself; each time on a new connection, because servers come and go. */
function ask(
  at: string | { socketPath: string; path: string },
  host?: string,
): Promise<{ status?: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status?: number; body: string }>()
  const headers = host === undefined ? {} : { host }
  const asked =
    typeof at === 'string' ? request(at, { headers, agent: false }) : request({ ...at, headers, agent: false })
  asked.once('error', reject).once('response', (answer) => {
    const { statusCode: status } = answer
    text(answer).then((body) => resolve({ ...(status === undefined ? {} : { status }), body }), reject)
  })
  asked.end()
  return promise
}

it('serves a process that has no bus: its routes, its health, and its checks as metrics', async () => {
  await using servers = await opened()
  let fault: string | undefined = 'the disk is full'
  servers.health.check('disk', () => fault)
  servers.http.get('/here', async () => 'yes')
  const url = await servers.listen()
  expect(await ask(`${url}/here`)).toEqual({ status: 200, body: 'yes' })
  expect(await ask(`${url}/readyz`)).toMatchObject({ status: 503, body: expect.stringContaining('the disk is full') })
  const failing = await ask(`${url}/metrics`)
  expect(failing.body).toMatch(/^bailiwick_ready\{.*\} 0$/m)
  expect(failing.body).toMatch(/^bailiwick_check_failing\{.*check="disk".*\} 1$/m)
  fault = undefined
  expect(await ask(`${url}/readyz`)).toMatchObject({ status: 200 })
  expect((await ask(`${url}/metrics`)).body).toMatch(/^bailiwick_ready\{.*\} 1$/m)
})

it('lets callers use the names of its settings only, and any name where that is wanted', async () => {
  const names = { BAILIWICK_PUBLIC_URL: 'https://pdp.example', BAILIWICK_HOSTS: ['pdp.internal'] }
  await using servers = await opened(names)
  await using open = await opened(names, { anyName: true })
  for (const { http } of [servers, open]) http.get('/here', async () => 'yes')
  const [url, openUrl] = [await servers.listen(), await open.listen()]
  for (const host of ['pdp.example', 'pdp.internal', 'localhost'])
    expect(await ask(`${url}/here`, host)).toMatchObject({ status: 200 })
  expect(await ask(`${url}/here`, 'rebound.example')).toMatchObject({ body: expect.stringContaining('host_unknown') })
  expect(await ask(`${openUrl}/here`, 'rebound.example')).toMatchObject({ status: 200 })
})

it('serves the operator only on the socket that is named for its address, until it is closed', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'servers-'))
  const socketPath = join(folder.path, 'operator.sock')
  const servers = await opened()
  servers.operator.get('/secret', async () => 'told')
  let asked: string | undefined
  const url = await servers.listen((address) => {
    asked = address
    return socketPath
  })
  expect(asked).toBe(url)
  expect(await ask({ socketPath, path: '/secret' })).toEqual({ status: 200, body: 'told' })
  expect(await ask(`${url}/secret`)).toMatchObject({ status: 404 })
  await servers[Symbol.asyncDispose]()
  expect(existsSync(socketPath)).toBe(false)
  await expect(ask(`${url}/healthz`)).rejects.toThrow()
  await servers[Symbol.asyncDispose]()
})

it('answers health checks on its address until it listens, and is not ready by its metrics either', async () => {
  const taken = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  taken.close()
  await once(taken, 'close')
  await using servers = await opened({ BAILIWICK_PORT: port })
  servers.http.get('/here', async () => 'yes')
  const url = `http://127.0.0.1:${port}`
  const lobby = await servers.openLobby()
  lobby?.waitsFor('waits for a broker')
  expect(await ask(`${url}/readyz`)).toMatchObject({ status: 503, body: expect.stringContaining('waits for a broker') })
  expect(await ask(`${url}/here`)).toMatchObject({ status: 503 })
  expect((await ask(`${url}/metrics`)).body).toMatch(/^bailiwick_ready\{.*\} 0$/m)
  expect(await servers.listen()).toBe(url)
  expect(await ask(`${url}/here`)).toEqual({ status: 200, body: 'yes' })
  expect((await ask(`${url}/metrics`)).body).toMatch(/^bailiwick_ready\{.*\} 1$/m)
})

it('refuses, before it opens anything, an address beyond this machine without TLS, and TLS files that are none', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'servers-'))
  const pem = join(folder.path, 'tls.pem')
  writeFileSync(pem, 'none', { mode: 0o600 })
  const metrics = makeMetrics({ service: 'test', processMetrics: false })
  const refused = { code: 'config_invalid' }
  await expect(opened({ BAILIWICK_HOST: '0.0.0.0' }, { metrics })).rejects.toMatchObject(refused)
  const tls = { certificateFile: pem, keyFile: pem }
  await expect(opened({ BAILIWICK_TLS: tls }, { metrics })).rejects.toMatchObject(refused)
  expect(await metrics.text()).not.toContain('bailiwick_ready')
})

it('names as public address what the settings say, and otherwise this machine, with https if it serves TLS itself', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'servers-'))
  const [certificateFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  writeFileSync(certificateFile, testTls.certificate)
  writeFileSync(keyFile, testTls.key, { mode: 0o600 })
  const tls = { ...settings, BAILIWICK_TLS: { certificateFile, keyFile } }
  expect(publicUrlOf({ ...settings, BAILIWICK_PORT: 8425 })).toBe('http://localhost:8425')
  expect(publicUrlOf({ ...tls, BAILIWICK_PORT: 8425 })).toBe('https://localhost:8425')
  expect(publicUrlOf({ ...tls, BAILIWICK_PUBLIC_URL: 'https://gw.example' })).toBe('https://gw.example')
  await using servers = await opened(tls)
  expect(await servers.listen()).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
})
