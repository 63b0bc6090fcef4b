import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initialise, readInstallation, readPolicyFiles } from '@bailiwick/installation'
import { memoryOutcomeStore } from '@bailiwick/pep'
import { logger, systemClock, systemRandom } from '@bailiwick/service-kit'
import { sample, sampleEntities, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, freePort } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { Killable, pause } from './killable.ts'
import { quiet, reckon } from './reckoning.ts'
import { generator, seed } from './seed.ts'
import { Acknowledged, live } from './story.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 200 : 20))

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

  const { read, adjust } = invoices.ledger.effects
  await reckon(data, { seed, rounds }, { acknowledged, effects: read + adjust, errors: system.errors })
  expect(system.crashes, system.output).toBe(0)
  const { allows, withdrawals } = acknowledged
  // That it was a story at all: a run of nothing but errors passes everything above.
  expect(allows.size).toBeGreaterThan(rounds)
  expect(withdrawals.size).toBeGreaterThan(rounds / 10)
  rmSync(data, { recursive: true, force: true })
})
