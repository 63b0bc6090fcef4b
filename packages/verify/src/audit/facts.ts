import type { DecodedEvent, EventData } from '@bailiwick/contracts'
import { canonical } from './canonical.ts'
import { objectIn, openCompact } from './jws.ts'
import { type Finding, type Leaf, onTopic } from './leaf.ts'

/** An event that counts, and its position. */
export type Fact<D> = { index: number; at: number; data: D }

export interface Request {
  state: 'pending' | 'approved' | 'closed'
  received: Fact<EventData<'approvals.v1', 'request.received'>>
  approved?: Fact<EventData<'approvals.v1', 'request.approved'>>
}

export interface Tree {
  state: 'active' | 'suspended' | 'ended'
  /** Every event that carries the grant, beginning with its creation; each with the state that it made. */
  life: (Fact<EventData<'grants.v1', 'grant.created'>> & { state: Tree['state'] })[]
  delegations: Map<string, Fact<EventData<'grants.v1', 'delegation.redeemed'>>>
  intents: Map<string, Fact<EventData<'grants.v1', 'credential.intended'>> & { issued: boolean }>
}

export interface Decision extends Fact<EventData<'decisions.v1', 'decision.allowed'>> {
  /** The tree that it is charged to. */
  tree: string
  standing: 'open' | 'settled' | 'abandoned' | 'missing'
  /** Its outcome says that its server answered with questions. */
  isContinued?: true
  /** The ALLOW that went on with it. */
  continuedBy?: Decision
}

export type Revocation = Fact<EventData<'revocations.v1', 'revocation.declared'>> & { version: number }
/** The issuer had read back all revocations up to its `sequence`. */
type Acknowledgement = Fact<EventData<'revocations.v1', 'revocation.acknowledged'>>

/** What the log says happened, topic by topic: nothing that counts on one topic depends on another topic (DESIGN §5). */
export interface Facts {
  requests: Map<string, Request>
  trees: Map<string, Tree>
  /** ALLOWs by tree and decision id, with the fate of each. */
  decisions: Map<string, Decision>
  /** Tree and call id of each. */
  calls: Set<string>
  /** Tree and proof of each ALLOW that names its proof, and the leaf where it counted. */
  proofs: Map<string, number>
  /** Everything that takes from a tree or returns to it, in order. */
  charges: (Leaf<'decisions.v1'> & { counts: boolean })[]
  /** Outcomes that enforcement points signed and no decision point accepted. */
  refusedOutcomes: Leaf<'decisions.v1'>[]
  revocations: Revocation[]
  acknowledgements: Acknowledgement[]
  /** Every credential with an issuing event, whether that event counts or not, and its tree. */
  issued: (Fact<EventData<'grants.v1', 'credential.issued'>> & { tree: string })[]
  /** Indexes of the leaves without effect. */
  void: Set<number>
  findings: Finding[]
}

/**
 * Folds every topic except the registry from its first leaf. The first valid version n + 1 counts, and everything else
 * is void.
 */
export function readFacts(leaves: readonly Leaf[]): Facts {
  const facts: Facts = {
    requests: new Map(),
    trees: new Map(),
    decisions: new Map(),
    calls: new Set(),
    proofs: new Map(),
    charges: [],
    refusedOutcomes: [],
    revocations: [],
    acknowledgements: [],
    issued: [],
    void: new Set(),
    findings: [],
  }
  const versions = new Map<string, number>()
  /** The newest event that counts of each tree of decisions. */
  const heads = new Map<string, string>()
  const ids = new Set<string>()
  /** Leaves that state that they came after an event that lost its place. */
  const lostWithIt = new Set<number>()
  const fold = <L extends { index: number; event: { version?: number | undefined } }>(
    leaf: L,
    entity: string,
    applies: (leaf: L) => boolean,
  ): boolean => {
    const next = (versions.get(entity) ?? 0) + 1
    const { version = 0 } = leaf.event
    // A lower version lost a race to another writer. A higher version means that an event is missing, unless it came in
    // one batch with an event that is present but void.
    if (version > next && !lostWithIt.has(leaf.index))
      facts.findings.push({ leaf: leaf.index, rule: 'version', detail: `${entity}: ${version} where ${next} is next` })
    const counts = version === next && applies(leaf)
    if (counts) versions.set(entity, version)
    else facts.void.add(leaf.index)
    return counts
  }
  for (const leaf of onTopic(leaves, 'approvals.v1'))
    fold(leaf, `${leaf.topic} ${leaf.event.subject}`, (each) => applyApproval(facts, each))
  for (const leaf of onTopic(leaves, 'grants.v1')) {
    const { event, index, at } = leaf
    if (event.type === 'credential.issued') facts.issued.push({ index, at, data: event.data, tree: event.partitionkey })
    if (event.version !== undefined)
      fold(leaf, `${leaf.topic} ${event.partitionkey}`, (each) => applyGrant(facts, each))
  }
  for (const leaf of onTopic(leaves, 'revocations.v1')) {
    const { event, index, at } = leaf
    if (event.type === 'revocation.acknowledged') facts.acknowledgements.push({ index, at, data: event.data })
    else
      fold(leaf, leaf.topic, () => {
        facts.revocations.push({ index, at, data: event.data, version: event.version ?? 0 })
        return true
      })
  }
  for (const leaf of onTopic(leaves, 'decisions.v1')) {
    if (leaf.event.type === 'outcome.refused') facts.refusedOutcomes.push(leaf)
    if (leaf.event.version === undefined) continue
    const { data, id, partitionkey: tree } = leaf.event
    const after = 'after' in data ? data.after : undefined
    const follows = after === undefined || after === heads.get(tree)
    if (!follows && ids.has(`${tree} ${after}`)) lostWithIt.add(leaf.index)
    ids.add(`${tree} ${id}`)
    const counts = fold(leaf, `${leaf.topic} ${tree}`, (each) => follows && applyDecision(facts, each))
    if (counts) heads.set(tree, id)
    facts.charges.push({ ...leaf, counts })
  }
  return facts
}

const isOfEmergency = ({ received: { data } }: Request) =>
  data.kind === 'access' && data.attestation?.kind === 'emergency'

function applyApproval({ requests }: Facts, { event, index, at }: Leaf<'approvals.v1'>): boolean {
  if (event.type === 'enrolment.offered' || event.type === 'revocation.requested') return true
  const { subject } = event
  const request = requests.get(subject)
  if (event.data.request_id !== subject) return false
  if (event.type === 'request.received') {
    if (request !== undefined) {
      if (request.state !== 'approved' || event.data.kind !== 'access' || event.data.reopened === undefined)
        return false
      request.state = 'pending'
      delete request.approved
      return true
    }
    requests.set(subject, { state: 'pending', received: { index, at, data: event.data } })
    return true
  }
  if (event.type === 'request.reviewed') return request?.approved !== undefined && isOfEmergency(request)
  if (request === undefined || request.state === 'closed') return false
  switch (event.type) {
    case 'request.endorsed':
      return true
    case 'request.approved':
      if (request.state !== 'pending') return false
      request.state = 'approved'
      request.approved = { index, at, data: event.data }
      return true
    case 'request.cancelled':
    case 'request.withdrawn':
      request.state = 'closed'
      return true
    default:
      if (request.state !== 'pending') return false
      request.state = 'closed'
      return true
  }
}

function applyGrant({ trees, findings }: Facts, { event, index, at }: Leaf<'grants.v1'>): boolean {
  const id = event.partitionkey
  const tree = trees.get(id)
  if (event.type === 'grant.created') {
    if (tree !== undefined || event.data.grant.id !== id) return false
    trees.set(id, {
      state: 'active',
      life: [{ index, at, data: event.data, state: 'active' }],
      delegations: new Map(),
      intents: new Map(),
    })
    return true
  }
  if (tree === undefined) return false
  if (event.type === 'credential.issued') {
    const intent = tree.intents.get(event.data.credential_id)
    if (intent === undefined || intent.issued) return false
    intent.issued = true
    return true
  }
  if (event.type === 'credential.intended') {
    if (tree.state !== 'active' || tree.intents.has(event.data.credential_id)) return false
    tree.intents.set(event.data.credential_id, { index, at, data: event.data, issued: false })
    return true
  }
  if (event.type === 'delegation.redeemed') {
    if (tree.state !== 'active' || tree.delegations.has(event.data.delegation_id)) return false
    tree.delegations.set(event.data.delegation_id, { index, at, data: event.data })
    return true
  }
  if (!('grant' in event.data)) return false
  const to = nextState(tree.state, event.type)
  const known = tree.life.at(-1)?.data.grant
  if (to === undefined || known === undefined) return false
  // A move may change the holder, and only a move may. What people signed may not change: an event that says otherwise
  // is a finding.
  const { agent, instance_key } = event.type === 'grant.rebound' ? event.data.grant : known
  if (canonical({ ...known, agent, instance_key }) !== canonical(event.data.grant)) {
    findings.push({ leaf: index, rule: 'V3', detail: `${id}: changed after it was created` })
    return false
  }
  tree.state = to
  tree.life.push({ index, at, data: event.data, state: to })
  return true
}

function nextState(from: Tree['state'], type: DecodedEvent<'grants.v1'>['type']): Tree['state'] | undefined {
  if (from === 'ended') return undefined
  if (type === 'grant.completed' || type === 'grant.expired') return 'ended'
  if (from === 'suspended') return type === 'grant.resumed' ? 'active' : undefined
  return type === 'grant.suspended' ? 'suspended' : type === 'grant.rebound' ? 'active' : undefined
}

function applyDecision(
  { decisions, calls, proofs, findings }: Facts,
  { event, index, at }: Leaf<'decisions.v1'>,
): boolean {
  const tree = event.partitionkey
  if (event.type === 'decision.denied' || event.type === 'denials.summarised') return true
  if (event.type === 'outcome.refused') return true // an outcome that a point signed and no decision point accepted: outcomeFindings reports it
  if (event.type === 'candidate.answered') return true // a candidate's answer is not a decision
  if (event.type === 'engines.differed') return true // nor is the comparison of one
  const key = decisionKey(tree, event.data.decision_id)
  const decision = decisions.get(key)
  if (event.type === 'decision.allowed') {
    const call = `${tree} ${event.data.call_id}`
    if (decision !== undefined || calls.has(call)) return false
    const { step_up } = event.data
    const uses = (each: Decision) =>
      each.tree === tree && each.data.step_up === step_up && each.standing !== 'abandoned'
    if (step_up !== undefined && [...decisions.values()].some(uses)) return false // a human's approval works once
    const { proof_id } = event.data
    const proof = `${tree} ${proof_id}`
    const before = proof_id === undefined ? undefined : proofs.get(proof)
    if (before !== undefined) {
      // This is not a lost race: the version is the next one, so its writer had read the ALLOW that counted the proof.
      const detail = `${event.data.decision_id}: its proof counted before, in leaf ${before}`
      findings.push({ leaf: index, rule: 'V10', detail })
      return false
    }
    const { continues } = event.data
    const from = continues && decisions.get(decisionKey(tree, continues.decision_id))
    const next = from?.continuedBy
    // Its writer had read what came before, so this is no lost race either.
    const isUsed = next !== undefined && next.standing !== 'abandoned'
    if (continues !== undefined && (from?.standing !== 'settled' || from.isContinued !== true || isUsed)) {
      const detail = isUsed ? `which went on in leaf ${next.index}` : 'which did not end with questions'
      findings.push({ leaf: index, rule: 'V10', detail: `${event.data.decision_id}: it continues a call ${detail}` })
      return false
    }
    if (proof_id !== undefined) proofs.set(proof, index)
    calls.add(call)
    const allowed: Decision = { index, at, data: event.data, tree, standing: 'open' }
    decisions.set(key, allowed)
    if (from !== undefined) from.continuedBy = allowed
    return true
  }
  if (decision === undefined) return false
  const late = decision.standing === 'missing' && event.type === 'outcome.reported'
  if (decision.standing !== 'open' && !late) return false
  decision.standing = (
    { 'decision.abandoned': 'abandoned', 'outcome.reported': 'settled', 'outcome.missing': 'missing' } as const
  )[event.type]
  if (event.type === 'outcome.reported' && event.data.status === 'continued' && !isInProcess(event.data.outcome))
    decision.isContinued = true
  return true
}

/**
 * The outcome says that its point stands in the process of the agent that it decides for: that agent could give itself back what it spent,
 * or go on with its call.
 */
export function isInProcess(outcome: string): boolean {
  return objectIn(openCompact(outcome)?.payload ?? new Uint8Array())?.enforced_by !== undefined
}

export const decisionKey = (tree: string, decisionId: string): string => `${tree} ${decisionId}`
