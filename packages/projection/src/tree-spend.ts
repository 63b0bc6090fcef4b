import { formatMicros, parseMicros } from '@bailiwick/authority'
import { actionHash, agentIdOf, type BudgetAmounts, type DecodedEvent, type EventData } from '@bailiwick/contracts'
import { claimedEgress, claimsInProcess, outcomeHash } from '@bailiwick/credentials'
import { addCost, countedIn, giveBackTouch, type Touch, touch } from './touched.ts'

/** Exact amounts: calls, bytes, and micros (10^-6) of each currency. */
export interface Amounts {
  calls: bigint
  egressBytes: bigint
  cost: ReadonlyMap<string, bigint>
}

/** The state of an ALLOW. Its reservation is held until it is settled, and is spent in full unless something is released. */
export type DecisionStanding = 'open' | 'settled' | 'abandoned' | 'missing'

/** Never changed: each event of the decision puts another record in its place. So a cut of the state may keep it and write it later. */
export interface AllowRecord {
  readonly id: string
  readonly callId: string
  readonly standing: DecisionStanding
  /** ms since the epoch. */
  readonly at: number
  readonly outcomeDue: number
  readonly enforcementPoint: string
  /** The start of the enforcement point that asked. Only this start may report the outcome. Absent if the point stated none. */
  readonly instance?: string
  /** The credential that came with it. */
  readonly credential: string
  /** The digest, or the salted hash, by which its event names the action. */
  readonly actionHash: string
  readonly permission: number
  readonly reserved: BudgetAmounts
  /** The amounts that its outcome or its abandonment gave back, if any. */
  readonly released?: BudgetAmounts
  readonly labels: readonly string[]
  /** Agents that had a part in it, without instance. */
  readonly agents: readonly string[]
  /** The owners of these agents at that time. Empty for an ALLOW that names none. */
  readonly owners: readonly string[]
  /** The delegations that it was allowed under, from the grant downwards. */
  readonly chain?: readonly { id: string; permission: number }[]
  /** The step-up that it used: one more approval by a human. */
  readonly stepUp?: string
  /** The proof that it used, by `proof_id`. */
  readonly proof?: string
  /** The instance that acted. */
  readonly acting: string
  /** A further round of a call: the ALLOW of the call's first round, and the round's number, from 2. */
  readonly round?: { first: string; number: number }
  /** Its outcome is `continued`: one further round may go on from here. */
  readonly isContinued?: true
  /** The ALLOW that went on from here. */
  readonly continuedBy?: string
  /** ms since the epoch of its outcome's event; absent until then. */
  readonly reportedAt?: number
  /** The hash of its outcome (`outcomeHash`). */
  readonly outcome?: string
}

/** Calls, cost, and uses by index of the permission. */
export interface Held {
  calls: bigint
  cost: Map<string, bigint>
  uses: Map<number, number>
}

/** Amounts spent and reserved, taken together. */
export interface Spent {
  taken: { calls: bigint; egressBytes: bigint; cost: Map<string, bigint> }
  /** Uses by index of the permission. */
  uses: Map<number, number>
  /** Calls without an outcome yet. */
  open: number
  /** The part of these amounts that calls without an outcome hold, except bytes. It may be given back. */
  held: Held
  /** Calls for which no bytes were reserved, and for which no outcome states how many were sent. */
  unmeasured: number
}

/** The activity of a tree, which never exceeds its budget (V9). */
export interface TreeSpend extends Spent {
  version: number
  /** The id of the newest event that counts; empty before the first. */
  head: string
  /** The part of the total by delegation: amounts taken at this link and below it. */
  links: Map<string, Spent>
  /** The activity under each label. A label stays touched, even if everything is given back. */
  labels: Map<string, Touch>
  /** The most delegations between the grant's agent and the acting agent. */
  depth: number
  allows: Map<string, AllowRecord>
  byCall: Map<string, string>
  /** The ALLOW that used a step-up, by the step-up's request. Each step-up serves once (V10). */
  byStepUp: Map<string, string>
  /** The ALLOW that used a proof, by `proof_id`. It stays used when the ALLOW is taken back (V10). */
  byProof: Map<string, string>
  /** ms since the epoch of its newest event. */
  changedAt: number
}

type Decision = DecodedEvent<'decisions.v1'>
type FactsOf<D> = D extends Decision ? Pick<D, 'type' | 'data' | 'time'> : never
/** The parts of an event that `change` reads. */
export type DecisionFacts = FactsOf<Decision>

type Lookup<V> = Pick<Map<string, V>, 'get' | 'has' | 'set'>
/** A tree's spend as `change` needs it: the ledger's own, or the spend including events that are still on their way. */
export type SpendView = Omit<TreeSpend, 'links' | 'allows' | 'byCall' | 'byStepUp' | 'byProof'> & {
  links: Lookup<Spent>
  allows: Lookup<AllowRecord>
  byCall: Lookup<string>
  byStepUp: Lookup<string>
  byProof: Lookup<string>
  /** ALLOWs that are on their way to the log; absent in the ledger's own view. */
  ahead?: AllowRecord[]
}

/** A view to try events on, without changing the tree below it. Its cost does not grow with the tree's activity. */
export function tentative(tree: TreeSpend = emptySpend()): SpendView {
  return {
    version: tree.version,
    head: tree.head,
    ...copyOf(tree),
    links: layered(tree.links, copyOf),
    labels: new Map([...tree.labels].map(([label, of]) => [label, { ...of, spent: new Map(of.spent) }])),
    depth: tree.depth,
    allows: layered(tree.allows, (record) => record),
    byCall: layered(tree.byCall, (id) => id),
    byStepUp: layered(tree.byStepUp, (id) => id),
    byProof: layered(tree.byProof, (id) => id),
    changedAt: tree.changedAt,
    ahead: [],
  }
}

const copyOf = ({ taken, uses, open, held, unmeasured }: Spent): Spent => ({
  open,
  held: { calls: held.calls, cost: new Map(held.cost), uses: new Map(held.uses) },
  unmeasured,
  taken: { ...taken, cost: new Map(taken.cost) },
  uses: new Map(uses),
})

function layered<V>(below: ReadonlyMap<string, V>, copy: (value: V) => V): Lookup<V> {
  const own = new Map<string, V>()
  const layer: Lookup<V> = {
    has: (key) => own.has(key) || below.has(key),
    get: (key) => {
      const value = below.get(key)
      if (!own.has(key) && value !== undefined) own.set(key, copy(value))
      return own.get(key)
    },
    set: (key, value) => {
      own.set(key, value)
      return own
    },
  }
  return layer
}

/** The agents that had a part in it. A delegating agent learns what its sub-agent touched, and its own next task builds on that. */
function agentsOf({ actor, chain = [] }: EventData<'decisions.v1', 'decision.allowed'>): Set<string> {
  return new Set([actor.agent, ...chain.map(({ agent }) => agent)].map(agentIdOf))
}

const nothingSpent = (): Spent => ({
  taken: { calls: 0n, egressBytes: 0n, cost: new Map() },
  uses: new Map(),
  open: 0,
  held: { calls: 0n, cost: new Map(), uses: new Map() },
  unmeasured: 0,
})

export function emptySpend(): TreeSpend {
  return {
    version: 0,
    head: '',
    ...nothingSpent(),
    links: new Map(),
    labels: new Map(),
    depth: 0,
    allows: new Map(),
    byCall: new Map(),
    byStepUp: new Map(),
    byProof: new Map(),
    changedAt: 0,
  }
}

/** Applies one event to a tree. false: the state of its decision refused the event, and it is void. */
export function change(tree: SpendView, event: DecisionFacts): boolean {
  switch (event.type) {
    case 'decision.allowed':
      return allow(tree, event.data, Date.parse(event.time))
    case 'decision.abandoned':
      return settle(tree, event.data.decision_id, 'abandoned', { released: (record) => record.reserved, sent: 0 })
    case 'outcome.reported':
      return settle(tree, event.data.decision_id, 'settled', {
        released: () => event.data.released,
        reported: {
          at: Date.parse(event.time),
          outcome: outcomeHash(event.data.outcome),
          // An enforcement point in the agent's own process would let the agent add rounds without end.
          isContinued: event.data.status === 'continued' && !claimsInProcess(event.data.outcome),
        },
        sent: claimedEgress(event.data.outcome),
      })
    case 'outcome.missing':
      return settle(tree, event.data.decision_id, 'missing', { sent: undefined })
    default:
      return false
  }
}

/** An ALLOW that was taken back before the caller learnt of it used nothing. */
export function isUsed(tree: Pick<SpendView, 'allows' | 'byStepUp'>, stepUp: string): boolean {
  const by = tree.byStepUp.get(stepUp)
  return by !== undefined && tree.allows.get(by)?.standing !== 'abandoned'
}

/** Whether a further round of the call may go on from here: it ended with questions, and no round that was answered goes on from it yet. */
export function isOpenRound(tree: Pick<SpendView, 'allows'>, from: AllowRecord | undefined): from is AllowRecord {
  if (from?.standing !== 'settled' || from.isContinued !== true) return false
  return from.continuedBy === undefined || tree.allows.get(from.continuedBy)?.standing === 'abandoned'
}

function allow(tree: SpendView, data: EventData<'decisions.v1', 'decision.allowed'>, at: number): boolean {
  if (tree.allows.has(data.decision_id) || tree.byCall.has(data.call_id)) return false
  if (data.step_up !== undefined && isUsed(tree, data.step_up)) return false
  if (data.proof_id !== undefined && tree.byProof.has(data.proof_id)) return false
  const from = data.continues && tree.allows.get(data.continues.decision_id)
  if (data.continues !== undefined && !isOpenRound(tree, from)) return false
  const record: AllowRecord = {
    id: data.decision_id,
    callId: data.call_id,
    standing: 'open',
    at,
    outcomeDue: Date.parse(data.outcome_due),
    enforcementPoint: data.enforcement_point,
    ...(data.instance === undefined ? {} : { instance: data.instance }),
    credential: data.actor.credential_id,
    actionHash: actionHash(data.action),
    permission: data.permission,
    reserved: data.reserved,
    labels: data.labels,
    agents: [...agentsOf(data)],
    owners: [...new Set(data.owners)],
    ...(data.chain === undefined ? {} : { chain: data.chain.map(linkOf) }),
    ...(data.step_up === undefined ? {} : { stepUp: data.step_up }),
    ...(data.proof_id === undefined ? {} : { proof: data.proof_id }),
    acting: data.actor.sub_agent ?? data.actor.agent,
    ...(from === undefined ? {} : { round: roundAfter(from) }),
  }
  if (from !== undefined) tree.allows.set(from.id, { ...from, continuedBy: record.id })
  tree.allows.set(data.decision_id, record)
  tree.ahead?.push(record)
  if (data.step_up !== undefined) tree.byStepUp.set(data.step_up, data.decision_id)
  if (data.proof_id !== undefined) tree.byProof.set(data.proof_id, data.decision_id)
  tree.byCall.set(data.call_id, data.decision_id)
  charge(tree, data.permission, record)
  for (const { id, permission } of data.chain?.map(linkOf) ?? []) {
    const link = tree.links.get(id) ?? nothingSpent()
    tree.links.set(id, link)
    charge(link, permission, record)
  }
  touch(tree.labels, record)
  tree.depth = Math.max(tree.depth, record.chain?.length ?? 0)
  return true
}

/** The round that goes on from this one. */
export const roundAfter = ({ id, round }: AllowRecord): NonNullable<AllowRecord['round']> => ({
  first: round?.first ?? id,
  number: (round?.number ?? 1) + 1,
})

/** The first round of the call that a further round would go on with from this decision. */
export function firstRoundOf({ allows }: Pick<SpendView, 'allows'>, decisionId: string): AllowRecord | undefined {
  const from = allows.get(decisionId)
  return from && allows.get(roundAfter(from).first)
}

/**
 * An ALLOW is settled once, and never gives back more than was reserved: a PDP signed the event, but a PDP that was taken over must not be
 * able to print money.
 */
function settle(
  tree: SpendView,
  decisionId: string,
  to: Exclude<DecisionStanding, 'open'>,
  { released, reported, sent }: Settlement,
): boolean {
  const record = tree.allows.get(decisionId)
  // An outcome that arrives after it was recorded as missing is still a fact, and still gives nothing back.
  const late = record?.standing === 'missing' && to === 'settled'
  if (!record || (record.standing !== 'open' && !late)) return false
  const back = late ? undefined : released?.(record)
  if (back && !within(back, record.reserved)) return false
  tree.allows.set(decisionId, {
    ...record,
    standing: to,
    ...(back ? { released: back } : {}),
    ...(reported === undefined ? {} : { reportedAt: reported.at, outcome: reported.outcome }),
    ...(reported?.isContinued ? { isContinued: true } : {}),
  })
  if (back) giveBackTouch(tree.labels, record, back)
  const links = record.chain?.map(({ id, permission }) => ({ spent: tree.links.get(id), permission })) ?? []
  for (const { spent, permission } of [{ spent: tree, permission: record.permission }, ...links]) {
    if (spent === undefined) continue
    const isMeasured = record.reserved.egress_bytes > 0
    if (!late) release(spent, permission, record)
    else if (!isMeasured) spent.unmeasured--
    if (sent === undefined && !isMeasured) spent.unmeasured++
    spent.taken.egressBytes -= BigInt(unsentOf(record.reserved, sent, late))
    if (back) giveBack(spent, permission, back, countedIn(record))
  }
  return true
}

/**
 * The reserved bytes that an outcome leaves unsent; less than 0 if more was sent than reserved. If no outcome states a number, the full
 * reservation counts as sent. A late outcome gives nothing back.
 */
export function unsentOf({ egress_bytes }: BudgetAmounts, sent: number | undefined, late: boolean): number {
  if (sent === undefined) return 0
  return late ? Math.min(0, egress_bytes - sent) : egress_bytes - sent
}

interface Settlement {
  released?: (record: AllowRecord) => BudgetAmounts
  /** `at`: ms since the epoch. */
  reported?: { at: number; outcome: string; isContinued: boolean }
  /** Bytes that were sent; undefined: unknown. */
  sent: number | undefined
}

type Chained = NonNullable<EventData<'decisions.v1', 'decision.allowed'>['chain']>[number]
const linkOf = ({ delegation_id: id, permission }: Chained) => ({ id, permission })

type Charged = Pick<AllowRecord, 'reserved' | 'round'>

function charge(spent: Spent, permission: number, act: Charged): void {
  spent.open++
  hold(spent.held, permission, act, 1)
  spent.uses.set(permission, (spent.uses.get(permission) ?? 0) + countedIn(act))
  take(spent, act.reserved, 1n)
}

/** No longer held: from now on these amounts are spent, except what is given back. */
function release(spent: Spent, permission: number, act: Charged): void {
  spent.open--
  hold(spent.held, permission, act, -1)
}

function hold(held: Held, permission: number, act: Charged, sign: 1 | -1): void {
  const { calls, cost } = act.reserved
  held.calls += BigInt(sign * calls)
  held.uses.set(permission, (held.uses.get(permission) ?? 0) + sign * countedIn(act))
  addCost(held.cost, cost, BigInt(sign))
}

/** Bytes are not given back here, but according to what was sent. `uses`: those that were taken. */
function giveBack(spent: Spent, permission: number, amounts: BudgetAmounts, uses: number): void {
  take(spent, { ...amounts, egress_bytes: 0 }, -1n)
  if (amounts.calls > 0) spent.uses.set(permission, (spent.uses.get(permission) ?? uses) - uses)
}

function take(tree: Spent, amounts: BudgetAmounts, sign: bigint): void {
  tree.taken.calls += sign * BigInt(amounts.calls)
  tree.taken.egressBytes += sign * BigInt(amounts.egress_bytes)
  addCost(tree.taken.cost, amounts.cost, sign)
}

/** Whether a part is no more than the whole, in every amount. */
export function within(part: BudgetAmounts, whole: BudgetAmounts): boolean {
  const enough = (amount: string, of: string | undefined) =>
    (parseMicros(amount) ?? 0n) <= (parseMicros(of ?? '0') ?? 0n)
  return (
    part.calls <= whole.calls &&
    part.egress_bytes <= whole.egress_bytes &&
    Object.entries(part.cost).every(([currency, amount]) => enough(amount, whole.cost[currency]))
  )
}

/** Amounts as an event spells them. */
export function spellAmounts(amounts: Amounts): BudgetAmounts {
  return {
    calls: Number(amounts.calls),
    egress_bytes: Number(amounts.egressBytes),
    cost: Object.fromEntries([...amounts.cost].map(([currency, micros]) => [currency, formatMicros(micros)])),
  }
}
