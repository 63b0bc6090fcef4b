import { generateKey, signOutcome } from '@bailiwick/credentials'
import { expect, it } from 'vitest'
import type { EnforcementPoint } from './enforcement-point.ts'
import { memoryOutcomeStore } from './outcome-store.ts'
import { aCall, anOutcome, aPoint, FakePdp } from './pdp.fixture.ts'

const act = (point: EnforcementPoint) => point.guard(aCall(), async () => undefined)

it.each([
  ['alone', 1],
  ['in a list', 3],
])(
  'outcomes that come %s and that the PDP cannot verify let no call through until it can, and are all kept (V13, V15)',
  async (_, count) => {
    await using pdp = await FakePdp.start()
    const first = Promise.withResolvers<void>()
    let isRegistered = false
    pdp.single = () => first.promise
    pdp.outcome = () => (isRegistered ? { status: 204 } : { status: 401, body: { code: 'key_unknown' } })
    const problems: string[] = []
    await using point = await aPoint(pdp, { onProblem: ({ message }) => problems.push(message) })
    for (let n = 0; n < count; n++) expect(await act(point)).toMatchObject({ allowed: true })
    expect(point.obstacle).toBeUndefined()
    first.resolve()
    await expect.poll(() => point.obstacle).toBe('outcomes_unverified')
    if (count > 1) await expect.poll(() => pdp.lists.length).toBeGreaterThan(0)
    const { length } = pdp.evaluations
    expect(await act(point)).toEqual({ allowed: false, reason: 'outcomes_unverified' })
    expect(pdp.evaluations).toHaveLength(length)
    isRegistered = true
    await point.delivered()
    expect(point.obstacle).toBeUndefined()
    expect(await act(point)).toMatchObject({ allowed: true })
    await point.delivered()
    const numbers = Array.from({ length: count + 1 }, (_, n) => n + 1)
    expect(pdp.outcomes.map(({ sequence }) => sequence).sort()).toEqual(numbers)
    expect(problems).toEqual([expect.stringMatching(/^key_unknown: .* no call is let through/)])
  },
)

it('outcomes of an earlier start that the PDP cannot verify are kept, however many, and hold up no call (V15)', async () => {
  await using pdp = await FakePdp.start()
  const replaced = generateKey('outcome')
  const pending = Array.from({ length: 4 }, (_, n) => signOutcome({ ...anOutcome, sequence: n + 1 }, replaced))
  const store = memoryOutcomeStore({ pending })
  const problems: string[] = []
  const onProblem = ({ message }: Error) => problems.push(message)
  await using point = await aPoint(pdp, { store, maxPendingOutcomes: 3, onProblem })
  await expect.poll(() => point.obstacle).toBeUndefined()
  for (let n = 1; n <= 3; n++) {
    expect(await act(point)).toMatchObject({ allowed: true })
    await expect.poll(() => pdp.outcomes.length).toBe(n)
  }
  await point[Symbol.asyncDispose]()
  expect(await store.load()).toEqual({ pending })
  expect(problems).toEqual([expect.stringMatching(/^key_unknown: .* earlier start/)])
})

it('an enforcement point that the PDP does not know says so once, keeps its outcomes, and goes on when it is registered (V13, V15)', async () => {
  await using pdp = await FakePdp.start()
  pdp.outcome = () => ({ status: 503 })
  const problems: string[] = []
  await using point = await aPoint(pdp, { onProblem: ({ message }) => problems.push(message) })
  expect(await act(point)).toMatchObject({ allowed: true })
  pdp.knows = false
  for (let n = 0; n < 2; n++) expect(await act(point)).toEqual({ allowed: false, reason: 'pdp_unavailable' })
  expect(point.obstacle).toBe('caller_unauthenticated')
  pdp.knows = true
  pdp.outcome = () => ({ status: 204 })
  await point.delivered()
  expect(point.obstacle).toBeUndefined()
  expect(pdp.outcomes).toHaveLength(1)
  expect(problems).toEqual(['caller_unauthenticated: the PDP does not know this enforcement point'])
})

it('an enforcement point that no call reaches while it is unknown asks again after a few seconds (V13)', async () => {
  await using pdp = await FakePdp.start()
  let later = 0
  const now = () => Date.now() + later
  pdp.now = now
  await using point = await aPoint(pdp, { now })
  pdp.knows = false
  expect(await act(point)).toEqual({ allowed: false, reason: 'pdp_unavailable' })
  later = 4000
  expect(point.obstacle).toBe('caller_unauthenticated')
  later = 6000
  expect(point.obstacle).toBeUndefined()
  expect(await act(point)).toEqual({ allowed: false, reason: 'pdp_unavailable' })
  expect(point.obstacle).toBe('caller_unauthenticated')
  later = 12_000
  pdp.knows = true
  expect(await act(point)).toMatchObject({ allowed: true })
  expect(point.obstacle).toBeUndefined()
})

it('an outcome that could not be verified for long is not given up for one PDP that does not know its decision yet (V15)', async () => {
  await using pdp = await FakePdp.start()
  let later = 0
  const now = () => Date.now() + later
  pdp.now = now
  const answers = [
    ...[
      { status: 401, body: { code: 'key_unknown' } },
      { status: 404, body: { code: 'decision_unknown' } },
    ],
    { status: 204 },
  ]
  pdp.outcome = () => {
    const answer = answers.shift() ?? { status: 204 }
    if (answer.status === 401) later = 600_000
    return answer
  }
  const problems: string[] = []
  await using point = await aPoint(pdp, { now, onProblem: ({ message }) => problems.push(message) })
  expect(await act(point)).toMatchObject({ allowed: true })
  await point.delivered()
  expect(answers).toEqual([])
  expect(problems).toEqual([expect.stringMatching(/^key_unknown/)])
})
