import type { DecodedEvent } from '@bailiwick/contracts'
import { type Fact, Ledger } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { agentId, authority } from '../approval.fixture.ts'
import type { Approval } from '../context.ts'
import { pageSize } from './ordered.ts'
import { RequestIndex } from './request-index.ts'
import { listRequests } from './request-list.ts'

const now = Date.parse('2026-11-25T10:00:00.000Z')
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString()

/** Approval's state after this many asks: the real state, without the bus. */
function waiting(count: number) {
  const ledger = new Ledger({ judge: async () => true, base: true })
  const listeners: ((fact: Fact) => void)[] = []
  const onFact = (listener: (fact: Fact) => void) => {
    listeners.push(listener)
    return () => undefined
  }
  const approval = {
    projection: { ledger, onFact },
    clock: { now: () => now + 1000 * count, monotonic: () => 0 },
  } as unknown as Approval
  const receive = async (n: number) => {
    const id = `req_${String(n).padStart(20, '0')}`
    const data = {
      kind: 'access',
      request_id: id,
      agent: `${agentId}/i${n % 40}`,
      authority: { ...authority, task: `task-${n % 500}`, budget: n % 3 === 0 ? {} : { calls: n } },
      mode: 'window',
      rebind: 'none',
      not_before: at(n),
      not_after: at(n + 3600),
      expires_at: at(count * 10),
      received_by: 'topic',
    }
    const event = { type: 'request.received', subject: id, partitionkey: id, version: 1, time: at(n), data }
    await ledger.apply('approvals.v1', event as unknown as DecodedEvent<'approvals.v1'>)
    for (const listener of listeners) listener({ topic: 'approvals.v1', verdict: 'counts', event } as unknown as Fact)
  }
  return { approval, receive, ledger }
}

const me = { id: 'olga', name: 'Olga', groups: ['owners'], credentials: [] }

it('lists 10,000 pending requests page by page, each once, riskiest and newest first, without sorting them', async () => {
  const count = 10_000
  const { approval, receive } = waiting(count)
  for (let n = 0; n < count / 2; n++) await receive(n)
  const index = new RequestIndex(approval)
  for (let n = count / 2; n < count; n++) await receive(n)
  expect(index.open.size).toBe(count)

  const took: number[] = []
  const seen: { id: string; risk: { score: number }; received_at: string }[] = []
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const began = performance.now()
    const page = listRequests(approval, index, me, { state: 'pending', cursor })
    took.push(performance.now() - began)
    expect(page.items.length).toBe(pageSize)
    seen.push(...(page.items as typeof seen))
    cursor = page.next
    if (seen.length === count) break
  }
  expect(new Set(seen.map(({ id }) => id)).size).toBe(count)
  for (const [n, row] of seen.slice(1).entries()) {
    const before = seen[n] as typeof row
    const ordered = before.risk.score > row.risk.score || before.received_at > row.received_at
    expect(ordered).toBe(true)
  }
  const began = performance.now()
  const found = listRequests(approval, index, me, { state: 'pending', q: 'task-499' })
  const searched = performance.now() - began
  expect(found.items).toHaveLength(20)
  took.sort((a, b) => a - b)
  const ms = (value: number | undefined) => `${(value ?? 0).toFixed(1)} ms`
  // Printed, not asserted: a busy machine is not a failure.
  console.log(
    `10,000 pending: a page of 50 takes ${ms(took[100])} (p50), ${ms(took.at(-1))} (max); a search ${ms(searched)}`,
  )
  index[Symbol.dispose]()
})

it('forgets what the ledger forgot, when the next one is answered', async () => {
  const { approval, receive, ledger } = waiting(100)
  const index = new RequestIndex(approval)
  for (let n = 0; n < 100; n++) await receive(n)
  for (const record of ledger.requests.requests.values()) record.state = 'denied'
  index[Symbol.dispose]()
  const again = new RequestIndex(approval)
  expect([again.open.size, again.answered.size]).toEqual([0, 100])
  for (const id of [...ledger.requests.requests.keys()].slice(0, 60)) ledger.requests.requests.delete(id)
  await receive(100)
  expect(again.answered.size).toBe(40)
})
