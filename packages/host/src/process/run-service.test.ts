import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backUp, initialise } from '@bailiwick/installation'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { logger } from '../observe/logger.ts'
import { commonSettings } from '../settings/settings.ts'
import { openBus, openGrantStore } from './adapters.ts'
import type { Host } from './open-host.ts'
import { type Process, runService } from './run-service.ts'

const silent = logger({ service: 'test', level: 'silent' })
let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'host-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

async function start(changes: Partial<Process<z.output<z.ZodObject<ReturnType<typeof commonSettings>>>>>) {
  const complaints: string[] = []
  const code = await runService({
    name: 'issuer',
    env: { BAILIWICK_DATA: data },
    schema: z.object(commonSettings(0)),
    start: () => Promise.reject(new Error('not reached')),
    complain: (line) => complaints.push(line),
    ...changes,
  })
  return { code, said: complaints.join('\n') }
}

it('names the setting that is wrong', async () => {
  const { code, said } = await start({ env: { BAILIWICK_PORT: 'abc', BAILIWICK_MAX_STALENESS: '1h' } })
  expect(code).toBe(1)
  expect(said).toContain('BAILIWICK_PORT')
  expect(said).toContain('BAILIWICK_MAX_STALENESS')
})

it('says that there is no installation, and how to make one', async () => {
  const { code, said } = await start({})
  expect(code).toBe(1)
  expect(said).toContain('trust_invalid')
  expect(said).toContain('bailiwick init')
})

it('serves nothing from a backup before everything in it was declared revoked (V7, V13)', async () => {
  initialise({
    data,
    ...{ publicUrl: 'http://localhost:8420', singleOperator: true, now: 0, randomBytes, entities: [] },
    policies: new Map([['starter.cedar', Buffer.from('permit(principal, action, resource);')]]),
  })
  const target = join(data, 'copy')
  backUp({ data, target, now: 0, random: randomBytes })
  const idle = async () => ({ [Symbol.asyncDispose]: async () => undefined })
  const { code, said } = await start({ env: { BAILIWICK_DATA: target, BAILIWICK_PORT: '0' }, start: idle })
  expect(code).toBe(1)
  expect(said).toContain('comes from a backup')
})

describe('what cannot work is refused before anything is written', () => {
  const refused = async (env: Record<string, string>, name = 'issuer') => {
    const prepared: unknown[] = []
    const { code, said } = await start({
      name,
      env: { BAILIWICK_DATA: data, BAILIWICK_PORT: '0', ...env },
      prepare: (config) => prepared.push(config),
    })
    expect(code).toBe(1)
    expect(prepared).toEqual([])
    return said
  }

  it('a misspelt setting', async () => {
    expect(await refused({ BAILIWICK_PROT: '8421' })).toContain(
      'BAILIWICK_PROT: there is no such setting; is BAILIWICK_PORT',
    )
  })

  it('a data directory that is a file, and one where no folder can be made', async () => {
    const file = join(data, 'file')
    writeFileSync(file, '')
    expect(await refused({ BAILIWICK_DATA: file })).toContain(`(config_invalid): BAILIWICK_DATA: ${file}: `)
    expect(await refused({ BAILIWICK_DATA: '/proc/nope' })).toContain('(config_invalid): BAILIWICK_DATA: /proc/nope: ')
    expect(await refused({ BAILIWICK_DATA: `${data}/${'long/'.repeat(30)}` })).toContain('BAILIWICK_DATA: the path of')
    expect(readdirSync(data)).toEqual(['file'])
  })

  it('an address beyond this machine without TLS, one that is not of this machine, a port that is taken', async () => {
    expect(await refused({ BAILIWICK_HOST: '0.0.0.0' })).toContain('BAILIWICK_HOST: 0.0.0.0')
    expect(await refused({ BAILIWICK_HOST: '192.0.2.1', BAILIWICK_TLS: 'terminated' })).toContain('BAILIWICK_HOST: ')
    const other = createServer().listen({ host: '127.0.0.1', port: 0 })
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    expect(await refused({ BAILIWICK_PORT: String(port) })).toContain('BAILIWICK_PORT: another process listens')
    other.close()
  })

  it('settings of Kafka and Redis that cannot work', async () => {
    const kafka = { BAILIWICK_BUS: 'kafka://localhost:9' }
    expect(await refused(kafka)).toContain('BAILIWICK_KAFKA_CA')
    const ca = join(data, 'ca.pem')
    expect(await refused({ ...kafka, BAILIWICK_KAFKA_CA: ca, BAILIWICK_KAFKA_PASSWORD_FILE: ca })).toContain(ca)
    expect(await refused({ BAILIWICK_GRANT_STORE: 'redis://localhost:9' })).toContain('BAILIWICK_GRANT_STORE')
    const redis = { BAILIWICK_GRANT_STORE: 'rediss://localhost:9', BAILIWICK_REDIS_CA: ca }
    expect(await refused(redis)).toContain(`BAILIWICK_REDIS_CA: ${ca}`)
  })

  it.each(['policy-decision', 'standalone'])(
    'of %s: a grant store of its own on a bus that it shares (V10)',
    async (name) => {
      const kafka = { BAILIWICK_BUS: 'kafka://localhost:9' }
      expect(await refused(kafka, name)).toContain('BAILIWICK_GRANT_STORE: on Kafka decision points share one')
      const shared = { ...kafka, BAILIWICK_GRANT_STORE: 'rediss://localhost:9' }
      // Continues to the next thing that is wrong.
      for (const env of [shared, { ...kafka, BAILIWICK_DEV: '1', BAILIWICK_HOST: '0.0.0.0' }])
        expect(await refused(env, name)).not.toContain('BAILIWICK_GRANT_STORE')
    },
  )

  it('TLS files that are not there, or are none', async () => {
    const [cert, key] = [join(data, 'cert.pem'), join(data, 'key.pem')]
    expect(await refused({ BAILIWICK_TLS: `${cert},${key}` })).toContain(
      `BAILIWICK_TLS: ${cert} cannot be read (ENOENT)`,
    )
    for (const file of [cert, key]) writeFileSync(file, 'hunter2', { mode: 0o600 })
    const said = await refused({ BAILIWICK_TLS: `${cert},${key}` })
    expect(said).toContain('BAILIWICK_TLS: the files are not a certificate and its private key')
    expect(said).not.toContain('hunter2')
  })
})

it('that cannot go on ends with exit code 1, and says why in words', async () => {
  const script = fileURLToPath(new URL('./process.fixture.ts', import.meta.url))
  const child = spawn(process.execPath, [script, join(data, 'd'), '0', 'fatal'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  expect(await once(child, 'close')).toEqual([1, null])
  const why = 'issuer cannot go on, and ends: This instance stands by (service_standby): /issuer/two took over'
  expect(said.trim().split('\n').at(-1)).toBe(why)
})

describe('an orderly stop', () => {
  async function stopped(slowMs: number, signals: readonly [NodeJS.Signals, number][], ...more: string[]) {
    const script = fileURLToPath(new URL('./process.fixture.ts', import.meta.url))
    const child = spawn(process.execPath, [script, join(data, 'd'), String(slowMs), ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk
      })
    while (!output.includes('"ready"')) await once(child.stderr, 'data')
    for (const [signal, ms] of signals) {
      await new Promise((resolve) => setTimeout(resolve, ms))
      child.kill(signal)
    }
    const [code] = await once(child, 'close')
    const lines = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const said = lines.map(({ level, msg, signal = '' }) => `${level}: ${msg} ${signal}`.trim())
    return { code, said: said.slice(said.indexOf('info: ready') + 1) }
  }

  it('says which signal it was, and that it is over; the same wish again changes nothing', async () => {
    const { code, said } = await stopped(50, [
      ['SIGTERM', 0],
      ['SIGINT', 10],
      ['SIGINT', 30],
    ])
    expect(said).toEqual(['info: stopping SIGTERM', 'info: stopped'])
    expect(code).toBe(0)
  })

  it('ends the process, even if a library left something open', async () => {
    const { code, said } = await stopped(0, [['SIGTERM', 0]], 'open')
    expect(said).toEqual(['info: stopping SIGTERM', 'info: stopped', 'warn: leaving what is still open'])
    expect(code).toBe(0)
  })

  it('is broken off by a second signal, which is said', async () => {
    const { code, said } = await stopped(20_000, [
      ['SIGINT', 0],
      ['SIGINT', 1200],
    ])
    expect(said).toEqual(['info: stopping SIGINT', 'warn: stopping at once: a second signal SIGINT'])
    expect(code).toBe(1)
  })
})

it.each([
  [{ BAILIWICK_BUS: 'kafka://localhost:9092' }, 'BAILIWICK_KAFKA_CA'],
  [{ BAILIWICK_BUS: 'kafka://localhost:9092', BAILIWICK_KAFKA_CA: 'system' }, 'BAILIWICK_KAFKA_PASSWORD_FILE'],
])('reaches brokers only with TLS and a login: %o', async (env, said) => {
  const config = z.object(commonSettings(0)).parse(env)
  await expect(openBus(config, 'issuer', silent)).rejects.toThrowError(said)
})

it('reaches a Redis only with TLS', async () => {
  const config = z.object(commonSettings(0)).parse({ BAILIWICK_GRANT_STORE: 'redis://redis.example:6379' })
  const trust = {} as Host['trust'] // not reached
  const opened = openGrantStore(config, { trust, logger: silent })
  await expect(opened).rejects.toThrowError('rediss://')
})
