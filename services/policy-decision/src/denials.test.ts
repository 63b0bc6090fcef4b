import type { EnforcementPoint } from '@bailiwick/contracts'
import type { AccessToken } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Draft } from '@bailiwick/projection'
import { logger, testClock } from '@bailiwick/service-kit'
import { expect, it } from 'vitest'
import type { Pdp } from './context.ts'
import type { Denied } from './decide.ts'
import { Denials } from './denials.ts'
import type { EvaluationRequest } from './evaluation-request.ts'

const roomBytes = 60_000
const point = { id: 'gateway' } as EnforcementPoint

function world() {
  const clock = testClock()
  const recorded: Draft<'decisions.v1'>[] = []
  let dropped = 0
  const pdp = {
    clock,
    policies: { current: () => undefined },
    logger: logger({ service: 'test', level: 'silent' }),
    // As the producer does: nothing of a batch is numbered when one of it cannot be signed.
    async record(drafts: readonly Draft<'decisions.v1'>[]) {
      if (drafts.some((draft) => JSON.stringify(draft).length > roomBytes)) throw new ServiceError('event_too_large')
      recorded.push(...drafts)
      return []
    },
  } as unknown as Pdp
  const denials = new Denials(pdp, () => dropped++)
  const deny = (agent: string, decisionId: string, policies: string[] = []) =>
    denials.add(
      point,
      { action: { name: 'tools/call' }, resource: {} } as EvaluationRequest,
      { decisionId, reason: 'policy_denied', policies, token: tokenOf(agent) } as unknown as Denied,
    )
  const named = (type: string) => recorded.filter((draft) => draft.type === type)
  const sums = () => recorded.flatMap((draft) => (draft.type === 'denials.summarised' ? draft.data.denials : []))
  return { clock, denials, deny, named, sums, dropped: () => dropped }
}

const tokenOf = (sub: string) =>
  ({ sub, client_id: sub, jti: 'crd_1', grant: { id: 'grt_1', root: 'grt_1', request: 'req_1' } }) as AccessToken

const agent = (n: number, length = 0) => `spiffe://example.org/agent/a${n}/${'i'.repeat(length + 1)}`

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
