import { join } from 'node:path'
import { readPolicyFiles } from '@bailiwick/installation'
import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { adjust, type CallAnswer, limitOf, read } from './agent-side.ts'
import { granted } from './granted.ts'
import { eventually } from './world.ts'

it('relays an outcome once, and returns only the reservation of a call that was not executed (V9, V10)', async () => {
  await using system = await granted()
  const { point, credential } = system
  const [a, b] = ['call_aaaaaaaaaaaaaaaa', 'call_bbbbbbbbbbbbbbbb']
  const first = await point.call({ credential, ...adjust('100'), observed: { call_id: a } })
  const second = await point.call({ credential, ...adjust('100'), observed: { call_id: b } })
  expect(system.taken()).toBe(2n)
  const notExecuted = point.outcome(first, a, 'not_executed')
  expect(await Promise.all([point.report(notExecuted), point.report(notExecuted)])).toEqual([204, 204])
  expect(await point.report(notExecuted)).toBe(204)
  expect(system.taken()).toBe(1n)
  expect(await point.report(point.outcome(second, b, 'succeeded'))).toBe(204)
  expect(system.taken()).toBe(1n)
  // Outcomes of another call, of another action, and of an unknown decision.
  expect(await point.report(point.outcome(second, a, 'not_executed'))).toBe(409)
  expect(await point.report(point.outcome(second, b, 'not_executed'))).toBe(409)
  expect(await point.report(point.outcome({ ...second, actionHash: 'A'.repeat(43) }, b, 'not_executed'))).toBe(409)
  const reported = (await system.world.events('decisions.v1')).filter(({ type }) => type === 'outcome.reported')
  expect(reported.map(({ subject }) => subject)).toEqual([first.decisionId, second.decisionId])
})

const limited = (egress_bytes: number) => ({
  authority: { ...sampleAuthority, budget: { ...sampleAuthority.budget, egress_bytes } },
})

it('reserves the bytes that a call may send, and charges those that its outcome reports (V9)', async () => {
  await using system = await granted({}, limited(1000))
  const { point, credential } = system
  const callIds = Array.from({ length: 9 }, (_, n) => `call_${String(n).padStart(16, '0')}`)
  const call = (call_id: string) => point.call({ credential, ...read, observed: { call_id } })
  const answers: { callId: string; answer: CallAnswer }[] = []
  for (const callId of callIds) answers.push({ callId, answer: await call(callId) })
  // All is reserved: the ninth waits for returned bytes.
  expect(answers.pop()?.answer).toMatchObject({ decision: false, reason: 'budget_held' })
  expect(answers.map(({ answer }) => limitOf(answer))).toEqual(Array.from({ length: 8 }, () => 125))
  const report = async (egress_bytes: number) => {
    const { answer, callId } = answers.shift() ?? {}
    if (!answer || !callId) throw new Error('nothing is open')
    expect(await point.report(point.outcome(answer, callId, 'succeeded', { egress_bytes }))).toBe(204)
  }
  await report(0)
  const again = await call('call_aaaaaaaaaaaaaaaa')
  expect(limitOf(again)).toBe(125)
  answers.push({ callId: 'call_aaaaaaaaaaaaaaaa', answer: again })
  await report(100)
  expect(await call('call_bbbbbbbbbbbbbbbb')).toMatchObject({ decision: false, reason: 'budget_held' })
  while (answers.length > 0) await report(125)
  const last = await call('call_cccccccccccccccc')
  expect([last.decision, limitOf(last)]).toEqual([true, 25])
  expect(await call('call_dddddddddddddddd')).toMatchObject({ decision: false, reason: 'budget_held' })
  answers.push({ callId: 'call_cccccccccccccccc', answer: last })
  await report(25)
  expect(await call('call_eeeeeeeeeeeeeeee')).toMatchObject({ decision: false, reason: 'budget_exhausted' })
})

it('says what to do after a denial that came with an approval, and does not rely on a claimed approval (V13)', async () => {
  await using system = await granted({}, limited(1))
  const { point, credential } = system
  const ask = async (call: { tool: string; properties: Record<string, unknown> }, approval?: object) => {
    const { body } = point.body({ credential, ...call })
    const context = { ...(body.context as object), ...(approval === undefined ? {} : { approval }) }
    return (await point.send({ ...body, context })).json()
  }
  const approval = { id: 'req_aaaaaaaaaaaaaaaaaaaa', state: 'approved' }
  expect(await ask({ tool: 'delete', properties: {} }, approval)).toMatchObject({
    decision: false,
    context: { reason: 'action_not_granted', next_action: 'request', access_request: expect.anything() },
  })
  expect(await ask(read, approval)).toMatchObject({ decision: true })
  expect(await ask(read, approval)).toMatchObject({
    decision: false,
    context: { reason: 'budget_held', next_action: 'retry', retry_after: 1 },
  })
  const { context } = await ask(read)
  expect([context.reason, 'next_action' in context]).toEqual(['budget_held', false])
})

it('denies a call whose obligations the enforcement point says it cannot fulfil, and takes nothing (V13)', async () => {
  await using system = await granted({}, limited(1000))
  const { point, credential } = system
  const ask = async (supported: unknown, call_id: string) => {
    const { body } = point.body({ credential, ...read, observed: { call_id } })
    const context = { ...(body.context as object), supported_obligations: supported }
    return (await point.send({ ...body, context })).json()
  }
  expect(await ask(['notification', 'step-up'], 'call_aaaaaaaaaaaaaaaa')).toMatchObject({
    decision: false,
    context: { reason: 'obligation_unsupported' },
  })
  expect(system.taken()).toBe(0n)
  expect(await ask(['custom'], 'call_bbbbbbbbbbbbbbbb')).toMatchObject({ decision: true })
  expect(await ask('custom', 'call_cccccccccccccccc')).toMatchObject({ code: 'request_malformed' })
})

it('charges the whole reservation for an outcome that does not say how much was sent (V9)', async () => {
  await using system = await granted({}, limited(1000))
  const { point, credential } = system
  const ask = async (call_id: string, answer_bytes: number) => {
    const answer = await point.call({ credential, ...read, observed: { call_id, answer_bytes } })
    if (answer.decision) expect(await point.report(point.outcome(answer, call_id, 'failed'))).toBe(204)
    return answer.decision ? limitOf(answer) : answer.reason
  }
  expect(await ask('call_aaaaaaaaaaaaaaaa', 999)).toBe(999)
  expect(await ask('call_bbbbbbbbbbbbbbbb', 999)).toBe(1)
  expect(await ask('call_cccccccccccccccc', 1)).toBe('budget_exhausted')
})

it('reports an overdue outcome as missing, keeps it spent, and accepts a late one without a return (V9)', async () => {
  await using system = await granted({ pdp: { outcomeSeconds: 1 } })
  const { point, credential, world } = system
  const callId = 'call_aaaaaaaaaaaaaaaa'
  const allowed = await point.call({ credential, ...adjust('100'), observed: { call_id: callId } })
  await eventually(async () => (await world.events('decisions.v1')).find(({ type }) => type === 'outcome.missing'))
  expect(system.taken()).toBe(1n)
  expect(await point.report(point.outcome(allowed, callId, 'not_executed'))).toBe(204)
  expect(system.taken()).toBe(1n)
})

it('reports an outcome as missing as soon as a policy’s time for it is over (V9)', async () => {
  const policies = readPolicyFiles(join(import.meta.dirname, '../../policies'))
  const soon = Buffer.from('@id("soon") @report_outcome_by("2") permit (principal is agent, action, resource);')
  await using system = await granted({ policies: new Map([...policies, ['zz.cedar', soon]]) })
  const { point, credential, world } = system
  const { decisionId, context } = await point.call({ credential, ...adjust('100') })
  expect(context.obligations).toMatchObject([{ properties: { action: 'report_outcome_by', seconds: 2 } }])
  const missing = await eventually(async () =>
    (await world.events('decisions.v1')).find(({ type }) => type === 'outcome.missing'),
  )
  expect(missing).toMatchObject({ subject: decisionId, data: { due: context.outcome_due } })
  expect(system.taken()).toBe(1n)
})
