import { RevocationState } from '@bailiwick/projection'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { waitsForHuman } from '../steps/step-up.ts'
import { attestationsOf, hasLapsed, type Signs } from './continuity.ts'
import { StepUps } from './step-ups.ts'

const fresh = { reattest_seconds: 60, outcome_seconds: 10 }
const start = Date.parse('2026-11-24T12:00:00.000Z')
const s = (seconds: number) => start + seconds * 1000
const lapsed = (now: number, signs: Partial<Signs> = {}) =>
  hasLapsed(fresh, { since: start, attestedAt: [], allows: [], ...signs }, s(now))

describe('attestation', () => {
  it.each<[string, number, number[], boolean]>([
    ['not yet due', 60, [], false],
    ['due a millisecond ago', 60.001, [], true],
    ['as late as it may be, again and again', 180, [60, 120], false],
    ['in any order', 130, [120, 60], false],
    ['too late once, though it came again since', 122, [61, 121], true],
    ['the last one too long ago', 121, [60], true],
    ['earlier than the approval', 61, [-1, -60], true],
    ['at the moment of the approval', 60, [0], false],
    ['dated ahead by a clock that is fast', 30, [31], false],
    ['dated so far ahead that it would cover what comes', 30, [200], true],
    ['dated ahead, to be there when it is needed', 100, [30, 150], true],
    ['at a time that is none', 1, [Number.NaN], true],
  ])('%s', (_, now, attestedAt, expected) => {
    expect(lapsed(now, { attestedAt: attestedAt.map(s) })).toBe(expected)
  })

  it('counts from the last time when humans said yes, and heals by nothing else', () => {
    expect(lapsed(200, { since: s(140), attestedAt: [s(10)] })).toBe(false)
    expect(lapsed(201, { since: s(140), attestedAt: [s(10)] })).toBe(true)
    expect(lapsed(-1)).toBe(false)
  })

  it('stays lapsed after any later attestation', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 300 })),
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 300 }),
        fc.array(fc.integer({ min: 0, max: 300 })),
        (attested, now, more, after) => {
          const attestedAt = attested.filter((at) => at <= now).map(s)
          const later = now + more
          const since = after.filter((at) => at > now && at <= later).map(s)
          if (lapsed(now, { attestedAt })) expect(lapsed(later, { attestedAt: [...attestedAt, ...since] })).toBe(true)
        },
      ),
    )
  })
})

describe('outcomes', () => {
  const allow = (at: number, reportedAt?: number, standing: 'open' | 'settled' | 'missing' | 'abandoned' = 'open') => ({
    at: s(at),
    standing,
    ...(reportedAt === undefined ? {} : { reportedAt: s(reportedAt) }),
  })
  it.each<[string, number, ReturnType<typeof allow>, boolean]>([
    ['not yet due', 15, allow(5), false],
    ['due a millisecond ago', 15.001, allow(5), true],
    ['in time', 50, allow(5, 15, 'settled'), false],
    ['too late, though it came', 50, allow(5, 16, 'settled'), true],
    ['missed', 50, allow(5, undefined, 'missing'), true],
    ['of an ALLOW that was never delivered', 50, allow(5, undefined, 'abandoned'), false],
    ['of an ALLOW before the approval', 50, allow(-5), false],
    ['of an ALLOW at the moment of the approval', 50, allow(0), true],
    ['of a time that is none', 50, { at: Number.NaN, standing: 'open' }, true],
  ])('%s', (_, now, record, expected) => {
    expect(lapsed(now, { allows: [record] })).toBe(expected)
  })
})

it('reads when a workload attested from intents, and believes none that is younger than its intent', () => {
  const at = (seconds: number) => new Date(s(seconds)).toISOString()
  const intents = [
    { issued_at: at(1) },
    { issued_at: at(9), attestation: { attested_at: at(5) } },
    { issued_at: at(9), attestation: { attested_at: at(9.5) } },
    { issued_at: at(9), attestation: { attested_at: at(50) } },
    { issued_at: at(9), attestation: { attested_at: 'x' } },
  ]
  const credentials = new Map(intents.entries()) as never
  expect(attestationsOf({ credentials })).toEqual([s(1), s(5), s(9.5), s(9.999), Number.NaN])
})

describe('whether a grant waits for a human', () => {
  const grantId = 'grt_1'
  const sub = { delegation_id: 'dlg_1' }
  const intent = (seconds: number, more: object = {}) => ({ issued_at: new Date(s(seconds)).toISOString(), ...more })
  const stepUp = { requestId: 'req_2', approvedAt: s(140), approverIds: ['eve'], taskUntil: s(161) }
  /** Whether a grant that was made at 0 s waits for a human at 160 s, after the given events. */
  function waits(intents: object[], over: { by?: string; stepUps?: object[]; revoked?: string; state?: string } = {}) {
    const revocations = new RevocationState({ base: true })
    const data = { revocation_id: 'rev_1', kind: 'approver', target: over.revoked ?? 'unknown' }
    revocations.apply({ version: 1, data } as never)
    const ledger = {
      revocations,
      requests: { requests: new Map([['req_2', { state: over.state ?? 'approved' }]]) },
      decisions: { trees: new Map() },
    }
    const projection = { ledger } as never
    const grant = {
      id: grantId,
      agent: 'spiffe://a/agent/root/one',
      mode: 'continuous',
      not_before: new Date(start).toISOString(),
      as_of: 0,
      statement: { continuous: fresh, manifests: {}, agent: 'spiffe://a/agent/root/one' },
    }
    const tree = { id: grantId, createdAt: start, grant, credentials: new Map(intents.entries()), heldBefore: [] }
    const token = { grant: over.by === undefined ? {} : { delegation: over.by } }
    const facts = { tree, stepUps: over.stepUps ?? [], token } as never
    return waitsForHuman({ projection, stepUps: new StepUps(projection, {} as never) }, facts, s(160))
  }

  it('a sub-agent that attests does not stand for the workload whose grant it is, nor that one for it (V3)', () => {
    const own = [1, 50, 100, 150].map((at) => intent(at))
    const other = [50, 100, 150].map((at) => intent(at, sub))
    expect(waits(own)).toBe(false)
    expect(waits([intent(1), intent(150), ...other])).toBe(true) // the workload did not attest for two minutes
    expect(waits([intent(1), intent(150), ...other], { by: 'dlg_1' })).toBe(true)
    expect(waits([...own, ...other], { by: 'dlg_1' })).toBe(false)
    expect(waits([...own, intent(140, sub)], { by: 'dlg_1' })).toBe(false) // the sub-agent first attested a moment ago
    expect(waits([...own, intent(30, sub), intent(150, sub)], { by: 'dlg_1' })).toBe(true)
    expect(waits([...own, intent(30, sub), intent(150, sub)])).toBe(false)
    expect(waits(own, { by: 'dlg_1' })).toBe(true)
  })

  it('a yes to one action heals nothing, nor does one whose time is over (V3)', () => {
    const { taskUntil: _, ...once } = stepUp
    expect(waits([intent(1)], { stepUps: [once] })).toBe(true)
    expect(waits([intent(1)], { stepUps: [{ ...stepUp, taskUntil: s(160) }] })).toBe(true)
    expect(waits([intent(1)], { stepUps: [once, stepUp] })).toBe(false)
  })

  it('a yes that was withdrawn, or whose approver was revoked since, heals nothing (V7)', () => {
    const stepUps = [stepUp]
    expect(waits([intent(1)])).toBe(true)
    expect(waits([intent(1)], { stepUps })).toBe(false)
    expect(waits([intent(1)], { stepUps, revoked: 'eve' })).toBe(true)
    expect(waits([intent(1)], { stepUps, state: 'withdrawn' })).toBe(true)
  })
})
