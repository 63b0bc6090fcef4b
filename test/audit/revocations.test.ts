import { sample } from '@bailiwick/standalone/sample'
import { describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { allowed, findingsOf } from './forge.ts'
import { GoodLog } from './good-log.ts'

// V7 counts from the acknowledgement of a revocation. These tests have honest logs with tight timing, and lies that are
// still found.

/** Moments in ms after the ALLOW; negative: before it. */
interface Story {
  declared: number
  acknowledged?: number | undefined
  staleMs?: number
  /** No outcome of the ALLOW was ever reported. */
  unanswered?: true
  /** Another revocation, of another target, declared next. */
  next?: number
}

/** A task whose only ALLOW and revocation are this close to each other. */
async function aLog({ declared, acknowledged, staleMs = 2000, unanswered, next }: Story): Promise<GoodLog> {
  const log = new GoodLog()
  await log.begin()
  const target = log.grant('task')
  log.later(30_000)
  log.allow('read', 'task', 1)
  const { at } = allowed(log, 'read')
  if (!unanswered) log.outcome('read done', 'read', 2, 1, 'succeeded')
  revoke(log, 1, { target, at: at + declared })
  if (acknowledged !== undefined) acknowledge(log, 1, { at: at + acknowledged, staleMs })
  if (next !== undefined) revoke(log, 2, { target: `grt_${'A'.repeat(43)}`, at: at + next })
  return log
}

function revoke(log: GoodLog, version: number, { target, at }: { target: string; at: number }): void {
  const data = {
    revocation_id: `rev_${String(version).repeat(20)}`,
    kind: 'grant' as const,
    target,
    reason: 'request_withdrawn',
    by: { kind: 'approver' as const, id: sample.owner },
  }
  const more = { key: 'revocations', version, at }
  log.say(`revoked ${version}`, 'revocations.v1', 'revocation.declared', `grant ${target}`, data, more)
}

function acknowledge(log: GoodLog, sequence: number, { at, staleMs }: { at: number; staleMs: number }): void {
  const data = { sequence, max_staleness_ms: staleMs }
  const name = `acknowledged ${sequence} ${staleMs}`
  const more = { key: 'revocations', at }
  log.say(name, 'revocations.v1', 'revocation.acknowledged', `revocation ${sequence}`, data, more)
}

describe('accepts honest logs with tight timing', () => {
  it.each<[name: string, story: Story]>([
    [
      'an ALLOW that was durable before the acknowledgement of a slow revocation',
      { declared: -9000, acknowledged: 200 },
    ],
    ['an ALLOW of a cut-off decision point, as late as is permitted', { declared: -1950, acknowledged: -1900 }],
    [
      'an ALLOW where the state may be 10 s old, as the issuer says',
      { declared: -9500, acknowledged: -9000, staleMs: 10_000 },
    ],
    [
      'an unanswered ALLOW, whose decision point was killed before it could take it back',
      { declared: -2600, acknowledged: -2500, unanswered: true },
    ],
    ['a revocation whose issuer was killed before it acknowledged it', { declared: -4000, acknowledged: 8000 }],
    ['a revocation that bounds the one before it', { declared: -9000, acknowledged: 8000, next: -500 }],
  ])('%s (V7)', async (_, story) => {
    using log = await aLog(story)
    expect(await findingsOf(log)).toEqual([])
  })

  it('a log from before acknowledgements existed, by the time of the revocation (V7)', async () => {
    using log = await aLog({ declared: -900 })
    expect(await findingsOf(log)).toEqual([])
  })
})

describe('finds the ALLOW of a decision point that lies', () => {
  it.each<[name: string, story: Story]>([
    ['later than a decision point may continue without news', { declared: -2300, acknowledged: -2100 }],
    ['later than the issuer allows state to be old', { declared: -1200, acknowledged: -1100, staleMs: 1000 }],
    [
      'without an outcome, later than the time of a decision adds',
      { declared: -3300, acknowledged: -3100, unanswered: true },
    ],
    [
      'after another revocation was declared, which proves the first one durable',
      { declared: -9000, acknowledged: 8000, next: -2100 },
    ],
    ['in a log from before acknowledgements existed', { declared: -1500 }],
  ])('%s (V7)', async (_, story) => {
    using log = await aLog(story)
    const { decision_id } = allowed(log, 'read').data
    expect(await findingsOf(log)).toEqual([
      expect.objectContaining({ rule: 'V7', detail: `${decision_id}: allowed after revocation 1` }),
    ])
  })

  it('that knew of the revocation, however early it was (V7)', async () => {
    using log = await aLog({ declared: -100, acknowledged: -50 })
    allowed(log, 'read').data.as_of = 1
    expect(await findingsOf(log)).toMatchObject([{ rule: 'V7', detail: expect.stringContaining('knowing of') }])
  })

  it('although the revocation is acknowledged again, later and with more time (V7)', async () => {
    using log = await aLog({ declared: -2300, acknowledged: -2100 })
    acknowledge(log, 1, { at: allowed(log, 'read').at + 5000, staleMs: 60_000 })
    expect(await findingsOf(log)).toMatchObject([{ rule: 'V7', detail: expect.stringContaining('after revocation') }])
  })

  it('although a decision point acknowledged the revocation itself, without the right to (V7, V12)', async () => {
    using log = await aLog({ declared: -2300, acknowledged: -2100, staleMs: 60_000 })
    log.draft('acknowledged 1 60000').signer = 'policy-decision'
    acknowledge(log, 1, { at: allowed(log, 'read').at - 2100, staleMs: 2000 })
    const rules = (await findingsOf(log)).map(({ rule }) => rule)
    expect(rules).toContain('V12')
    expect(rules).toContain('V7')
  })
})

describe('holds an issuer to its acknowledgements', () => {
  it('finds the acknowledgement of a revocation that does not exist (V7)', async () => {
    using log = await aLog({ declared: 100, acknowledged: 200 })
    acknowledge(log, 2, { at: allowed(log, 'read').at + 300, staleMs: 2000 })
    expect(await findingsOf(log)).toMatchObject([
      { rule: 'V7', detail: 'acknowledges revocation 2, which does not exist' },
    ])
  })

  it('finds a revocation that was never acknowledged although its issuer continued (V7)', async () => {
    using log = await aLog({ declared: 100, acknowledged: 200, next: 300 })
    log.write()
    expect((await audit(log.at)).findings).toEqual([])
    log.later(70_000)
    log.grant('other')
    expect(await findingsOf(log)).toMatchObject([{ rule: 'V7', detail: expect.stringContaining('never acknowledged') }])
  })
})

it('finds a credential whose intent came a second after the acknowledgement of its revocation (V7)', async () => {
  using log = await aLog({ declared: -29_000, acknowledged: -28_900 })
  // The issuer does not have to wait for its own news.
  log.draft('task intended').at = allowed(log, 'read').at - 27_800
  const details = (await findingsOf(log)).map(({ detail }) => detail)
  expect(details).toContainEqual(expect.stringContaining('intended after revocation 1'))
})
