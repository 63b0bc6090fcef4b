import type { RequestRecord } from '@bailiwick/projection'
import { expect, it } from 'vitest'
import { authority } from '../approval.fixture.ts'
import type { Approval } from '../context.ts'
import type { AccessAsk } from '../requests.ts'
import { RequestIndex } from './request-index.ts'

const agent = 'spiffe://acme.example/agent/ledger/one'
const asked = (id: string, receivedAt: number) => {
  const received = { kind: 'access', request_id: id, agent, authority, expires_at: '' } as unknown as AccessAsk
  return { id, state: 'denied', received, receivedAt, changedAt: receivedAt } as unknown as RequestRecord
}

it('has what was asked last before it, in any order in which a restart reads the topic', () => {
  const at = { a: 3, b: 1, c: 4, d: 2 }
  const requests = new Map(Object.entries(at).map(([id, time]) => [id, asked(id, time)]))
  const ledger = { requests: { requests }, registry: {} }
  using index = new RequestIndex({ projection: { ledger, onFact: () => () => undefined } } as unknown as Approval)
  const others = (id: string) => index.ofSameTask(requests.get(id)?.received as AccessAsk).map((each) => each.id)
  expect(others('c')).toEqual(['a', 'd', 'b'])
  expect(others('b')).toEqual(['c', 'a', 'd'])
})
