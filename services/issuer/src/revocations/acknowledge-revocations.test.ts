import { ServiceError } from '@bailiwick/errors'
import type { Fact } from '@bailiwick/projection'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { acknowledgeRevocations } from './acknowledge-revocations.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** An issuer whose producer may lapse, as it does while none of its heads comes back from the bus. */
function anIssuer({ sequence = 0 } = {}) {
  const revocations = { sequence, acknowledged: 0 }
  const said: unknown[] = []
  const listeners = new Set<(fact: Fact) => void>()
  const state = { lapsed: false }
  const issuer = {
    maxStalenessMs: 2000,
    projection: {
      ledger: { revocations },
      onFact: (listener: (fact: Fact) => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    producer: {
      async publish(_: string, [draft]: [{ data: { sequence: number } }]) {
        if (state.lapsed) throw new ServiceError('service_standby')
        revocations.acknowledged = draft.data.sequence
        said.push(draft.data)
        return []
      },
    },
    logger: { warn: () => undefined },
  }
  const declare = (version: number, verdict = 'counts') => {
    if (verdict === 'counts') revocations.sequence = version
    const fact = { event: { type: 'revocation.declared', version }, verdict }
    for (const listener of listeners) listener(fact as unknown as Fact)
  }
  return { issuer: issuer as never, said, state, declare }
}
const ofSequence = (sequence: number) => ({ sequence, max_staleness_ms: 2000 })

it('acknowledges each revocation that counts, once (V7)', async () => {
  const { issuer, said, declare } = anIssuer()
  await using _ = acknowledgeRevocations(issuer)
  declare(1)
  declare(2, 'void')
  declare(2)
  await vi.advanceTimersByTimeAsync(5000)
  expect(said).toEqual([ofSequence(1), ofSequence(2)])
})

it('acknowledges later what it could not while its heads had lapsed (V7)', async () => {
  const { issuer, said, state, declare } = anIssuer()
  await using _ = acknowledgeRevocations(issuer)
  state.lapsed = true
  declare(1)
  declare(2)
  await vi.advanceTimersByTimeAsync(5000)
  expect(said).toEqual([])
  state.lapsed = false
  await vi.advanceTimersByTimeAsync(1000)
  expect(said).toEqual([ofSequence(2)])
})

it('acknowledges what its predecessor declared, and nothing once it ends (V7)', async () => {
  const { issuer, said, state, declare } = anIssuer({ sequence: 3 })
  {
    await using _ = acknowledgeRevocations(issuer)
    await vi.advanceTimersByTimeAsync(0)
    state.lapsed = true
    declare(4)
  }
  declare(5)
  state.lapsed = false
  await vi.advanceTimersByTimeAsync(5000)
  expect(said).toEqual([ofSequence(3)])
})
