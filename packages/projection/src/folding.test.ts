import type { DecodedEvent, Grant, TopicName } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { anEvent, at, idOf } from './events.fixture.ts'
import { Ledger } from './ledger.ts'

/** One move of a writer. Its content and its version depend on what the writer knows. */
interface Move {
  topic: 'approvals.v1' | 'grants.v1' | 'revocations.v1' | 'decisions.v1'
  entity: number
  act: number
  n: number
}
const someMove: fc.Arbitrary<Move> = fc.record({
  topic: fc.constantFrom('approvals.v1', 'grants.v1', 'revocations.v1', 'decisions.v1'),
  entity: fc.integer({ min: 1, max: 2 }),
  act: fc.nat(20),
  n: fc.integer({ min: 1, max: 6 }),
})
const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }

const newLedger = (base: boolean) => new Ledger({ judge: async () => true, base })
type Told = [TopicName, DecodedEvent]

const pick = <T>(items: readonly T[], n: number): T => items[n % items.length] as T
const requestTypes = [
  'request.received',
  'request.approved',
  'request.denied',
  'request.expired',
  'request.cancelled',
  'request.withdrawn',
] as const
const grantTypes = ['grant.created', 'grant.suspended', 'grant.resumed', 'grant.completed', 'grant.rebound'] as const
const decisionTypes = ['decision.allowed', 'outcome.reported', 'outcome.missing', 'decision.abandoned'] as const

/** The event that a writer with the knowledge of `ledger` would publish next. */
function drafted(ledger: Ledger, { topic, entity, act, n }: Move, id: string): Told {
  const grt = idOf('grt', entity)
  const req = idOf('req', entity)
  const told = { id, time: at(act) }
  if (topic === 'approvals.v1') {
    const version = (ledger.requests.requests.get(req)?.version ?? 0) + 1
    const type = version === 1 ? 'request.received' : pick(requestTypes, act)
    return [topic, anEvent(topic, type, { ...told, about: req, version, data: { request_id: req } })]
  }
  if (topic === 'grants.v1') {
    const version = (ledger.grants.trees.get(grt)?.version ?? 0) + 1
    const type = version === 1 ? 'grant.created' : pick(grantTypes, act)
    const grant = { ...example, id: grt, request_id: req }
    if (act % 3 > 0 || version === 1)
      return [topic, anEvent(topic, type, { ...told, about: grt, version, data: { grant } })]
    const data = { credential_id: idOf('crd', n) }
    return [
      topic,
      anEvent(topic, pick(['credential.intended', 'credential.issued'], act), { ...told, about: grt, version, data }),
    ]
  }
  if (topic === 'revocations.v1') {
    const version = ledger.revocations.sequence + 1
    const data = { kind: pick(['grant', 'agent', 'all'] as const, act), target: String(n) }
    return [topic, anEvent(topic, 'revocation.declared', { ...told, about: 'revocations', version, data })]
  }
  const tree = ledger.decisions.trees.get(grt)
  const version = (tree?.version ?? 0) + 1
  const decision = idOf('dec', `${entity}-${n}`)
  const data = {
    decision_id: decision,
    call_id: `call-${n}-of-${entity}-0000`,
    ...(tree ? { after: tree.head } : {}),
  }
  return [
    topic,
    anEvent(topic, pick(decisionTypes, act), { ...told, subject: decision, partitionkey: grt, version, data }),
  ]
}

const stateOf = ({ requests, grants, revocations, decisions }: Ledger) => ({
  requests: structuredClone(requests.requests),
  trees: structuredClone(grants.trees),
  sequence: revocations.sequence,
  dead: ['1', '2', '3', '4', '5', '6'].map((n) => [revocations.find('grant', n), revocations.find('agent', n)]),
  spends: structuredClone(decisions.trees),
})
const entityOf = ([topic, { partitionkey }]: Told) => `${topic} ${partitionkey}`

async function apply(ledger: Ledger, told: readonly Told[]): Promise<string[]> {
  const verdicts: string[] = []
  for (const [topic, event] of told) verdicts.push(await ledger.apply(topic, event))
  return verdicts
}

/** A history by several writers. Each knows the log only up to some point. That is how they race. */
async function history(moves: readonly (Move & { lag: number })[], base: boolean): Promise<Told[]> {
  const told: Told[] = []
  for (const [n, move] of moves.entries()) {
    const known = newLedger(base)
    await apply(known, told.slice(0, Math.max(0, told.length - move.lag)))
    told.push(drafted(known, move, idOf('evt', n)))
  }
  return told
}
const someHistory = fc.array(
  someMove.chain((move) => fc.constantFrom(0, 0, 0, 1, 3).map((lag) => ({ ...move, lag }))),
  { maxLength: 25, size: '+1' },
)

it('of writers that race, exactly one event a version counts, and versions are dense (V10)', async () => {
  let races = 0
  await fc.assert(
    fc.asyncProperty(someHistory, async (moves) => {
      const told = await history(moves, false)
      const verdicts = await apply(newLedger(false), told)
      const counted = new Map<string, number[]>()
      told.forEach((one, n) => {
        const versions = counted.get(entityOf(one)) ?? []
        if (verdicts[n] === 'counts') counted.set(entityOf(one), [...versions, one[1].version as number])
        else races++
      })
      for (const versions of counted.values()) expect(versions).toEqual(versions.map((_, n) => n + 1))
    }),
    { numRuns: 150 },
  )
  expect(races).toBeGreaterThan(100) // with fewer races the test proves nothing
})

it('events that come again, anywhere and any number of times, change nothing (V2)', async () => {
  await fc.assert(
    fc.asyncProperty(
      someHistory,
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }),
      fc.boolean(),
      async (moves, repeats, base) => {
        const told = await history(moves, false)
        const once = newLedger(base)
        await apply(once, told)
        const again: Told[] = [...told]
        for (const [which, where] of repeats) {
          if (told.length === 0) continue
          const event = pick(told, which)
          const first = again.indexOf(event)
          again.splice(first + 1 + (where % (again.length - first)), 0, event)
        }
        const repeated = newLedger(base)
        await apply(repeated, again)
        expect(stateOf(repeated)).toEqual(stateOf(once))
      },
    ),
    { numRuns: 150 },
  )
})

it('what is interleaved with other entities is judged alike: each partition alone says what counts', async () => {
  await fc.assert(
    fc.asyncProperty(someHistory, fc.infiniteStream(fc.nat()), async (moves, choices) => {
      const told = await history(moves, false)
      const [there, here] = [newLedger(false), newLedger(false)]
      await apply(there, told)
      const queues = [...Map.groupBy(told, entityOf).values()].map((events) => [...events])
      while (queues.length > 0) {
        const queue = pick(queues, choices.next().value as number)
        const event = queue.shift()
        if (event) await here.apply(...event)
        else queues.splice(queues.indexOf(queue), 1)
      }
      expect(stateOf(here)).toEqual(stateOf(there))
    }),
    { numRuns: 150 },
  )
})

it('a reader that starts inside agrees on every tree and request whose beginning it saw', async () => {
  await fc.assert(
    fc.asyncProperty(someHistory, fc.nat(), async (moves, cut) => {
      const told = await history(moves, false)
      const from = told.length === 0 ? 0 : cut % told.length
      const [whole, inside] = [newLedger(false), newLedger(true)]
      await apply(whole, told)
      await apply(inside, told.slice(from))
      const unseen = new Set(told.slice(0, from).map(([, { partitionkey }]) => partitionkey))
      for (const [id, record] of inside.requests.requests)
        if (!unseen.has(id)) expect(record).toEqual(whole.requests.requests.get(id))
      for (const [id, tree] of inside.grants.trees)
        if (!unseen.has(id)) expect(tree).toEqual(whole.grants.trees.get(id))
      for (const [id, tree] of inside.decisions.trees)
        if (!unseen.has(id)) expect(tree).toEqual(whole.decisions.trees.get(id))
    }),
    { numRuns: 150 },
  )
})
