import { describe, expect, it } from 'vitest'
import { audit } from '../audit.ts'
import { GoodLog } from './good-log.ts'

// The audit reports a number lost with a killed process as such (decision 22), and no other number.

/** Denials have no version: only their position in their producer's chain shows that one is missing. */
function deny(log: GoodLog, name: string): void {
  const data = { decision_id: `dec_${name.padEnd(20, '0')}`, reason: 'grant_unknown', requestable: false }
  log.say(name, 'decisions.v1', 'decision.denied', data.decision_id, data)
}

async function without(log: GoodLog, name: string) {
  const leaves = log.leaves()
  leaves.splice([...log.drafts.keys()].indexOf(name), 1)
  log.write(leaves)
  const { ok, findings, gaps } = await audit(log.at)
  return { ok, rules: [...new Set(findings.map(({ rule }) => rule))], gaps }
}

/** A decision point that writes three events within this time, and is succeeded. */
async function aLog(ms: number, isSucceeded = true): Promise<GoodLog> {
  const log = new GoodLog()
  await log.begin()
  for (const name of ['first', 'second', 'third']) deny(log, name)
  log.later(ms)
  deny(log, 'last')
  log.restart()
  if (isSucceeded) deny(log, 'successor')
  return log
}

it('reports the number lost with a killed process, and accepts the chain as complete (V15)', async () => {
  using log = await aLog(2000)
  const producer = '/policy-decision/start-1'
  expect(await without(log, 'second')).toEqual({
    ok: true,
    rules: [],
    gaps: [{ producer, from: 2, to: 2, leaf: expect.any(Number), successor: '/policy-decision/start-2' }],
  })
})

describe('finds every other gap', () => {
  it('long before the process ended (V15)', async () => {
    using log = await aLog(12_000)
    expect(await without(log, 'second')).toMatchObject({ ok: false, rules: ['V15'], gaps: [] })
  })

  it('in the chain of a process without a successor (V15)', async () => {
    using log = await aLog(2000, false)
    expect(await without(log, 'second')).toMatchObject({ ok: false, rules: ['V15'], gaps: [] })
  })

  it('at the end of a chain of which the successor had read more (V15)', async () => {
    using log = await aLog(2000)
    expect(await without(log, 'last')).toMatchObject({ ok: false, rules: ['V15'] })
  })

  it('in a log that also lacks a version (V15)', async () => {
    using log = await aLog(0)
    log.grant('task')
    log.allow('read', 'task', 1)
    log.allow('read again', 'task', 2)
    log.restart()
    deny(log, 'one more')
    const found = await without(log, 'read')
    expect(found).toMatchObject({ ok: false, gaps: [] })
    expect(found.rules).toContain('V15')
  })

  it('of an issuer whose successor names another one (V15)', async () => {
    using log = new GoodLog()
    await log.begin()
    log.grant('task')
    log.restart()
    log.grant('other')
    // The issuer's first start continued after it was succeeded; its successor had not read that.
    const { data } = log.draft<'grants.v1', 'grant.created'>('task grant')
    log.later(1000)
    for (const name of ['late', 'later'])
      log.say(
        name,
        'grants.v1',
        'credential.refused',
        data.grant.id,
        { grant_id: data.grant.id, agent: log.agent, reason: 'grant_not_active' },
        { start: 1 },
      )
    expect(await without(log, 'late')).toMatchObject({ ok: false, rules: ['V15'], gaps: [] })
  })
})
