import { createHash } from 'node:crypto'
import { actionHash, type EventData } from '@bailiwick/contracts'
import { getOrInsert } from '@bailiwick/kit'
import { type Meaning, slackMs } from './approvals.ts'
import { type Decision, decisionKey } from './facts.ts'
import { verifiedClaims } from './jws.ts'
import type { Finding, Rule } from './leaf.ts'

/** An outcome that counts, in the chain of its enforcement point's instance. */
interface Link {
  leaf: number
  signed: string
  previous: unknown
  /** Up to this number, no outcome of the instance is still waiting. */
  answered: number
}

/** The signed part without the signature, because a signature has two spellings. */
const signedIn = (jws: string) =>
  createHash('sha256')
    .update(jws.slice(0, jws.lastIndexOf('.')))
    .digest('base64url')

/**
 * Each outcome is the enforcement point's own report about exactly one ALLOW that stands (V1), recorded once (V10), by
 * the instance that the ALLOW names. The outcomes of one instance are numbered from 1, without gaps among those that
 * were answered, and each names the previous one (V15).
 */
export function outcomeFindings({ facts, registry, trust }: Meaning): Finding[] {
  const findings: Finding[] = []
  const numbers = new Map<string, string>()
  const chains = new Map<string, Map<number, Link>>()
  const refused = facts.refusedOutcomes.map((leaf) => ({ ...leaf, counts: false }))
  const taken = takenIn(facts.charges)
  for (const { event, index, at, counts } of [...facts.charges, ...refused]) {
    if (event.type !== 'outcome.reported' && event.type !== 'outcome.refused') continue
    const { data } = event
    const bad = (rule: Rule, detail: string) =>
      void findings.push({ leaf: index, rule, detail: `${data.decision_id}: ${detail}` })
    const jwk = registry.get('enforcement-point', data.enforcement_point, at)?.outcome_jwk
    const said = jwk && verifiedClaims(data.outcome, jwk, 'bailiwick-outcome+jws')
    if (said === undefined || said.installation !== trust.installation) {
      bad('V1', 'its enforcement point did not sign it')
      continue
    }
    const signed = signedIn(data.outcome)
    const point = pointIn(said)
    const number = `${point} ${said.sequence}`
    if (event.type === 'outcome.refused') {
      const { code } = event.data
      const decision = facts.decisions.get(decisionKey(event.partitionkey, data.decision_id))
      const of = taken.ofDecision.get(decisionKey(event.partitionkey, data.decision_id))
      const isElse = decision?.standing === 'abandoned' || decision?.data.instance !== said.instance
      const contradicts =
        code === 'outcome_mismatch'
          ? decision !== undefined && (isElse || (of !== undefined && of !== signed))
          : [...(taken.underNumber.get(number) ?? [])].some((each) => each !== signed)
      // A stolen decision point can accuse an honest enforcement point with something that the point signed once.
      if (of === signed) bad('V10', `its decision point says that it was not accepted (${code}), and accepted it`)
      else if (contradicts) bad('V10', `its enforcement point signed an outcome that was not accepted (${code})`)
      else bad('V10', `its decision point did not take it (${code}), and it contradicts nothing`)
      continue
    }
    const before = numbers.get(number)
    if (before !== undefined && before !== signed) bad('V10', `${number} says two things`)
    numbers.set(number, signed)
    if (counts && said.instance !== undefined)
      getOrInsert(chains, point, () => new Map()).set(Number(said.sequence), {
        ...{ leaf: index, signed, previous: said.previous },
        answered: Number(said.answered ?? Number(said.sequence) - 1),
      })
    const decision = facts.decisions.get(decisionKey(event.partitionkey, data.decision_id))
    const happened = said.status !== 'not_executed'
    if (decision === undefined || decision.standing === 'abandoned') {
      if (happened) bad('V1', 'something happened without an ALLOW')
      continue
    }
    if (counts && !isAbout(said, event.data, decision)) bad('V1', 'it is not about what was allowed')
    if (!counts && !isAbout(said, event.data, decision)) bad('V1', 'a second outcome says something else')
    if (happened && Date.parse(String(said.at)) < decision.at - slackMs) bad('V1', 'it happened before it was allowed')
  }
  return [...findings, ...[...chains].flatMap(([point, chain]) => gapsIn(point, chain))]
}

/** An enforcement point, and one start of it. */
const pointIn = ({ enforcement_point, instance }: Record<string, unknown>) =>
  `${enforcement_point}${instance === undefined ? '' : ` ${instance}`}`

/** The signed outcome of each decision that has one, and under each number. It is judged where it stands, even if forged. */
function takenIn(charges: Meaning['facts']['charges']) {
  const ofDecision = new Map<string, string>()
  const underNumber = new Map<string, Set<string>>()
  for (const { event, counts } of charges) {
    if (event.type !== 'outcome.reported' || !counts) continue
    const { outcome, decision_id } = event.data
    const signed = signedIn(outcome)
    const said: Record<string, unknown> = claimsIn(outcome)
    ofDecision.set(decisionKey(event.partitionkey, decision_id), signed)
    getOrInsert(underNumber, `${pointIn(said)} ${said.sequence}`, () => new Set<string>()).add(signed)
  }
  return { ofDecision, underNumber }
}

/** Does not check the signature. */
function claimsIn(jws: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()))
  } catch {
    return {}
  }
}

/**
 * The first outcome of an instance is 1 and names no predecessor. A number that no outcome reports as answered may
 * still be waiting, and is no gap.
 */
function gapsIn(point: string, chain: ReadonlyMap<number, Link>): Finding[] {
  const answered = [...chain.values()].reduce((most, link) => Math.max(most, link.answered), 0)
  return [...chain].flatMap(([sequence, { leaf, previous }]) => {
    const before = chain.get(sequence - 1)
    if (before === undefined && sequence - 1 > answered) return []
    if (before === undefined ? sequence === 1 && previous === undefined : previous === before.signed) return []
    const detail = `${point} ${sequence}: the outcome before it ${before === undefined ? 'is missing' : 'is not the one that it names'}`
    return [{ leaf, rule: 'V15' as const, detail }]
  })
}

function isAbout(
  said: Record<string, unknown>,
  data: EventData<'decisions.v1', 'outcome.reported'>,
  { data: allowed }: Decision,
): boolean {
  return (
    said.enforcement_point === data.enforcement_point &&
    said.enforcement_point === allowed.enforcement_point &&
    said.instance === allowed.instance &&
    said.decision_id === data.decision_id &&
    said.call_id === allowed.call_id &&
    said.action_digest === actionHash(allowed.action) &&
    said.status === data.status &&
    said.sequence === data.sequence
  )
}
