import { readFileSync } from 'node:fs'
import { parseTrust } from '@bailiwick/credentials'
import { toProblem } from '@bailiwick/errors'
import { grantFindings, type Meaning } from './audit/approvals.ts'
import { chainFindings, type Gap } from './audit/chains.ts'
import { continuityFindings } from './audit/continuity.ts'
import { credentialFindings, issuedFindings } from './audit/credentials.ts'
import { dateFindings } from './audit/dates.ts'
import { allowFindings, budgetFindings } from './audit/decisions.ts'
import { delegationFindings } from './audit/delegations.ts'
import { readFacts } from './audit/facts.ts'

import { genesisFindings } from './audit/genesis.ts'
import { type Finding, type Leaf, readLeaf, sha256 } from './audit/leaf.ts'
import { outcomeFindings } from './audit/outcomes.ts'
import { readLog } from './audit/read-log.ts'
import { hastyFindings, reconciledFindings } from './audit/reconciled.ts'
import { Registry } from './audit/registry.ts'
import { acknowledgementFindings } from './audit/revocations.ts'
import { secretFindings } from './audit/secrets.ts'
import { ServiceKeys } from './audit/service-keys.ts'
import { stepUpFindings } from './audit/step-ups.ts'

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
 * The oracle of e2e, abuse and chaos. It reads a log from leaf 0, using only the log's files and the trust anchor, and
 * reports everything that breaks DESIGN §12. It is a second, simpler implementation: it shares the authority language
 * and the verification of approvals with the code that it audits, but not the folding of state, the checking of
 * signatures or the counting of budgets.
 */
export async function audit({ logDir, trustPath }: { logDir: string; trustPath: string }): Promise<AuditReport> {
  const trust = parseTrust(readFileSync(trustPath))
  const { entries, findings: tree } = await readLog(logDir, trust.log.vkey)
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
  const byType = Map.groupBy(counting, ({ event }) => event.type)
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

/** `bailiwick audit`: the log's folder, the trust anchor, and `--json` or nothing. */
async function main([logDir = '', trustPath = '', json]: readonly string[]): Promise<number> {
  const { counting: _, ...report } = await audit({ logDir, trustPath })
  if (json !== undefined) console.log(JSON.stringify(report))
  else {
    for (const { leaf, rule, detail } of report.findings)
      console.log(`${leaf < 0 ? 'the log' : `leaf ${leaf}`}: ${rule}: ${detail}`)
    for (const [type, count] of Object.entries(report.counted).sort())
      console.log(`${String(count).padStart(8)} ${type}`)
    for (const { producer, from, to, successor } of report.gaps)
      console.log(`${producer}: ${from} to ${to} were never durable, if it was killed: ${successor} took over`)
    const found = report.ok ? 'every one is as it must be' : `${report.findings.length} are NOT as they must be`
    console.log(`${report.leaves} leaves, ${report.void} of them without effect: ${found}`)
    if (report.software_approver)
      console.log('SOFTWARE APPROVER: a program approved here, and no person. This proves nothing about people.')
  }
  return report.ok ? 0 : 1
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
    const { code, title, detail = title } = toProblem(error)
    console.error(`bailiwick: ${code === 'internal' ? String(error) : detail} (${code})`)
    return 2
  })
}
