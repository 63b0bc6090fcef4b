import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { Health, httpServer, logger, metrics, networkOf, StrangerBuckets, type StrangerRate } from '@bailiwick/host'
import { systemRandom, testClock } from '@bailiwick/kit'
import { bundlesToWrite, tilesToWrite } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import type { LogReader } from '../log/log-reader.ts'
import { tileRoutes } from './log.ts'
import { outcomesRoute } from './outcomes.ts'
import { fileRate, outcomeRate } from './rates.ts'
import { admitAll } from './readers.ts'
import { Sending } from './sending.ts'

const bundle = Buffer.from('an event, '.repeat(1000))
const tile = randomBytes(8192)

/** The routes of a log with one tile and one bundle, at a time that stands still. */
async function aLog() {
  const clock = testClock()
  const server = await httpServer({
    logger: logger({ service: 'evidence-test', level: 'silent' }),
    clock,
    strangers: { holdMs: 0 },
    health: new Health(),
    metrics: metrics({ service: 'evidence', processMetrics: false }),
    random: systemRandom,
  })
  const files: Record<string, Buffer> = { 'tile/entries/000': bundle, 'tile/0/000': tile }
  const reader = { tile: async (path: string) => files[path] } as unknown as LogReader
  tileRoutes(server, () => reader, { read: admitAll, sending: new Sending() })
  outcomesRoute(server, () => ({ tell: async () => [] }))
  const get = (path: string, accepted?: string, remoteAddress = '192.0.2.1') =>
    server.inject({
      method: 'GET',
      url: `/log/${path}`,
      remoteAddress,
      headers: accepted === undefined ? {} : { 'accept-encoding': accepted },
    })
  const tell = (remoteAddress: string, payload: object | string = { outcome: 'a.b.c' }) =>
    server.inject({
      method: 'POST',
      url: '/log/outcomes',
      remoteAddress,
      headers: { 'content-type': 'application/json' },
      payload,
    })
  return { clock, get, tell, [Symbol.asyncDispose]: () => server.close() }
}

it.each(['gzip', 'GZIP;q=0.5', 'deflate, gzip, br'])('compresses a bundle for who takes %s', async (accepted) => {
  await using log = await aLog()
  const { headers, rawPayload } = await log.get('tile/entries/000', accepted)
  expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
  expect(headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'cache-control': 'public, max-age=31536000, immutable',
  })
  expect(rawPayload.length).toBeLessThan(bundle.length / 10)
  expect(gunzipSync(rawPayload).equals(bundle)).toBe(true)
})

it.each([undefined, '', 'identity', 'br', 'gzip;q=0', 'gzip; q=0.000, *', 'x-gzipped'])(
  'gives a bundle as it is to who takes %s',
  async (accepted) => {
    await using log = await aLog()
    const { headers, rawPayload } = await log.get('tile/entries/000', accepted)
    expect(headers['content-encoding']).toBe(undefined)
    expect(headers).toMatchObject({ vary: 'accept-encoding' })
    expect(rawPayload.equals(bundle)).toBe(true)
  },
)

it('compresses no hashes, and bundles one at a time', async () => {
  await using log = await aLog()
  const hashes = await log.get('tile/0/000', 'gzip')
  expect(hashes.headers['content-encoding']).toBe(undefined)
  expect(hashes.rawPayload.equals(tile)).toBe(true)
  const many = await Promise.all(Array.from({ length: 20 }, () => log.get('tile/entries/000', 'gzip')))
  for (const { headers, rawPayload } of many)
    expect((headers['content-encoding'] === 'gzip' ? gunzipSync(rawPayload) : rawPayload).equals(bundle)).toBe(true)
})

it('lets a monitor fetch a million leaves at once, and bounds what follows (V18)', async () => {
  await using log = await aLog()
  const ofAMillion = tilesToWrite(0, 1_000_000).length + bundlesToWrite(0, 1_000_000).length + 1
  expect(ofAMillion).toBeLessThan(10_000)
  const statuses = new Map<number, number>()
  const ask = async (): Promise<void> => {
    const { statusCode } = await log.get('tile/9/000')
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  for (let n = 0; n < 10_050; n += 50) await Promise.all(Array.from({ length: 50 }, ask))
  expect(Object.fromEntries(statuses)).toEqual({ 404: 10_000, 429: 50 })
  const refused = await log.get('tile/0/000')
  expect(refused.headers['retry-after']).toBe('1')
  expect(refused.json()).toMatchObject({ code: 'rate_limited' })
  expect((await log.get('tile/0/000', undefined, '192.0.2.2')).statusCode).toBe(200)
  log.clock.advance(1000)
  expect((await log.get('tile/0/000')).statusCode).toBe(200)
}, 120_000)

it('bounds what one network tells of outcomes, and all that strangers fetch (V18)', async () => {
  await using log = await aLog()
  const buckets = new StrangerBuckets(log.clock)
  const ask = (rate: StrangerRate, caller: string) => buckets.take(rate, networkOf(caller)).ok
  for (let n = 0; n < 5000; n++) expect(ask(outcomeRate, '2001:db8::1')).toBe(true)
  expect(ask(outcomeRate, '2001:db8::2')).toBe(false)
  expect(ask(outcomeRate, '2001:db8:1::2')).toBe(true)
  for (let n = 0; n < 40_000; n++) ask(fileRate, `192.0.2.${n % 250}`)
  expect(ask(fileRate, '198.51.100.1')).toBe(false)
  // This includes bodies that are not outcomes, and not JSON.
  for (let n = 0; n < 5000; n += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, m) => log.tell('192.0.2.1', ['{', {}, { outcome: 'a.b.c' }][m % 3])),
    )
  for (const payload of ['{', {}, { outcome: 'a.b.c' }, `"${'a'.repeat(70_000)}"`])
    expect((await log.tell('192.0.2.1', payload)).statusCode).toBe(429)
  expect((await log.tell('192.0.2.2')).statusCode).toBe(204)
}, 120_000)
