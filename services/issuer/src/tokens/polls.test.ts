import { expect, it } from 'vitest'
import { Polls } from './polls.ts'

const second = 1000
const asked = (polls: Polls, at: number, request = 'req_1') => {
  const { error, waitSeconds } = polls.answer('spiffe://acme.example/agent/ledger/one', request, at)
  return [error, waitSeconds]
}

it('slows down who asks too often, by 5 s each time, and keeps to it (RFC 8628 §3.5)', () => {
  const polls = new Polls()
  expect(asked(polls, 0)).toEqual(['authorization_pending', 5])
  expect(asked(polls, 5 * second)).toEqual(['authorization_pending', 5])
  expect(asked(polls, 9 * second)).toEqual(['slow_down', 10])
  expect(asked(polls, 18 * second)).toEqual(['slow_down', 15])
  expect(asked(polls, 33 * second)).toEqual(['authorization_pending', 15])
  expect(asked(polls, 33 * second, 'req_2')).toEqual(['authorization_pending', 5])
})

it('asks no client to wait longer than a minute, and remembers no more than it has room for', () => {
  const polls = new Polls(2)
  const last = Array.from({ length: 20 }, () => asked(polls, 0)).at(-1)
  expect(last).toEqual(['slow_down', 60])
  asked(polls, 0, 'req_2')
  asked(polls, 0, 'req_3')
  expect(asked(polls, 0)).toEqual(['authorization_pending', 5])
})
