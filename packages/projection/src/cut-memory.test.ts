import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { anEvent, at, idOf } from './events.fixture.ts'
import { newLedger } from './histories.fixture.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')
setFlagsFromString('--no-expose-gc')

async function heldMiB(): Promise<number> {
  for (let n = 0; n < 3; n++) {
    await new Promise(setImmediate) // what the last turn still holds on its stack
    collectGarbage()
  }
  return process.memoryUsage().heapUsed / 2 ** 20
}

it('keeps nothing of a cut that was written (V18)', async () => {
  const ledger = newLedger(false)
  const root = idOf('grt', 1)
  let head: string | undefined
  for (let version = 1; version <= 20_000; version++) {
    const id = idOf('evt', version)
    const event = anEvent('decisions.v1', 'decision.allowed', {
      id,
      partitionkey: root,
      subject: idOf('dec', version),
      time: at(version),
      version,
      data: {
        decision_id: idOf('dec', version),
        call_id: `call-${String(version).padStart(16, '0')}`,
        proof_id: String(version).padStart(43, 'p'),
        // Each call costs another amount, so no two share a row.
        reserved: { calls: 1, cost: { EUR: `0.${String(version).padStart(6, '0')}` }, egress_bytes: 0 },
        ...(head === undefined ? {} : { after: head }),
      },
    })
    if (head === undefined) delete (event.data as { after?: string }).after
    expect(ledger.decisions.apply(event)).toBe('counts')
    head = id
  }
  const rowsOfACut = () => {
    let rows = 0
    for (const _ of ledger.cut()) rows++
    return rows
  }
  const before = await heldMiB()
  expect(rowsOfACut()).toBeGreaterThan(40_000)
  expect((await heldMiB()) - before).toBeLessThan(2)
  expect(ledger.decisions.trees.size).toBe(1) // it was there until now
})
