import { parentPort, workerData } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import { loadPolicySet, RecordedTrial } from '@bailiwick/policy'
import { countsOf, type Difference, replayDecisions, storedSets } from '@bailiwick/policy/replay'
import { htmlReport, logSource, parseVkey, RecordedLog, reportOf, type VerifierKey } from '@bailiwick/verify'
import type { ReplayAnswer, RereadDone, RereadTask } from './reread-aside.ts'

// A thread that reads the log again for `Rereads`, which ends it.

if (!parentPort) throw new Error('a thread of its own')
const port = parentPort

const mostShown = 100

async function replay(task: Extract<RereadTask, { do: 'replay' }>): Promise<RereadDone['replay']> {
  const { data, from, to, files, policySet, others } = task
  const { trust } = readInstallation(data)
  const setOf = storedSets(data)
  const set = files === undefined ? policySet && setOf(policySet) : loadPolicySet(files)
  if (!set) throw new ServiceError('config_invalid', 'policies: the active set is not stored on this machine')
  const after = new RecordedTrial(set, 'after')
  const log = await RecordedLog.open({
    source: logSource(paths(data).log),
    vkey: parseVkey(trust.log.vkey) as VerifierKey,
    trust,
    progress: () => ({}),
  })
  const isWanted = (_: unknown, time: string) => Date.parse(time) >= from && Date.parse(time) <= to
  const replayed = await replayDecisions({ log, setOf, after, others, isWanted })
  if (log.fault) throw new Error(`the log has a fault at ${log.fault.path}`)
  const { decisions, byPolicies, differences } = replayed
  return {
    decisions,
    by_policies: byPolicies,
    ...countsOf(replayed),
    refused: log.refused.length,
    size: log.size,
    differences: differences.toReversed().slice(0, mostShown).map(shown),
    more: Math.max(0, differences.length - mostShown),
  }
}

const kinds = { 'would be denied': 'denied', 'would be allowed': 'allowed', 'cannot be told': 'untold' } as const

const shown = ({ kind, decision, policies, why }: Difference): ReplayAnswer['differences'][number] => ({
  kind: kinds[kind],
  decision_id: decision.id,
  time: new Date(decision.at).toISOString(),
  agent: decision.agent,
  action: decision.action,
  resource: decision.resource,
  policies: [...policies],
  why,
})

async function report({ data, from, to }: Extract<RereadTask, { do: 'report' }>): Promise<RereadDone['report']> {
  const { trust } = readInstallation(data)
  const told = await reportOf({ source: logSource(paths(data).log), trust, from, to })
  if (!told.ok) throw new Error(`the log has a fault at ${told.path}`)
  const { head, measures, events } = told
  return { html: htmlReport(head, measures, events), ok: measures.every(({ ok = true }) => ok) }
}

try {
  const task = workerData as RereadTask
  port.postMessage({ done: task.do === 'replay' ? await replay(task) : await report(task) })
} catch (error) {
  if (!(error instanceof ServiceError) || error.code !== 'config_invalid' || error.detail === undefined) throw error
  port.postMessage({ refused: error.detail })
}
