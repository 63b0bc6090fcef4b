import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { parseTrust } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { type Leaf, readLeaf } from '@bailiwick/verify'
import type { AuditReport } from '@bailiwick/verify/audit'
import { expect } from 'vitest'
import { audit, readLog } from '../audit.ts'
import type { Acknowledged } from './story.ts'

export interface Told {
  acknowledged: Acknowledged
  /** How often the API did what it was asked for. */
  effects: number
  /** What processes logged at level error. */
  errors: readonly string[]
}

/**
 * What people and agents were told, held against the log: nothing is lost, doubled, revived or without evidence, and the auditor
 * has nothing to say. Expects that the log has grown quiet.
 */
export async function reckon(data: string, about: object, told: Told): Promise<AuditReport> {
  const { acknowledged, effects, errors } = told
  const { log: logDir, trust: trustPath } = paths(data)
  const report = await audit({ logDir, trustPath })
  const { leaves: size, void: lost, counted } = report
  const refusals = Object.fromEntries(acknowledged.refusals)
  // One line, for test/runs.
  console.log(
    `chaos: ${JSON.stringify({ ...about, leaves: size, void: lost, counted, refusals, gaps: report.gaps.length })}`,
  )
  expect(acknowledged.unexplained, `refused as internal; at level error:\n${errors.join('\n')}`).toEqual([])
  expect(report.findings).toEqual([])

  // If two instances get the same report, one event is void: it is a leaf, and nothing is doubled.
  const counting = new Set(report.counting)
  const leaves = (await leavesIn(data)).filter(({ index }) => counting.has(index))
  const said = (type: Leaf['event']['type'], member: string) =>
    leaves
      .filter(({ event }) => event.type === type)
      .map(({ event }) => String((event.data as Record<string, unknown>)[member]))
  const { requests, approvals, credentials, allows, withdrawals } = acknowledged
  expectOnce('request.received', requests, said('request.received', 'request_id'))
  expectOnce('request.approved', approvals, said('request.approved', 'request_id'))
  expectOnce('credential.issued', credentials, said('credential.issued', 'credential_id'))
  expectOnce('decision.allowed', allows, said('decision.allowed', 'decision_id'))
  expectOnce('outcome.reported', allows, said('outcome.reported', 'decision_id'))
  expectOnce('revocation.declared', withdrawals.keys(), said('revocation.declared', 'target'))

  expect(effects, 'an effect without an answer, or an answer without an effect').toBe(allows.size)
  expect(acknowledged.late).toEqual([])
  // An ALLOW that was taken back was never answered: it may have been under way while its broker was away.
  const takenBack = new Set(said('decision.abandoned', 'decision_id'))
  for (const { event, at } of leaves) {
    if (event.type !== 'decision.allowed' || takenBack.has(event.data.decision_id)) continue
    const until = withdrawals.get(event.data.actor.grant_id) ?? Number.POSITIVE_INFINITY
    expect(at, `${event.data.decision_id} after the withdrawal`).toBeLessThanOrEqual(until)
  }
  return report
}

/** The leaves of the log of this folder that can be read as events. */
export async function leavesIn(data: string): Promise<Leaf[]> {
  const { log, trust } = paths(data)
  const { entries } = await readLog(log, parseTrust(readFileSync(trust)).log.vkey)
  return entries.map((bytes, n) => readLeaf(n, bytes)).filter((leaf): leaf is Leaf => typeof leaf !== 'string')
}

function expectOnce(what: string, wanted: Iterable<string>, found: readonly string[]): void {
  const counts = new Map<string, number>()
  for (const id of found) counts.set(id, (counts.get(id) ?? 0) + 1)
  const wrong = [...wanted].filter((id) => counts.get(id) !== 1).map((id) => `${id}: ${counts.get(id) ?? 0} times`)
  expect(wrong, what).toEqual([])
}

/**
 * Waits until the log has taken in everything: evidence says that nothing is left on the bus, and the checkpoint has not grown
 * for a while. After a broker's death its group comes back only after seconds, in which the log stands still as well.
 */
export async function quiet(evidenceUrl: string): Promise<void> {
  const textOf = (path: string) =>
    fetch(`${evidenceUrl}${path}`).then(
      (answer) => answer.text(),
      () => '',
    )
  // Looked at so often, and not for so long: who did not get a turn in that time had none to say more.
  let [size, still] = ['', 0]
  const deadline = performance.now() + 240_000
  while (performance.now() < deadline && still < 25) {
    const now = (await textOf('/log/checkpoint')).split('\n')[1] ?? ''
    const behind = /^bailiwick_evidence_lag_events(?:\{.*\})? (\S+)$/m.exec(await textOf('/metrics'))?.[1]
    still = now === size && behind === '0' ? still + 1 : 0
    size = now
    await pause(100)
  }
}
