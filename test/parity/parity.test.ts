import { paths } from '@bailiwick/installation'
import { lacks } from '@bailiwick/native'
import { type RunningSystem, startProcesses, startSystem } from '@bailiwick/testkit'
import { expect, it } from 'vitest'
import { readLog } from '../audit/read-log.ts'
import { audit } from '../audit.ts'
import { comparable, differences } from './comparable.ts'
import { historyOf, play } from './history.ts'

const seed = Number(process.env.BAILIWICK_SEED ?? 20261124)
const length = process.env.BAILIWICK_NIGHTLY ? 400 : 60

/** On a busy machine a deadline decides otherwise in one mode than in the other. */
const env = { BAILIWICK_DECISION_DEADLINE: '10s', BAILIWICK_MAX_STALENESS: '10s' }

/** Nonces rotate with time, so how often a client is asked for a newer one is the clock's choice. */
const challenge = '"reason":"proof_nonce_required"'

/** Waits until nothing new becomes a leaf. */
async function settled({ url }: RunningSystem): Promise<void> {
  const size = async () => (await (await fetch(`${url}/log/checkpoint`)).text()).split('\n')[1]
  for (let before = await size(), quiet = 0; quiet < 8; ) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    const now = await size()
    quiet = now === before ? quiet + 1 : 0
    before = now
  }
}

async function lived(start: () => Promise<RunningSystem>) {
  await using system = await start()
  const answers = await play(system, historyOf(seed, length))
  await settled(system)
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
    const embedded = await lived(() => startSystem({ env }))
    const distributed = await lived(() => startProcesses({ env }))
    expect(new Set(embedded.answers.map((answer) => answer.split(' ').at(-1))).size).toBeGreaterThan(6) // a history that says something
    expect(distributed.answers).toEqual(embedded.answers)
    expect(differences(embedded.evidence, distributed.evidence)).toEqual([])
    expect([embedded.findings, distributed.findings]).toEqual([[], []])
  },
  600_000,
)
