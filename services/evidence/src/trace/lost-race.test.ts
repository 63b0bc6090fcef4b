import { actionHash, type EventData } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { signOutcome } from '@bailiwick/credentials'
import { newId, systemClock, systemRandom } from '@bailiwick/kit'
import { parseBundle, type TraceStep } from '@bailiwick/verify'
import { expect, it } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { type Story, type Told, told } from './story.fixture.ts'

type Allowed = EventData<'decisions.v1', 'decision.allowed'>

/** The first ALLOW, as the log holds it. */
async function firstAllow(story: Story, { decisions }: Told): Promise<Allowed> {
  const { entries } = await story.verified()
  const events = entries.map((entry) => JSON.parse(entry) as { type: string; data: Allowed })
  const found = events.find(({ type, data }) => type === 'decision.allowed' && data.decision_id === decisions[0])
  return found?.data ?? expect.fail('no ALLOW')
}

async function get<T>(evidence: Running, url: string): Promise<T> {
  const { statusCode, body } = await evidence.http.inject({ method: 'GET', url })
  expect([url, statusCode]).toEqual([url, 200])
  return JSON.parse(body) as T
}

it('tells an ALLOW that lost its place to another decision point for none, everywhere (V2)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const allow = await firstAllow(story, ids)
    await using pdp = await story.participant(bus, 'policy-decision')
    const [decision_id, call_id] = [
      newId('dec', systemClock.now(), systemRandom),
      newId('call', systemClock.now(), systemRandom),
    ]
    const late = { ...allow, decision_id, call_id }
    const denied = exampleEvent('decisions.v1', 'decision.denied').data as EventData<'decisions.v1', 'decision.denied'>
    const key = ids.grant_id
    // The state for this is gone: version 2 belongs to an outcome. Evaluated again, the budget is used up.
    const said = await pdp.producer.publish('decisions.v1', [
      { type: 'decision.allowed', subject: decision_id, key, version: 2, data: late },
      {
        type: 'decision.denied',
        subject: decision_id,
        key,
        data: { ...denied, decision_id, call_id, actor: allow.actor, reason: 'budget_exhausted' },
      },
    ])
    for (const { id } of said) await evidence.integrated(id, 60_000)

    const { steps } = await get<{ steps: TraceStep[] }>(evidence, `/v1/trace/${decision_id}`)
    const decided = steps.filter(({ kind }) => kind === 'decision').map((step) => [step.type, step.void])
    expect(decided).toEqual(
      expect.arrayContaining([
        ['decision.denied', undefined],
        ['decision.allowed', true],
      ]),
    )
    const { events } = await get<{ events: { type: string; void?: true }[] }>(evidence, `/v1/events?id=${decision_id}`)
    expect(events.map((event) => [event.type, event.void])).toEqual(expect.arrayContaining(decided))

    const bundle = parseBundle(Buffer.from(JSON.stringify(await get(evidence, `/v1/bundle/${decision_id}`))))
    const types = bundle.leaves.map(({ bytes }) => (JSON.parse(Buffer.from(bytes).toString()) as { type: string }).type)
    expect(types).toContain('decision.denied')
    expect(types).not.toContain('decision.allowed')

    const hour = (ms: number) => new Date(systemClock.now() + ms).toISOString()
    const url = `/v1/activity?from=${hour(-3600_000)}&to=${hour(3600_000)}`
    const { agents } = await get<{ agents: { allowed: number[]; denied: number[] }[] }>(evidence, url)
    const sum = (counts: number[] = []) => counts.reduce((total, n) => total + n, 0)
    expect([sum(agents[0]?.allowed), sum(agents[0]?.denied)]).toEqual([2, 1])
  })
})

it('lets what came of a decision follow from the ALLOW that counts, and not from the one that lost (V1)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const allow = await firstAllow(story, ids)
    await using pdp = await story.participant(bus, 'policy-decision')
    const [decision_id, call_id] = [
      newId('dec', systemClock.now(), systemRandom),
      newId('call', systemClock.now(), systemRandom),
    ]
    const say = (version: number, over: Partial<Allowed>) => ({
      ...{ type: 'decision.allowed' as const, subject: decision_id, key: ids.grant_id, version },
      data: { ...allow, decision_id, call_id, ...over },
    })
    const { installation } = story.trust
    const enforcement_point = 'erp-gateway'
    const outcome = signOutcome(
      {
        ...{ installation, enforcement_point, sequence: 3, call_id, decision_id },
        ...{
          action_digest: actionHash(allow.action),
          status: 'succeeded',
          at: new Date(systemClock.now()).toISOString(),
        },
      },
      story.pointKey,
    )
    const released = { calls: 0, cost: {}, egress_bytes: 0 }
    const said = await pdp.producer.publish('decisions.v1', [
      say(3, { as_of: 0 }),
      say(5, { as_of: 1 }),
      {
        ...{ type: 'outcome.reported' as const, subject: decision_id, key: ids.grant_id, version: 6 },
        data: {
          decision_id,
          grant_id: ids.grant_id,
          enforcement_point,
          sequence: 3,
          status: 'succeeded',
          released,
          outcome,
        },
      },
    ])
    for (const { id } of said) await evidence.integrated(id, 60_000)
    const { trees } = await get<{ trees: TraceStep[] }>(evidence, `/v1/trace/${decision_id}`)
    const walk = (steps: readonly TraceStep[]): TraceStep[] => steps.flatMap((step) => [step, ...walk(step.steps)])
    const allows = walk(trees).filter(({ type }) => type === 'decision.allowed')
    expect(allows.map((step) => [(step.data as Allowed).as_of, step.void, step.steps.map(({ type }) => type)])).toEqual(
      [
        [0, true, []],
        [1, undefined, ['outcome.reported']],
      ],
    )
    expect(walk(trees).every(({ verified }) => verified)).toBe(true)
  })
})

it('tells an honest ALLOW as what it is though a stolen decision point wrote its version before it (V2)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    const allow = await firstAllow(story, ids)
    await using thief = await story.participant(bus, 'policy-decision')
    await using honest = await story.participant(bus, 'policy-decision')
    const { entries } = await story.verified()
    const events = entries.map((entry) => JSON.parse(entry) as { type: string; data: { decision_id?: string } })
    const reported = events.find(
      ({ type, data }) => type === 'outcome.reported' && data.decision_id === ids.decisions[0],
    )
    const [decision_id, call_id] = [
      newId('dec', systemClock.now(), systemRandom),
      newId('call', systemClock.now(), systemRandom),
    ]
    const place = { key: ids.grant_id, version: 5 }
    const data = reported?.data as EventData<'decisions.v1', 'outcome.reported'>
    // Readers ignore a second outcome of an action, so version 5 is still free.
    const lies = await thief.producer.publish('decisions.v1', [
      { type: 'outcome.reported', subject: data.decision_id, ...place, data },
    ])
    const said = await honest.producer.publish('decisions.v1', [
      { type: 'decision.allowed', subject: decision_id, ...place, data: { ...allow, decision_id, call_id } },
    ])
    for (const { id } of [...lies, ...said]) await evidence.integrated(id, 60_000)
    const { events: found } = await get<{ events: { type: string; void?: true }[] }>(
      evidence,
      `/v1/events?id=${decision_id}`,
    )
    expect(found.map((event) => [event.type, event.void])).toEqual([['decision.allowed', undefined]])
  })
})
