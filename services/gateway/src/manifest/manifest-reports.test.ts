import { ServiceError } from '@bailiwick/errors'
import { testClock } from '@bailiwick/kit'
import { expect, it, vi } from 'vitest'
import { type Manifest, manifestHash, manifestText } from './manifest.ts'
import { type ManifestAnswer, type ManifestReport, ManifestReports } from './manifest-reports.ts'
import type { Reading } from './observe.ts'
import type { Pin } from './pins.ts'

function reading(description: string, name = 'read'): Reading {
  const manifest: Manifest = {
    identity: { url: 'http://h/mcp' },
    server_info: null,
    instructions: null,
    tools: { [name]: { name, description, inputSchema: {} } },
    prompts: {},
    templates: {},
  }
  return { manifest, hash: manifestHash(manifest), capabilities: { tools: {} }, era: 'modern' }
}

const passing = (check: () => void) => vi.waitFor(check, { timeout: 30_000 })

/** Approval as these tests have it: `answers` gives each answer, by what is sent. */
function aGateway(answers: (report: ManifestReport) => Partial<ManifestAnswer>, pin?: Pin) {
  const clock = testClock()
  const sent: ManifestReport[] = []
  const approved: string[] = []
  const lines: string[] = []
  const log = (fields: unknown) => void lines.push(JSON.stringify(fields))
  const reports = new ManifestReports({
    async send(report) {
      sent.push(report)
      return { state: 'later', request_id: null, wanted: [], ...answers(report) }
    },
    pinOf: () => pin,
    onApproved: async (name, { hash }) => void approved.push(`${name} ${hash}`),
    clock,
    logger: { info: log, warn: log } as never,
    everyMs: 1,
  })
  /** Time passes, by `stepMs` each 50 ms, until this many reports were sent. */
  const until = (count: number, stepMs = 2000) =>
    passing(() => {
      clock.advance(stepMs)
      expect(sent.length).toBeGreaterThanOrEqual(count)
    })
  return { reports, sent, approved, lines, clock, until, [Symbol.asyncDispose]: () => reports[Symbol.asyncDispose]() }
}

it('sends the hash first, and then the texts that are wanted, with guesses', async () => {
  const [old, now] = [reading('Reads.'), reading('Reads and sends.')]
  const wanted = (report: ManifestReport) => (report.manifests === undefined ? [now.hash, old.hash, 'x'] : [])
  await using gateway = aGateway(
    (report) => ({ wanted: wanted(report), state: report.manifests === undefined ? 'later' : 'waiting' }),
    old,
  )
  gateway.reports.saw('billing', 'bills', now)
  await gateway.until(2)
  expect(gateway.sent.slice(0, 2)).toEqual([
    { server: 'bills', hash: now.hash },
    {
      server: 'bills',
      hash: now.hash,
      manifests: [manifestText(now.manifest), manifestText(old.manifest)],
      guesses: { read: { labels: ['reads_private', 'guessed'] } },
    },
  ])
})

it('asks until people answered, tells each state once, and takes over what they approved', async () => {
  const now = reading('Reads.')
  let count = 0
  await using gateway = aGateway(() => ({ state: ++count < 4 ? 'waiting' : 'approved', request_id: null }))
  gateway.reports.saw('billing', 'billing', now)
  await passing(() => {
    gateway.clock.advance(2000)
    expect(gateway.approved).toEqual([`billing ${now.hash}`])
  })
  expect(gateway.lines.map((line) => JSON.parse(line).state)).toEqual(['waiting', 'approved'])
  // It is settled: however long nothing new is read, nothing is sent.
  gateway.clock.advance(3_600_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(gateway.sent).toHaveLength(4)
  // A server that still says so after a while is asked about again.
  gateway.reports.saw('billing', 'billing', now)
  await gateway.until(5)
})

it('reports the newest of many descriptions, with a pause after each report (V18)', async () => {
  await using gateway = aGateway(() => ({ state: 'waiting' }))
  for (let n = 0; n < 1000; n++) gateway.reports.saw('billing', 'billing', reading(`Reads ${n}.`))
  await gateway.until(1, 100)
  expect(gateway.sent[0]?.hash).toBe(reading('Reads 999.').hash)
  const at = gateway.clock.monotonic()
  gateway.reports.saw('billing', 'billing', reading('Reads it all.'))
  await passing(() => {
    gateway.clock.advance(100)
    expect(gateway.sent).toHaveLength(2)
  })
  expect(gateway.clock.monotonic() - at).toBeGreaterThanOrEqual(1000)
  expect(gateway.sent[1]?.hash).toBe(reading('Reads it all.').hash)
})

it('takes nothing over if the server said something else meanwhile', async () => {
  const [one, two] = [reading('One.'), reading('Two.')]
  await using gateway = aGateway((report) => {
    if (report.hash !== one.hash) return { state: 'waiting' }
    gateway.reports.saw('billing', 'billing', two)
    return { state: 'approved' }
  })
  gateway.reports.saw('billing', 'billing', one)
  await passing(() => {
    gateway.clock.advance(500)
    expect(gateway.sent.at(-1)?.hash).toBe(two.hash)
  })
  expect(gateway.approved).toEqual([])
})

it('tries again after a failure, and forgets servers that left the file', async () => {
  let fails = true
  await using gateway = aGateway(() => {
    if (fails) throw new ServiceError('service_unreachable')
    return { state: 'waiting' }
  })
  gateway.reports.saw('billing', 'billing', reading('Reads.'))
  await gateway.until(2)
  fails = false
  await gateway.until(3)
  await passing(() =>
    expect(gateway.lines.map((line) => JSON.parse(line).state)).toEqual(['service_unreachable', 'waiting']),
  )
  gateway.reports.again([])
  const { length } = gateway.sent
  gateway.clock.advance(3_600_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(gateway.sent.length).toBeLessThanOrEqual(length + 1)
})
