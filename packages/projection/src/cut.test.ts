import { parseStrictJson } from '@bailiwick/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Row } from './cut/row.ts'
import { anEvent, at, idOf, noon } from './events.fixture.ts'
import { history, newLedger, pick, someHistory, stateOf, type Told } from './histories.fixture.ts'
import type { Ledger } from './ledger.ts'

/** A whole state in one text, because the law compares every byte. */
const textOf = (ledger: Ledger) => [...ledger.cut()].map((row) => JSON.stringify(row)).join('\n')

/** Answers from the states' indexes, which a cut leaves out or holds apart. */
const foundIn = (ledger: Ledger) => {
  const { requests, grants, decisions, revocations, chains } = ledger
  const numbers = [1, 2, 3, 4, 5, 6]
  const decided = [1, 2].flatMap((entity) => numbers.map((n) => idOf('dec', `${entity}-${n}`)))
  return {
    ...stateOf(ledger),
    roots: decided.map((id) => decisions.rootOf(id)),
    overdue: decisions.overdue(noon + 3_600_000).map(({ root, record }) => [root, record]),
    byRequest: [1, 2].map((n) => grants.byRequest(idOf('req', n))?.id),
    byDelegation: numbers.map((n) => grants.ofDelegation(idOf('dlg', n))?.id),
    refused: [...grants.refused],
    stepUps: [1, 2].map((n) => requests.stepUpsOf(idOf('grt', n))),
    enrolments: [...requests.enrolments],
    stopOrders: [...requests.stopOrders],
    denials: [1, 2].map((n) => decisions.denials.of(idOf('grt', n))),
    history: decisions.history.of('spiffe://example.org/agent/reporter', noon + 1000),
    owners: decisions.owners.of('olga', noon + 1000),
    sequences: numbers.map((n) => revocations.sequenceOf(idOf('rev', n))),
    acknowledged: revocations.acknowledged,
    newest: ['issuer', 'policy-decision'].map((service) => chains.newestOf(service)),
  }
}

/** Facts of the kinds that `history` does not draft. Some of them count only where the history left room for them. */
function fact(n: number, kind: number, ledger: Ledger): Told {
  const id = idOf('evt', `fact-${n}`)
  const grt = idOf('grt', (kind % 2) + 1)
  const told = { id, time: at(n * 20_000) }
  const next = (ledger.grants.trees.get(grt)?.version ?? 0) + 1
  const spend = ledger.decisions.trees.get(grt)
  const open = [...(spend?.allows.values() ?? [])].find(({ standing }) => standing === 'open')
  const decided = {
    ...told,
    partitionkey: grt,
    version: (spend?.version ?? 0) + 1,
  }
  const after = spend ? { after: spend.head } : {}
  const allowed = () => {
    const data = {
      ...after,
      decision_id: idOf('dec', `fact-${n}`),
      call_id: `call-fact-${String(n).padStart(10, '0')}`,
      proof_id: String(n).padStart(43, 'p'),
      permission: n % 2,
      labels: ['external', ...(n % 2 ? ['pii'] : [])],
      owners: ['olga'],
      reserved: { calls: 1, cost: { EUR: `${n % 3}.5` }, egress_bytes: n % 2 ? 1000 : 0 },
      ...(n % 3
        ? { chain: [{ delegation_id: idOf('dlg', n % 3), agent: 'spiffe://example.org/agent/sub/i1', permission: 1 }] }
        : {}),
      ...(n % 4 ? {} : { step_up: idOf('req', n % 2) }),
      ...(n % 5 ? {} : { instance: `ins-${n % 2}` }),
      outcome_due: at(n * 20_000 + 60_000),
    }
    return [
      'decisions.v1',
      anEvent('decisions.v1', 'decision.allowed', { ...decided, subject: data.decision_id, data }),
    ] as Told
  }
  const facts: (() => Told)[] = [
    allowed,
    allowed,
    () =>
      open === undefined
        ? allowed()
        : [
            'decisions.v1',
            anEvent('decisions.v1', 'outcome.reported', {
              ...decided,
              subject: open.id,
              data: {
                ...after,
                decision_id: open.id,
                released: { calls: 0, cost: {}, egress_bytes: 0 },
                sequence: n,
                ...(n % 2 ? { status: 'continued' as never } : {}),
              },
            }),
          ],
    () => [
      'decisions.v1',
      anEvent('decisions.v1', 'decision.denied', { ...told, about: grt, data: { reason: 'policy_denied' } as never }),
    ],
    () => ['decisions.v1', anEvent('decisions.v1', 'denials.summarised', told)],
    () => ['grants.v1', anEvent('grants.v1', 'credential.refused', { ...told, about: idOf('grt', `no-${n % 3}`) })],
    () => [
      'grants.v1',
      anEvent('grants.v1', 'delegation.redeemed', {
        ...told,
        about: grt,
        version: next,
        data: { delegation_id: idOf('dlg', (n % 6) + 1) },
      }),
    ],
    () => [
      'approvals.v1',
      anEvent('approvals.v1', 'enrolment.offered', {
        ...told,
        about: idOf('enr', n),
        version: 1,
        data: { enrolment_id: idOf('enr', n) },
      }),
    ],
    () => [
      'approvals.v1',
      anEvent('approvals.v1', 'revocation.requested', {
        ...told,
        about: idOf('rev', n),
        version: 1,
        data: { revocation_id: idOf('rev', n) },
      }),
    ],
    () => [
      'revocations.v1',
      anEvent('revocations.v1', 'revocation.acknowledged', {
        ...told,
        about: 'revocations',
        data: { sequence: ledger.revocations.sequence },
      }),
    ],
    () => [
      'revocations.v1',
      anEvent('revocations.v1', 'revocation.declared', {
        ...told,
        about: 'revocations',
        version: ledger.revocations.sequence + 1,
        data: {
          revocation_id: idOf('rev', n),
          kind: pick(['credential', 'delegation', 'tool-server'] as const, kind),
          target: String(n % 4),
        },
      }),
    ],
    () => [
      'approvals.v1',
      anEvent('approvals.v1', 'request.endorsed', {
        ...told,
        about: idOf('req', (kind % 2) + 1),
        version: (ledger.requests.requests.get(idOf('req', (kind % 2) + 1))?.version ?? 0) + 1,
        data: { request_id: idOf('req', (kind % 2) + 1) },
      }),
    ],
  ]
  return pick(facts, kind)()
}

/** A history of all kinds, with the places at which the reader forgets what has ended. */
const someLife = fc.record({
  moves: someHistory,
  facts: fc.array(fc.tuple(fc.nat(), fc.nat(100)), { maxLength: 25 }),
  forgets: fc.array(fc.nat(), { maxLength: 2 }),
})
type Step = { told: Told } | { forget: number }

async function stepsOf({
  moves,
  facts,
  forgets,
}: {
  moves: never[] | Parameters<typeof history>[0]
  facts: [number, number][]
  forgets: number[]
}): Promise<Step[]> {
  const known = newLedger(false)
  const steps: Step[] = []
  const drafted = await history(moves, false)
  for (const told of drafted) {
    steps.push({ told })
    await known.apply(...told)
    const more = facts.shift()
    if (more === undefined) continue
    const another = fact(steps.length, more[1], known)
    steps.push({ told: another })
    await known.apply(...another)
  }
  for (const where of forgets) steps.splice(where % (steps.length + 1), 0, { forget: noon + (where % 30) * 3_600_000 })
  return steps
}

async function take(ledger: Ledger, step: Step, n: number): Promise<string> {
  if ('forget' in step) {
    ledger.forgetEndedBefore(step.forget)
    return 'forgot'
  }
  ledger.chains.apply(`/${n % 2 ? 'issuer' : 'policy-decision'}/i${n % 3}`, n, `hash-${n}`, noon + n)
  const verdict = await ledger.apply(...step.told, noon + n)
  return verdict
}

const restored = (rows: readonly Row[]): Ledger => {
  const ledger = newLedger(false)
  const restore = ledger.restorer()
  // By way of the text that a file holds.
  for (const row of rows) restore(parseStrictJson(JSON.stringify(row)) as unknown as Row)
  return ledger
}

describe('a cut of the state', () => {
  it('with the rest of the history is the fold of all of it, to the last byte (V7, V9, V10)', async () => {
    let counted = 0
    await fc.assert(
      fc.asyncProperty(someLife, fc.nat(), fc.infiniteStream(fc.nat(4)), async (life, where, pace) => {
        const steps = await stepsOf({ ...life, facts: [...life.facts] })
        const cut = where % (steps.length + 1)
        const whole = newLedger(false)
        for (const [n, step] of steps.entries()) await take(whole, step, n)

        // The reader goes on while its cut is being written: row by row, between steps.
        const live = newLedger(false)
        for (const [n, step] of steps.slice(0, cut).entries()) await take(live, step, n)
        const rows: Row[] = []
        const verdicts: string[] = []
        let next = cut
        for (const row of live.cut()) {
          rows.push(row)
          for (let more = Number(pace.next().value); more > 2 && next < steps.length; more--, next++)
            verdicts.push(await take(live, steps[next] as Step, next))
        }
        for (; next < steps.length; next++) verdicts.push(await take(live, steps[next] as Step, next))

        const ledger = restored(rows)
        const again: string[] = []
        for (const [n, step] of steps.slice(cut).entries()) again.push(await take(ledger, step, cut + n))
        expect(again).toEqual(verdicts)
        expect(textOf(ledger)).toBe(textOf(whole))
        expect(foundIn(ledger)).toEqual(foundIn(whole))
        expect(textOf(live)).toBe(textOf(whole))
        counted += again.filter((verdict) => verdict === 'counts').length
      }),
      { numRuns: 300 },
    )
    expect(counted).toBeGreaterThan(500) // with less the test proves nothing
  })

  it('of a state that was read from a cut is the same cut', async () => {
    await fc.assert(
      fc.asyncProperty(someLife, async (life) => {
        const ledger = newLedger(false)
        for (const [n, step] of (await stepsOf({ ...life, facts: [...life.facts] })).entries())
          await take(ledger, step, n)
        const text = textOf(ledger)
        expect(textOf(restored([...ledger.cut()]))).toBe(text)
      }),
      { numRuns: 100 },
    )
  })

  it.each<[string, Row]>([
    ['a kind that no state has', ['nothing']],
    ['a kind that every object has', ['constructor']],
    ['too few columns', ['revocations', 1]],
    ['too many columns', ['revocations', 1, 0, 0]],
    ['a number in words', ['sequence', 'rev_1', 'one']],
    ['an ALLOW without a tree', ['allow', 0]],
    ['an open ALLOW that is not there', ['open', 'grt_1', 'dec_1']],
    ['a grant of no state', ['grant', 'grt_1', 1, 'toString', null, {}, 0, [], 0, 0]],
    ['an amount that is no number', ['agents', 'a', 0, [[0, 1, [['EUR', '1.5']], [], 0, 0]]]],
  ])('refuses %s', (_, row) => {
    expect(() => restored([row])).toThrow(expect.objectContaining({ code: 'invariant_broken' }))
  })
})
