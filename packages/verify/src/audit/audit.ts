import type { Trust } from '@bailiwick/credentials'
import { groupBy } from '@bailiwick/kit'
import { readLeaf } from '../log/leaf.ts'
import type { LogSource } from '../log/source.ts'
import { grantFindings, type Meaning } from './approvals.ts'
import { chainFindings, type Gap } from './chains.ts'
import { continuityFindings } from './continuity.ts'
import { credentialFindings, issuedFindings } from './credentials.ts'
import { dateFindings } from './dates.ts'
import { allowFindings, budgetFindings } from './decisions.ts'
import { delegationFindings } from './delegations.ts'
import { everyEntry } from './every-entry.ts'
import { readFacts } from './facts.ts'
import { genesisFindings } from './genesis.ts'
import { type Finding, type Leaf, sha256 } from './leaf.ts'
import { outcomeFindings } from './outcomes.ts'
import { hastyFindings, reconciledFindings } from './reconciled.ts'
import { Registry } from './registry.ts'
import { acknowledgementFindings } from './revocations.ts'
import { secretFindings } from './secrets.ts'
import { ServiceKeys } from './service-keys.ts'
import { stepUpFindings } from './step-ups.ts'

export interface AuditReport {
  ok: boolean
  leaves: number
  /** A program approved, and no person (`bailiwick dev`). */
  software_approver: boolean
  /** How many events of each type count: an audit that saw nothing proves nothing. */
  counted: Record<string, number>
  /** The leaves that count. */
  counting: number[]
  /** Leaves without effect: events that lost a race. */
  void: number
  findings: Finding[]
  /**
   * Numbers that killed processes lost (decision 22). The reader of an audit must know that these processes were
   * killed, because a log could also have left the events out.
   */
  gaps: Gap[]
}

/**
 * Reads a log from leaf 0, using only the log's files and the trust anchor, and reports everything that breaks DESIGN §12. It is also the
 * oracle of e2e, abuse and chaos. It is a second, simpler implementation: it shares the authority language and the verification of
 * approvals with the code that it audits, but not the folding of state, the checking of signatures or the counting of budgets.
 *
 * It keeps every entry in memory. Throws `config_invalid` if there is no part of a log, and `service_unready` if its address does not answer.
 */
export async function audit({ log, trust }: { log: LogSource; trust: Trust }): Promise<AuditReport> {
  const { entries, findings: tree } = await everyEntry(log, trust.log.vkey)
  const findings: Finding[] = [...tree, ...secretFindings(entries.map((bytes, index) => ({ bytes, index })))]
  const read = leavesOf(entries, findings)
  const keys = new ServiceKeys(trust, read)
  const signed = read.filter((leaf) => {
    const problem = keys.problemOf(leaf)
    if (problem !== undefined) findings.push({ leaf: leaf.index, rule: 'V12', detail: problem })
    return problem === undefined
  })
  const chains = chainFindings(signed)
  findings.push(...chains.findings, ...dateFindings(signed))
  const once = firstOfEachId(signed)
  const registry = await Registry.read(once, trust)
  const facts = readFacts(once)
  const meaning: Meaning = { trust, facts, registry, keys }
  findings.push(
    ...(once.length > 0 ? genesisFindings(once, trust) : []),
    ...registry.findings,
    ...facts.findings,
    ...(await grantFindings(meaning)),
    ...(await stepUpFindings(meaning)),
    ...(await continuityFindings(meaning)),
    ...delegationFindings(meaning),
    ...credentialFindings(meaning),
    ...issuedFindings(meaning),
    ...acknowledgementFindings(meaning, lastWordOf('issuer', once)),
    ...allowFindings(meaning),
    ...budgetFindings(meaning),
    ...outcomeFindings(meaning),
    ...reconciledFindings(meaning, once),
    ...hastyFindings(meaning),
  )
  // An event that comes after a missing version existed: no killed process left it out.
  const isTorn = facts.findings.some(({ rule }) => rule === 'version')
  if (isTorn) findings.push(...chains.gaps.map(asFinding))
  const counting = once.filter((leaf) => !facts.void.has(leaf.index) && !registry.void.has(leaf.index))
  const byType = groupBy(counting, ({ event }) => event.type)
  return {
    ok: findings.length === 0,
    leaves: entries.length,
    software_approver: trust.software_approver === true,
    counted: Object.fromEntries([...byType].map(([type, all]) => [type, all.length])),
    counting: counting.map(({ index }) => index),
    void: signed.length - counting.length,
    findings: findings.sort((a, b) => a.leaf - b.leaf),
    gaps: isTorn ? [] : chains.gaps,
  }
}

const asFinding = ({ leaf, producer, from, to }: Gap): Finding => ({
  leaf,
  rule: 'V15',
  detail: `${producer}: ${from} to ${to} are missing`,
})

/** When a service published its last event, ms since the epoch. */
function lastWordOf(service: string, leaves: readonly Leaf[]): number {
  const said = leaves.filter(({ event }) => event.source.startsWith(`/${service}/`))
  return said.reduce((last, { at }) => Math.max(last, at), 0)
}

/** Every entry is an event, and no two are the same (V2). */
function leavesOf(entries: readonly Uint8Array[], findings: Finding[]): Leaf[] {
  const seen = new Map<string, number>()
  const leaves: Leaf[] = []
  for (const [index, bytes] of entries.entries()) {
    const hash = sha256(bytes)
    const leaf = readLeaf(index, bytes)
    if (typeof leaf === 'string') findings.push({ leaf: index, rule: 'leaf', detail: leaf })
    else if (seen.has(hash)) findings.push({ leaf: index, rule: 'V2', detail: `leaf ${seen.get(hash)} once more` })
    else leaves.push(leaf)
    seen.set(hash, index)
  }
  return leaves
}

/** Other bytes under a used id, at the same position of the same topic, are a leaf without effect (DESIGN §4). */
function firstOfEachId(leaves: readonly Leaf[]): Leaf[] {
  const ids = new Set<string>()
  return leaves.filter(({ topic, event: { id, partitionkey } }) => {
    const name = `${topic} ${id} ${partitionkey}`
    return !ids.has(name) && ids.add(name)
  })
}
