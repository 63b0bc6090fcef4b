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

it('forgets what the ledger forgets, also behind an emergency that waits for its review', () => {
  const waiting = asked('emergency', 1)
  const received = { ...waiting.received, attestation: { kind: 'emergency' } }
  const unreviewed = { ...waiting, state: 'approved', received, approved: {} } as unknown as RequestRecord
  const requests = new Map([
    ['emergency', unreviewed],
    ['old', asked('old', 2)],
  ])
  const listeners: ((fact: object) => void)[] = []
  const ledger = { requests: { requests }, registry: {} }
  const projection = {
    ledger,
    onFact(listener: (fact: object) => void) {
      listeners.push(listener)
      return () => undefined
    },
  }
  using index = new RequestIndex({ projection } as unknown as Approval)
  requests.delete('old')
  requests.set('new', asked('new', 3))
  for (const listener of listeners)
    listener({
      topic: 'approvals.v1',
      verdict: 'counts',
      event: { type: 'request.denied', data: { request_id: 'new' } },
    })
  expect([...index.answered.after(undefined)].map(({ id }) => id)).toEqual(['new', 'emergency'])
})
