import { setTimeout as pause } from 'node:timers/promises'
import { enrolApprover, preparePlace } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { quiet, reckon } from './reckoning.ts'
import { generator, seed } from './seed.ts'
import { SmallDisk } from './small-disk.ts'
import { standalone } from './standalone.ts'
import { Acknowledged, sampleLives } from './story.ts'
import { tally } from './tally.ts'

const rounds = Number(process.env.BAILIWICK_CHAOS_ROUNDS ?? (process.env.BAILIWICK_NIGHTLY === '1' ? 20 : 1))
/** Long, because the machine may have other work. */
const readyWithinMs = 120_000

it(`a disk that is full ${rounds} times lets nothing be acknowledged that is not durable, and the system goes on when there is room (V2, V9, V13)`, {
  timeout: rounds * 120_000 + 300_000,
}, async ({ annotate }) => {
  await annotate(`seed ${seed}, ${rounds} rounds`)
  const random = generator(seed)
  const place = await preparePlace({})
  const { data, url } = place
  await using disk = await SmallDisk.of(data, 256)
  await using system = standalone(place, {}, disk.through)
  system.start()
  await system.ready(readyWithinMs)
  const approver = await enrolApprover({ url, data: disk.seen })
  const invoices = await startInvoicesApi(place)
  const acknowledged = new Acknowledged()
  const { allows } = acknowledged
  let stopping = false
  const lives = sampleLives(place, { approver, acknowledged, random, stopped: () => stopping })
  /** Waits until one more call has been allowed. */
  const goesOn = async () => {
    const { size } = allows
    await expect.poll(() => allows.size, { timeout: 120_000, interval: 50 }).toBeGreaterThan(size)
  }
  /** Waits until the system is ready. If a failed write ended the process, starts it again, as an operator would. */
  const readyAgain = async () => {
    for (let tries = 3; tries > 0; tries--) {
      if (!system.running) system.start()
      if (
        await system.ready(readyWithinMs).then(
          () => true,
          () => false,
        )
      )
        return
    }
    throw new Error(`it does not come back: ${system.output}`)
  }
  try {
    for (let round = 0; round < rounds; round++) {
      await goesOn()
      await pause(random() * 1000)
      disk.fill()
      tally('disk full', 'of standalone')
      await pause(1000 + random() * 4000)
      // In half of the rounds, the process is also killed, and started again while the disk is still full.
      if (random() < 0.5) {
        await system.kill()
        tally('SIGKILL', 'standalone on a full disk')
        system.start()
        await pause(random() * 2000)
      }
      disk.free()
      await readyAgain()
      await goesOn()
    }
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
  const told = { acknowledged, effects: read + adjust, errors: system.errors }
  await reckon(disk.copy(), { about: `a disk that was full ${rounds} times`, seed, ended: system.crashes }, told)
  place.leave()
})
