import { setTimeout as pause } from 'node:timers/promises'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { quiet, reckon } from './reckoning.ts'
import { generator, seed } from './seed.ts'
import { standalone } from './standalone.ts'
import { Acknowledged, sampleLives } from './story.ts'
import { tally } from './tally.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 200 : 12))

const title = `killed ${rounds} times at any moment, loses nothing that it acknowledged, doubles nothing, and revives nothing (V2, V4, V7, V9, V10)`

it(title, { timeout: rounds * 15_000 + 480_000 }, async ({ annotate }) => {
  await annotate(`seed ${seed}, ${rounds} rounds`)
  const random = generator(seed)
  const place = await preparePlace({})
  const { data, url } = place
  const system = standalone(place)
  system.start()
  await system.ready()
  const approver = await enrolApprover({ url, data })
  const invoices = await startInvoicesApi(place)
  const acknowledged = new Acknowledged()
  const { allows, withdrawals } = acknowledged
  let stopping = false
  const lives = sampleLives(place, { approver, acknowledged, random, stopped: () => stopping })
  try {
    for (let round = 0; round < rounds; round++) {
      // One in four dies while it starts, when it mends what the last death left.
      if (random() < 0.25) await pause(random() * 1500)
      else {
        await system.ready()
        await pause(random() * 2000)
        // One in ten stood still before, as on a machine that was suspended.
        if (random() < 0.1) {
          system.signal('SIGSTOP')
          tally('SIGSTOP', 'standalone')
          await pause(500 + random() * 3000)
          system.signal('SIGCONT')
          await pause(random() * 1000)
        }
      }
      await system.kill()
      tally('SIGKILL', 'standalone')
      system.start()
    }
    await system.ready()
    // It goes on after the last death, and was a story at all: a run of nothing but errors passes everything below.
    const before = allows.size
    const told = () => allows.size > Math.max(before, rounds) && withdrawals.size > rounds / 10
    await expect.poll(told, { timeout: 300_000, interval: 100 }).toBe(true)
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
  place.leave()
})
