import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { systemClock } from '@bailiwick/kit'
import { encodeEntryBundle, parseTilePath, TILE_WIDTH } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { Installed } from '../evidence.fixture.ts'
import { aFeed, eventually } from './feed.fixture.ts'
import { otlpSink } from './otlp-sink.ts'
import { Records } from './records.ts'

const nightly = process.env.BAILIWICK_NIGHTLY === '1'
const perSecond = 300
/** The promise is 64 MiB for three minutes. CI plays one of these minutes without waiting, with a limit in proportion. */
const seconds = nightly ? 180 : 60
const mostMiB = (64 * seconds) / 180
const bound = nightly ? 1_000_000 : 6000
const stepSeconds = nightly ? 1 : 10
const retry = nightly ? {} : { paces: { positionMs: 0, tellMs: 0, leastWaitMs: 1, mostWaitMs: 20 } }

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')
setFlagsFromString('--no-expose-gc')

function heldMiB(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

/** A collector that accepts requests and does not answer, until the test lets it. */
async function aStalledCollector() {
  const [taken, hanging] = [new Set<number>(), new Set<ServerResponse>()]
  let [stalled, attempts] = [true, 0]
  const server = createServer(async (request, response) => {
    response.on('error', () => undefined).on('close', () => hanging.delete(response))
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    attempts++
    if (stalled) return void hanging.add(response)
    for (const [, index] of body.matchAll(/"key":"sequence","value":\{"intValue":"(\d+)"/g)) taken.add(Number(index))
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`,
    taken,
    attempts: () => attempts,
    answers() {
      stalled = false
      for (const response of hanging) response.destroy()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A log whose number of leaves the test sets, each an event of its own. */
function aLog(size: () => number) {
  using installed = new Installed()
  const { trust } = installed
  const leaf = JSON.stringify(exampleEvent('decisions.v1', 'decision.denied'))
  const { id } = JSON.parse(leaf) as { id: string }
  const entry = (n: number) => Buffer.from(leaf.replace(id, id.slice(0, -8) + String(n).padStart(8, '0')))
  return new Records({
    storage: {
      async read(path) {
        const { index = 0, width = 0 } = parseTilePath(path) ?? {}
        return encodeEntryBundle(Array.from({ length: width }, (_, n) => entry(index * TILE_WIDTH + n)))
      },
    },
    checkpoint: () => ({ size: size(), root: new Uint8Array(32), note: 'note' }),
    stories: { begin: () => undefined, of: async () => ({}) },
    index: { isVoid: () => false, size: Number.POSITIVE_INFINITY },
    trust,
    origin: 'log.example/1',
  })
}

it(`costs ${Math.round(mostMiB)} MiB at most for ${seconds} s of ${perSecond} leaves a second that an OTLP endpoint does not take, and loses nothing within the bound (V15)`, {
  timeout: nightly ? 1_800_000 : 300_000,
}, async () => {
  await using collector = await aStalledCollector()
  let size = perSecond
  const clock = systemClock
  const options = { url: collector.url, headersFile: undefined, installation: 'ins_EXAMPLE0001', bound, clock }
  const { feed, told, counted } = aFeed(otlpSink({ ...options, ...(nightly ? {} : { deadlineMs: 50 }) }), 0, {
    records: aLog(() => size),
    ...retry,
  })
  await using _feed = feed
  await eventually(() => collector.attempts() > 1)
  const before = heldMiB()
  let most = 0
  for (let second = stepSeconds; second <= seconds; second += stepSeconds) {
    const met = collector.attempts()
    size = second * perSecond
    feed.wake()
    if (nightly) await pause(1000)
    // Measured while the sink hangs on a request.
    else await eventually(() => collector.attempts() > met)
    if (second % 10 === 0) most = Math.max(most, heldMiB() - before)
  }
  const attempts = collector.attempts()
  expect(collector.taken.size).toBe(0)
  collector.answers()
  await eventually(() => collector.taken.has(size - 1))
  const dropped = told.reduce((sum, { count }) => sum + count, 0)
  console.log(
    `stalled sink: ${JSON.stringify({ seconds, leaves: size, attempts, mib: Math.round(most), dropped, taken: collector.taken.size })}`,
  )
  expect(most).toBeLessThan(mostMiB)
  expect(dropped).toBe(Math.max(0, size - bound))
  expect([...collector.taken].sort((a, b) => a - b)).toEqual(
    Array.from({ length: size - dropped }, (_, n) => dropped + n),
  )
  expect(await counted('dropped_total.*backlog')).toBe(dropped)
})
