import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { topicNamed } from '@bailiwick/contracts'
import { readConfig, sinkSettings, sinksOf } from '@bailiwick/host'
import { systemClock } from '@bailiwick/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Installed } from '../evidence.fixture.ts'
import { eventually } from './feed.fixture.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sinks-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const openBus = (installed: Installed): Promise<Bus> =>
  embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })

const denials = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    type: 'denials.summarised' as const,
    subject: `agent ${n}`,
    data: {
      from: '2026-01-01T00:00:00.000Z',
      to: '2026-01-01T00:01:00.000Z',
      denials: [{ subject: `agent ${n}`, reason: 'credential_missing', count: n + 1 }],
    },
  }))

/** A collector whose answer the test can change at any time. */
async function aCollector() {
  const leaves: number[] = []
  const collector = {
    url: '',
    leaves,
    answer: (response: ServerResponse): unknown => response.writeHead(200).end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = createServer(async (request, response) => {
    response.on('error', () => undefined)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const answer = collector.answer(response)
    if (response.statusCode !== 200 || answer === undefined) return
    const sequences = Buffer.concat(chunks)
      .toString()
      .matchAll(/"key":"sequence","value":\{"intValue":"(\d+)"/g)
    leaves.push(...[...sequences].map(([, index]) => Number(index)))
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  collector.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`
  return collector
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
const sequencesOf = (path: string) => linesOf(path).map((line) => JSON.parse(line).metadata.sequence as number)
const upTo = (end: number) => Array.from({ length: end }, (_, n) => n)

it('deliver each leaf to both, from the position of each, independently of the other', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using pdp = await installed.participant(bus, 'policy-decision')
  await using collector = await aCollector()
  const file = join(folder, 'evidence.jsonl')
  const sinks = {
    otlp: { url: collector.url, headersFile: undefined },
    file: { path: file, maxBytes: 1e9, keep: 1 },
    backlog: 1_000_000,
  }
  collector.answer = () => undefined // it hangs
  await pdp.producer.publish('decisions.v1', denials(300))
  let size = 0
  {
    await using evidence = await installed.evidence(bus, { sinks })
    await eventually(() => evidence.size() >= 300 && sequencesOf(file).length >= evidence.size())
    size = evidence.size()
  }
  expect(sequencesOf(file)).toEqual(upTo(size))
  expect(collector.leaves).toEqual([])
  // A stalled sink costs only its stored position.
  const feeds = join(installed.at.evidence, 'feeds')
  for (const name of readdirSync(feeds)) expect(statSync(join(feeds, name)).size).toBeLessThan(1000)
  collector.answer = (response) => response.writeHead(200).end()
  {
    await using evidence = await installed.evidence(bus, { sinks })
    await eventually(() => new Set(collector.leaves).size >= evidence.size())
    size = evidence.size()
    await eventually(() => sequencesOf(file).length >= size)
  }
  expect([...new Set(collector.leaves)]).toEqual(upTo(size))
  expect(sequencesOf(file)).toEqual(upTo(size))
}, 60_000)

it('make evidence of what a sink will never get, once, and tell it in the other (V15)', async () => {
  using installed = new Installed()
  await using bus = await openBus(installed)
  await using _issuer = await installed.registered(bus)
  await using collector = await aCollector()
  collector.answer = (response) => response.writeHead(400).end('{}') // for ever
  const file = join(folder, 'evidence.jsonl')
  const sinks = {
    otlp: { url: collector.url, headersFile: undefined },
    file: { path: file, maxBytes: 1e9, keep: 1 },
    backlog: 1_000_000,
  }
  const dropped = () => linesOf(file).filter((line) => line.includes('"event_code":"leaves.dropped"'))
  {
    await using evidence = await installed.evidence(bus, { sinks })
    await eventually(() => evidence.size() > 0 && dropped().length > 0)
  }
  {
    await using evidence = await installed.evidence(bus, { sinks })
    await eventually(() => sequencesOf(file).length >= evidence.size())
  }
  const [first = '', ...more] = dropped()
  expect(more.length).toBeLessThanOrEqual(1)
  expect(JSON.parse(first)).toMatchObject({
    class_uid: 2004,
    is_alert: true,
    bailiwick: { details: { sink: 'otlp', reason: 'refused', from: 0 } },
  })
  const { entries } = await installed.verified()
  expect(entries.filter((entry) => entry.includes('"leaves.dropped"')).length).toBe(dropped().length)
}, 60_000)

describe('settings', () => {
  const read = (env: Record<string, string>) => sinksOf(readConfig(z.object(sinkSettings), env))

  it('name no sink unless told to', () => {
    expect(read({})).toEqual({ backlog: 1_000_000 })
  })

  it('name both', () => {
    const env = { BAILIWICK_SINK_OTLP: 'https://collector.example', BAILIWICK_SINK_FILE: '/var/log/evidence.jsonl' }
    expect(read({ ...env, BAILIWICK_SINK_BACKLOG: '5000' })).toEqual({
      otlp: { url: 'https://collector.example/v1/logs', headersFile: undefined },
      file: { path: '/var/log/evidence.jsonl', maxBytes: 67_108_864, keep: 16 },
      backlog: 5000,
    })
    expect(read({ BAILIWICK_SINK_OTLP: 'http://localhost:4318/otlp' }).otlp?.url).toBe('http://localhost:4318/otlp')
  })

  it.each([
    [
      { BAILIWICK_SINK_OTLP: 'http://collector.example:4318' },
      /^BAILIWICK_SINK_OTLP: an https URL, or http:\/\/localhost/,
    ],
    [{ BAILIWICK_SINK_OTLP: 'https://u:CANARY@collector.example' }, /^BAILIWICK_SINK_OTLP: an https URL/],
    [{ BAILIWICK_SINK_OTLP: 'https://collector.example?key=CANARY' }, /^BAILIWICK_SINK_OTLP: an https URL/],
    [{ BAILIWICK_SINK_OTLP: 'collector' }, /^BAILIWICK_SINK_OTLP: an https URL/],
    [
      { BAILIWICK_SINK_OTLP_HEADERS_FILE: '/headers' },
      /^BAILIWICK_SINK_OTLP_HEADERS_FILE: there is no BAILIWICK_SINK_OTLP/,
    ],
    [{ BAILIWICK_SINK_FILE_BYTES: '1000' }, /^BAILIWICK_SINK_FILE_BYTES: /],
    [{ BAILIWICK_SINK_FILE_KEEP: '0' }, /^BAILIWICK_SINK_FILE_KEEP: /],
    [{ BAILIWICK_SINK_BACKLOG: 'many' }, /^BAILIWICK_SINK_BACKLOG: /],
    [{ BAILIWICK_SINK_OLTP: 'https://collector.example' }, /is BAILIWICK_SINK_OTLP meant/],
  ])('say what is wrong with %j, and no secret', (env, want) => {
    let detail = ''
    try {
      read(env as Record<string, string>)
    } catch (error) {
      detail = String((error as { detail?: string }).detail)
    }
    expect(detail).toMatch(want)
    expect(detail).not.toContain('CANARY')
  })

  it.each([
    [
      'a folder that is not there',
      () => ({ file: { path: join(folder, 'none', 'x') } }),
      /BAILIWICK_SINK_FILE: .*ENOENT/,
    ],
    ['a folder', () => ({ file: { path: folder } }), /BAILIWICK_SINK_FILE: .*EISDIR/],
    [
      'a link',
      () => {
        symlinkSync('/etc/passwd', join(folder, 'link'))
        return { file: { path: join(folder, 'link') } }
      },
      /BAILIWICK_SINK_FILE: .*ELOOP/,
    ],
    ['headers that are not there', () => ({ headers: join(folder, 'none') }), /HEADERS_FILE: .*ENOENT/],
    [
      'headers that are none',
      () => {
        writeFileSync(join(folder, 'headers'), 'CANARY', { mode: 0o600 })
        return { headers: join(folder, 'headers') }
      },
      /HEADERS_FILE: line 1 /,
    ],
  ])('keep evidence from starting with %s', async (_, make, want) => {
    using installed = new Installed()
    await using bus = await openBus(installed)
    const { file, headers } = { file: undefined, headers: undefined, ...make() }
    const sinks = {
      ...(file === undefined ? {} : { file: { ...file, maxBytes: 1e9, keep: 1 } }),
      ...(headers === undefined ? {} : { otlp: { url: 'http://localhost:1/', headersFile: headers } }),
      backlog: 1000,
    }
    const refused = installed.evidence(bus, { sinks })
    await expect(refused).rejects.toMatchObject({ code: 'config_invalid', detail: expect.stringMatching(want) })
    await refused.catch((error: Error) => expect(`${error.stack} ${String(error)}`).not.toContain('CANARY'))
  })
})
