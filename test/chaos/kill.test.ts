import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialise, paths, readInstallation, readPolicyFiles } from '@bailiwick/installation'
import { memoryOutcomeStore } from '@bailiwick/pep'
import { logger, systemClock, systemRandom } from '@bailiwick/service-kit'
import { sample, sampleEntities, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, freePort } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { type Leaf, readLeaf } from '../audit/leaf.ts'
import { readLog } from '../audit/read-log.ts'
import { audit } from '../audit.ts'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { Killable, pause } from './killable.ts'
import { Acknowledged, live } from './story.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 200 : 20))
const seed = Number(process.env.BAILIWICK_SEED ?? randomBytes(4).readUInt32BE())

/** mulberry32: small, and the same seed kills at the same moments after a start. */
function generator(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const title = `killed ${rounds} times at any moment, loses nothing that it acknowledged, doubles nothing, and revives nothing (V2, V4, V7, V9, V10)`

it(title, { timeout: rounds * 15_000 + 120_000 }, async ({ annotate }) => {
  await annotate(`seed ${seed}, ${rounds} rounds`)
  const random = generator(seed)
  const data = mkdtempSync(join(tmpdir(), 'bailiwick-chaos-'))
  const port = await freePort()
  const invoicesUrl = `http://localhost:${await freePort()}`
  const url = `http://localhost:${port}`
  initialise({
    data,
    publicUrl: url,
    singleOperator: true,
    now: systemClock.now(),
    randomBytes,
    policies: readPolicyFiles(join(import.meta.dirname, '../../policies')),
    entities: sampleEntities(data, invoicesUrl),
  })
  const { trust } = readInstallation(data)
  const system = new Killable({ data, port })
  system.start()
  await system.ready()
  const approver = await enrolApprover({ url, data })
  const invoices = await startInvoicesApi({
    url: invoicesUrl,
    id: sample.enforcementPoint,
    toolServer: sample.toolServer,
    trust,
    callerKey: sampleKey(data, 'point-caller'),
    outcomeKey: sampleKey(data, 'point-outcome'),
    pdpUrl: url,
    store: memoryOutcomeStore(),
    clock: systemClock,
    random: systemRandom,
    logger: logger({ service: 'chaos', level: 'silent' }),
  })
  const acknowledged = new Acknowledged()
  let stopping = false
  const lives = sample.agents.map((name) =>
    live({
      agent: sampleAgent({ data, trust, clock: systemClock, random: systemRandom }, name),
      approver,
      invoicesUrl,
      acknowledged,
      random,
      stopped: () => stopping,
    }),
  )
  try {
    for (let round = 0; round < rounds; round++) {
      // One in four dies while it starts, when it mends what the last death left.
      if (random() < 0.25) await pause(random() * 1500)
      else {
        await system.ready()
        await pause(random() * 2000)
      }
      await system.kill()
      system.start()
    }
    await system.ready()
    await pause(2000)
    stopping = true
    await Promise.all(lives)
    await invoices.delivered()
    await quiet(url)
  } finally {
    stopping = true
    await Promise.all(lives)
    await invoices[Symbol.asyncDispose]()
    await system.stop()
  }

  const { log: logDir, trust: trustPath } = paths(data)
  const report = await audit({ logDir, trustPath })
  const { leaves: size, void: lost, counted } = report
  const refusals = Object.fromEntries(acknowledged.refusals)
  // One line, for docs/runs.
  console.log(`chaos: ${JSON.stringify({ seed, rounds, leaves: size, void: lost, counted, refusals })}`)
  expect(acknowledged.unexplained, `refused as internal; at level error:\n${system.errors.join('\n')}`).toEqual([])
  expect(report.findings).toEqual([])
  expect(system.crashes, system.output).toBe(0)

  const { entries } = await readLog(logDir, trust.log.vkey)
  const leaves = entries.map((bytes, n) => readLeaf(n, bytes)).filter((leaf): leaf is Leaf => typeof leaf !== 'string')
  const said = (type: Leaf['event']['type'], member: string) =>
    leaves
      .filter(({ event }) => event.type === type)
      .map(({ event }) => String((event.data as Record<string, unknown>)[member]))
  const { requests, approvals, credentials, allows, withdrawals } = acknowledged
  expectOnce('request.received', requests, said('request.received', 'request_id'))
  expectOnce('request.approved', approvals, said('request.approved', 'request_id'))
  expectOnce('credential.issued', credentials, said('credential.issued', 'credential_id'))
  expectOnce('decision.allowed', allows, said('decision.allowed', 'decision_id'))
  expectOnce('outcome.reported', allows, said('outcome.reported', 'decision_id'))
  expectOnce('revocation.declared', withdrawals.keys(), said('revocation.declared', 'target'))

  const { read, adjust } = invoices.ledger.effects
  expect(read + adjust, 'an effect that nobody was answered about, or an answer without an effect').toBe(allows.size)
  expect(acknowledged.late).toEqual([])
  for (const { event, at } of leaves) {
    if (event.type !== 'decision.allowed') continue
    const withdrawnAt = withdrawals.get(event.data.actor.grant_id) ?? Number.POSITIVE_INFINITY
    expect(at, `${event.data.decision_id} after the withdrawal`).toBeLessThanOrEqual(withdrawnAt + 1000)
  }
  // That it was a story at all: a run of nothing but errors passes everything above.
  expect(allows.size).toBeGreaterThan(rounds)
  expect(withdrawals.size).toBeGreaterThan(rounds / 10)
  rmSync(data, { recursive: true, force: true })
})

function expectOnce(what: string, wanted: Iterable<string>, found: readonly string[]): void {
  const counts = new Map<string, number>()
  for (const id of found) counts.set(id, (counts.get(id) ?? 0) + 1)
  const wrong = [...wanted].filter((id) => counts.get(id) !== 1).map((id) => `${id}: ${counts.get(id) ?? 0} times`)
  expect(wrong, what).toEqual([])
}

/** Waits until the log has taken in everything: its checkpoint has not grown for a while. */
async function quiet(url: string): Promise<void> {
  let [size, since] = ['', performance.now()]
  const deadline = since + 30_000
  while (performance.now() < deadline && performance.now() < since + 2500) {
    const note = await fetch(`${url}/log/checkpoint`).then((answer) => answer.text())
    const now = note.split('\n')[1] ?? ''
    if (now !== size) [size, since] = [now, performance.now()]
    await pause(100)
  }
}
