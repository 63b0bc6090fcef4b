import { setImmediate } from 'node:timers/promises'
import type { DecodedEvent } from '@bailiwick/contracts'
import type { System, SystemOptions } from '@bailiwick/testkit'

type Ledger = System['services']['policyDecision']['pdp']['projection']['ledger']

/**
 * Decisions count at once and are not recorded, which leaves the cost of the decision itself. Until it has a ledger,
 * everything is recorded as usual.
 */
export function recordInMemory() {
  const memory: { ledger: Ledger | undefined; wrapRecord: NonNullable<SystemOptions['wrapRecord']> } = {
    ledger: undefined,
    wrapRecord: (record) => async (drafts) => {
      const { ledger } = memory
      if (!ledger) return record(drafts)
      await setImmediate() // as any write would: otherwise only decisions would run, and no head would be read
      const time = new Date().toISOString()
      return drafts.map((draft, n) => {
        const event = { ...draft, partitionkey: draft.key ?? draft.subject, time } as DecodedEvent<'decisions.v1'>
        const verdict = ledger.decisions.apply(event)
        return { id: draft.subject, position: { topic: 'decisions.v1', partition: 0, offset: n }, verdict }
      })
    },
  }
  return memory
}
