import type { DecodedEvent, Grant, TopicName } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import fc from 'fast-check'
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

export const newLedger = (base: boolean) => new Ledger({ judge: async () => true, base })
export type Told = [TopicName, DecodedEvent]

export const pick = <T>(items: readonly T[], n: number): T => items[n % items.length] as T
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

/** The parts of a ledger that the tests compare. */
export const stateOf = ({ requests, grants, revocations, decisions }: Ledger) => ({
  requests: structuredClone(requests.requests),
  trees: structuredClone(grants.trees),
  sequence: revocations.sequence,
  dead: ['1', '2', '3', '4', '5', '6'].map((n) => [revocations.find('grant', n), revocations.find('agent', n)]),
  spends: structuredClone(decisions.trees),
})
export const entityOf = ([topic, { partitionkey }]: Told) => `${topic} ${partitionkey}`

export async function apply(ledger: Ledger, told: readonly Told[]): Promise<string[]> {
  const verdicts: string[] = []
  for (const [topic, event] of told) verdicts.push(await ledger.apply(topic, event))
  return verdicts
}

/** A history by several writers. Each knows the log only up to some point. That is how they race. */
export async function history(moves: readonly (Move & { lag: number })[], base: boolean): Promise<Told[]> {
  const told: Told[] = []
  for (const [n, move] of moves.entries()) {
    const known = newLedger(base)
    await apply(known, told.slice(0, Math.max(0, told.length - move.lag)))
    told.push(drafted(known, move, idOf('evt', n)))
  }
  return told
}
export const someHistory = fc.array(
  someMove.chain((move) => fc.constantFrom(0, 0, 0, 1, 3).map((lag) => ({ ...move, lag }))),
  { maxLength: 25, size: '+1' },
)
