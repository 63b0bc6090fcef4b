import { expect, it } from 'vitest'
import { ByRegistry } from './by-registry.ts'

it('keeps a verdict until a change comes that it should have been judged by, also where it was yes (V3)', async () => {
  const changes = [1]
  const registry = {
    get taken() {
      return changes.length
    },
    changedSince: (taken: number, ms: number) => changes.slice(taken).some((at) => at <= ms),
  }
  const verdicts = new ByRegistry<number>({ ledger: { registry } } as never)
  const subject = {}
  let judged = 0
  const verdict = () => verdicts.of(subject, 10, async () => ++judged)
  expect([await verdict(), await verdict()]).toEqual([1, 1])
  changes.push(11) // a later change: an approver joined or left since
  expect([await verdict(), await verdict()]).toEqual([1, 1])
  changes.push(9)
  expect([await verdict(), await verdict()]).toEqual([2, 2])
  changes.push(12, 10)
  expect(await verdict()).toBe(3)
  expect(await verdicts.of({}, 10, async () => ++judged)).toBe(4)
})
