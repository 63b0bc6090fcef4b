import type { EnforcementPoint } from '@bailiwick/contracts'
import type { AccessToken } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { logger } from '@bailiwick/host'
import type { Draft } from '@bailiwick/instance'
import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import type { Denied } from '../answer.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { Denials } from './denials.ts'

const roomBytes = 60_000
const point = { id: 'gateway' } as EnforcementPoint

function world() {
  const clock = testClock()
  const recorded: Draft<'decisions.v1'>[] = []
  let dropped = 0
  const bus = { refuses: 0 }
  const pdp = {
    clock,
    policies: { current: () => undefined },
    logger: logger({ service: 'test', level: 'silent' }),
    // As the producer does: if one event of a batch cannot be signed, none of the batch is numbered.
    async record(drafts: readonly Draft<'decisions.v1'>[]) {
      if (bus.refuses-- > 0) throw new ServiceError('bus_unavailable')
      if (drafts.some((draft) => JSON.stringify(draft).length > roomBytes)) throw new ServiceError('event_too_large')
      recorded.push(...drafts)
      return []
    },
  }
  const denials = new Denials(pdp as never, () => dropped++)
  const deny = (agent: string, decisionId: string, policies: string[] = []) =>
    denials.add(
      point,
      { action: { name: 'tools/call' }, resource: {} } as EvaluationRequest,
      { decisionId, reason: 'policy_denied', policies, token: tokenOf(agent) } as unknown as Denied,
    )
  const refuse = (more: Partial<Denied>, at = point) =>
    denials.add(at, { action: { name: 'tools/call' }, resource: {} } as EvaluationRequest, more as Denied)
  const named = (type: string) => recorded.filter((draft) => draft.type === type)
  const sums = () => recorded.flatMap((draft) => (draft.type === 'denials.summarised' ? draft.data.denials : []))
  return { clock, bus, denials, deny, refuse, named, sums, dropped: () => dropped }
}

const tokenOf = (sub: string) =>
  ({ sub, client_id: sub, jti: 'crd_1', grant: { id: 'grt_1', root: 'grt_1', request: 'req_1' } }) as AccessToken

const agent = (n: number, length = 0) => `spiffe://example.org/agent/a${n}/${'i'.repeat(length + 1)}`

it('denials wait for a bus that is away, and are evidence once it is back (V2)', async () => {
  const { bus, denials, deny, named, dropped } = world()
  bus.refuses = 2
  for (let n = 0; n < 70; n++) deny(agent(n), `dec_${n}`)
  await expect.poll(() => named('decision.denied').length, { timeout: 20_000 }).toBe(70)
  expect(named('decision.denied').map(({ subject }) => subject)).toEqual(
    Array.from({ length: 70 }, (_, n) => `dec_${n}`),
  )
  expect(dropped()).toBe(0)
  await denials[Symbol.asyncDispose]()
})

it('a stop does not wait for the bus', async () => {
  const { bus, denials, deny, named } = world()
  bus.refuses = Number.POSITIVE_INFINITY
  deny(agent(1), 'dec_1')
  await denials[Symbol.asyncDispose]()
  expect(named('decision.denied')).toEqual([])
})

it('a denial that no event has room for takes no other one along, and is counted for its agent (V18)', async () => {
  const { denials, deny, named, sums, dropped } = world()
  for (let n = 0; n < 64; n++) deny(agent(n), `dec_${n}`, n === 17 ? ['p'.repeat(roomBytes)] : [])
  await denials[Symbol.asyncDispose]()
  const others = Array.from({ length: 64 }, (_, n) => `dec_${n}`).filter((id) => id !== 'dec_17')
  expect(named('decision.denied').map(({ subject }) => subject)).toEqual(others)
  expect(sums()).toEqual([{ subject: agent(17), reason: 'policy_denied', count: 1 }])
  expect(dropped()).toBe(0)
})

it('a sum of agents with long names stands in as many events as it needs', async () => {
  const { denials, deny, named, sums } = world()
  for (let n = 0; n < 100; n++) for (let time = 0; time < 11; time++) deny(agent(n, 1900), `dec_${n}_${time}`)
  await denials[Symbol.asyncDispose]()
  expect(named('denials.summarised').length).toBeGreaterThan(1)
  expect(sums()).toEqual(
    Array.from({ length: 100 }, (_, n) => ({ subject: agent(n, 1900), reason: 'policy_denied', count: 1 })),
  )
})

const withoutAnybody = ['credential_missing', 'credential_malformed', 'credential_invalid', 'pep_out_of_scope'] as const

it('unattributed denials become one leaf a minute, counted by point and reason (V18)', async () => {
  const { denials, refuse, named, sums } = world()
  const other = { id: 'another' } as EnforcementPoint
  for (let n = 0; n < 5000; n++)
    refuse({ decisionId: `dec_${n}`, reason: withoutAnybody[n % 4] as 'credential_missing' }, n % 2 ? point : other)
  for (let n = 0; n < 1000; n++) denials.unauthenticated()
  await denials[Symbol.asyncDispose]()
  expect(named('decision.denied')).toEqual([])
  expect(named('denials.summarised')).toHaveLength(1)
  expect(sums().reduce((sum, { count }) => sum + count, 0)).toBe(6000)
  expect(sums()).toContainEqual({ subject: 'another', reason: 'credential_missing', count: 1250 })
})

it('a thief of an agent’s credential without its key is recorded, but cannot fill the log in its name (V11, V18)', async () => {
  const { clock, denials, refuse, named, sums } = world()
  for (let n = 0; n < 600; n++) {
    refuse({ decisionId: `dec_${n}`, reason: 'proof_key_mismatch', unproven: true, token: tokenOf(agent(1)) })
    clock.advance(100)
  }
  await denials[Symbol.asyncDispose]()
  expect(named('decision.denied')).toHaveLength(20)
  expect(sums()).toEqual([{ subject: 'gateway', reason: 'proof_key_mismatch', count: 580 }])
})

it('a sum that has no more room for names counts on without them', async () => {
  const { denials, deny, sums } = world()
  for (let n = 0; n < 300; n++) for (let time = 0; time < 11; time++) deny(agent(n), `dec_${n}_${time}`)
  await denials[Symbol.asyncDispose]()
  expect(sums()).toHaveLength(200)
  expect(sums().at(-1)).toEqual({ subject: 'others', reason: 'others', count: 101 })
})
