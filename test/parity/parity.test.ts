import type { ServiceName } from '@bailiwick/contracts'
import { paths } from '@bailiwick/installation'
import { lacks } from '@bailiwick/native'
import { startProcesses, startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { audit, readLog } from '../audit.ts'
import { quiet } from '../chaos/reckoning.ts'
import { comparable, differences } from './comparable.ts'
import { historyOf, type Played, play } from './history.ts'

const seed = Number(process.env.BAILIWICK_SEED ?? 20261124)
const length = process.env.BAILIWICK_NIGHTLY ? 400 : 60

/** On a busy machine, a deadline may pass in one mode and not in the other, and so change the decision. */
const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }

/** Nonces rotate with time, so the number of times that a client is asked for a newer one depends on the clock. */
const challenge = '"reason":"proof_nonce_required"'

async function lived(system: Played, evidence: string) {
  const answers = await play(system, historyOf(seed, length))
  await quiet(evidence)
  const { log, trust } = paths(system.data)
  const { entries } = await readLog(log, system.trust.log.vkey)
  const report = await audit({ logDir: log, trustPath: trust })
  return {
    answers,
    evidence: entries.map(comparable).filter((said) => !said.includes(challenge)),
    findings: report.findings,
  }
}

it.skipIf(lacks('secure-kafka', 'redis'))(
  'gives the same decisions and the same evidence for the same history, embedded and distributed (V16)',
  async () => {
    const embedded = await (async () => {
      await using system = await startSystem({ env })
      return await lived({ ...system, decisionPoints: [system.url] }, system.url) // before it stops
    })()
    await using system = await startProcesses({ env })
    const urls = (service: ServiceName) => system.processes[service].map(({ url }) => url)
    const distributed = await lived({ ...system, decisionPoints: urls('policy-decision') }, urls('evidence')[0] ?? '')
    expect(new Set(embedded.answers.map((answer) => answer.split(' ').at(-1))).size).toBeGreaterThan(6) // the history covers enough cases
    expect(distributed.answers).toEqual(embedded.answers)
    expect(differences(embedded.evidence, distributed.evidence)).toEqual([])
    expect([embedded.findings, distributed.findings]).toEqual([[], []])
  },
  1_200_000,
)
