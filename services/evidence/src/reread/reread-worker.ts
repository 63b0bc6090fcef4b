import { ServiceError } from '@bailiwick/errors'
import { paths, readInstallation } from '@bailiwick/installation'
import { loadPolicySet, RecordedTrial } from '@bailiwick/policy'
import { mostOfAMessage, workForParent } from '@bailiwick/policy/aside'
import { countsOf, type Difference, replayDecisions, storedSets } from '@bailiwick/policy/replay'
import { htmlReport, logSource, parseVkey, RecordedLog, reportOf, type VerifierKey } from '@bailiwick/verify'
import type { ReplayAnswer, RereadDone, RereadTask } from './reread-aside.ts'

// A process that reads the log again for `Rereads`, which ends it.

/** As much as approval takes. */
const mostCharacters = 16 * 1024 * 1024
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
  why: why.slice(0, mostOfAMessage),
})

async function report({ data, from, to }: Extract<RereadTask, { do: 'report' }>): Promise<RereadDone['report']> {
  const { trust } = readInstallation(data)
  const told = await reportOf({ source: logSource(paths(data).log), trust, from, to })
  if (!told.ok) throw new Error(`the log has a fault at ${told.path}`)
  const { head, measures, events } = told
  return { html: htmlReport(head, measures, events), ok: measures.every(({ ok = true }) => ok) }
}

workForParent(mostCharacters, (task: RereadTask) => (task.do === 'replay' ? replay(task) : report(task)))
