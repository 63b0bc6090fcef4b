import { formatMicros, parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts, DecodedEvent, EventData } from '@bailiwick/contracts'
import { claimedEgress } from '@bailiwick/credentials'
import { AgentHistory } from './agent-history.ts'
import { isNext, type Verdict } from './verdict.ts'

/** Exact amounts: calls, bytes, and micros (10^-6) of each currency. */
export interface Amounts {
  calls: bigint
  egressBytes: bigint
  cost: ReadonlyMap<string, bigint>
}

/** How an ALLOW stands: its reservation is held until it is settled, and settles in full unless something is released. */
export type DecisionStanding = 'open' | 'settled' | 'abandoned' | 'missing'

export interface AllowRecord {
  id: string
  callId: string
  standing: DecisionStanding
  /** ms since the epoch. */
  at: number
  outcomeDue: number
  enforcementPoint: string
  actionDigest: string
  permission: number
  reserved: BudgetAmounts
  /** The delegations that it was allowed under, from the grant's down. */
  chain?: readonly { id: string; permission: number }[]
  /** The human's word once more that it used. */
  stepUp?: string
  /** ms since the epoch of its outcome's event; absent until then. */
  reportedAt?: number
}

/** Spent and reserved together. */
export interface Spent {
  taken: { calls: bigint; egressBytes: bigint; cost: Map<string, bigint> }
  /** Uses by index of the permission. */
  uses: Map<number, number>
  /** Calls without an outcome yet: what they send is known afterwards. */
  open: number
  /** Calls of which nobody said how much they sent: no outcome came, or it does not say. */
  unmeasured: number
}

/** What a tree has done, which never exceeds its budget (V9). */
export interface TreeSpend extends Spent {
  version: number
  /** Id of the newest event that counts; empty before the first. */
  head: string
  /** Of the whole, by delegation: what was taken at this link and below it. */
  links: Map<string, Spent>
  labels: Map<string, { count: number; lastAt: number }>
  allows: Map<string, AllowRecord>
  byCall: Map<string, string>
  /** The ALLOW that used a step-up, by the step-up's request: each serves once (V10). */
  byStepUp: Map<string, string>
  /** ms since the epoch of its newest event. */
  changedAt: number
}

type Decision = DecodedEvent<'decisions.v1'>
type FactsOf<D> = D extends Decision ? Pick<D, 'type' | 'data' | 'time'> : never
/** What a change looks at in an event. */
export type DecisionFacts = FactsOf<Decision>

type Lookup<V> = Pick<Map<string, V>, 'get' | 'has' | 'set'>
/** A tree's spend as `change` needs it: the ledger's own, or what it would be with events that are still on their way. */
export type SpendView = Omit<TreeSpend, 'links' | 'allows' | 'byCall' | 'byStepUp'> & {
  links: Lookup<Spent>
  allows: Lookup<AllowRecord>
  byCall: Lookup<string>
  byStepUp: Lookup<string>
}

/** A view to try events on; the tree below stays as it is. Its cost does not grow with what the tree has done. */
export function tentative(tree: TreeSpend = emptySpend()): SpendView {
  return {
    version: tree.version,
    head: tree.head,
    ...copyOf(tree),
    links: layered(tree.links, copyOf),
    labels: new Map([...tree.labels].map(([label, touched]) => [label, { ...touched }])),
    allows: layered(tree.allows, (record) => ({ ...record })),
    byCall: layered(tree.byCall, (id) => id),
    byStepUp: layered(tree.byStepUp, (id) => id),
    changedAt: tree.changedAt,
  }
}

const copyOf = ({ taken, uses, open, unmeasured }: Spent): Spent => ({
  open,
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

/** Decisions and outcomes by tree, and what each agent did lately. */
export class DecisionState {
  readonly #base: boolean
  readonly trees = new Map<string, TreeSpend>()
  readonly history = new AgentHistory()
  /** The tree of each ALLOW that is open, so that its outcome finds it and a missed one is noticed. */
  readonly #open = new Map<string, string>()
  readonly #roots = new Map<string, string>()

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  apply(event: Decision): Verdict {
    if (event.type === 'decision.denied' || event.type === 'denials.summarised') return 'counts'
    const root = event.partitionkey
    const known = this.trees.get(root)
    if (!isNext(event.version, known?.version, this.#base) || !isEvaluatedOn(event, known?.head)) return 'void'
    const tree = known ?? emptySpend()
    if (!change(tree, event)) return 'void'
    tree.version = event.version as number
    tree.head = event.id
    tree.changedAt = Date.parse(event.time)
    this.trees.set(root, tree)
    const { decision_id } = event.data
    if (event.type === 'decision.allowed') {
      for (const agent of agentsOf(event.data)) this.history.touch(agent, event.data.labels, tree.changedAt)
      this.#roots.set(decision_id, root)
      this.#open.set(decision_id, root)
    } else this.#open.delete(decision_id)
    return 'counts'
  }

  /** The tree of an ALLOW. */
  rootOf(decisionId: string): string | undefined {
    return this.#roots.get(decisionId)
  }

  /**
   * ALLOWs that are open past the time when their outcome was due. Looks at all that are open: by whoever sets a date far
   * off first, none of the later ones must be hidden.
   */
  overdue(now: number): { root: string; record: AllowRecord }[] {
    const found: { root: string; record: AllowRecord }[] = []
    for (const [id, root] of this.#open) {
      const record = this.trees.get(root)?.allows.get(id)
      if (record && record.outcomeDue <= now) found.push({ root, record })
    }
    return found
  }

  #forgetTree(root: string): void {
    for (const id of this.trees.get(root)?.allows.keys() ?? []) {
      this.#roots.delete(id)
      this.#open.delete(id)
    }
    this.trees.delete(root)
  }

  /** Forgets trees that did nothing since `ms`, when `ended` says that they can do nothing more. */
  forget(ms: number, ended: (root: string) => boolean): void {
    for (const [root, { changedAt }] of this.trees) if (changedAt < ms && ended(root)) this.#forgetTree(root)
    this.history.forget(ms)
  }
}

/** The first event of a tree comes after none; a reader that starts inside the topic takes its first as it is. */
function isEvaluatedOn({ version, data }: Decision, head: string | undefined): boolean {
  if (!('after' in data) || data.after === undefined) return true
  return head === undefined ? version !== 1 : data.after === head
}

/** Whoever had a part in it: what a sub-agent touched, its maker learnt of, and its own next task follows on. */
function agentsOf({ actor, chain = [] }: EventData<'decisions.v1', 'decision.allowed'>): Set<string> {
  const instances = [actor.agent, ...chain.map(({ agent }) => agent)]
  return new Set(instances.map((instance) => instance.slice(0, instance.lastIndexOf('/'))))
}

const nothingSpent = (): Spent => ({
  taken: { calls: 0n, egressBytes: 0n, cost: new Map() },
  uses: new Map(),
  open: 0,
  unmeasured: 0,
})

export function emptySpend(): TreeSpend {
  return {
    version: 0,
    head: '',
    ...nothingSpent(),
    links: new Map(),
    labels: new Map(),
    allows: new Map(),
    byCall: new Map(),
    byStepUp: new Map(),
    changedAt: 0,
  }
}

/** Applies one event to a tree; false: refused by the state of its decision, and void. */
export function change(tree: SpendView, event: DecisionFacts): boolean {
  switch (event.type) {
    case 'decision.allowed':
      return allow(tree, event.data, Date.parse(event.time))
    case 'decision.abandoned':
      return settle(tree, event.data.decision_id, 'abandoned', { released: (record) => record.reserved, sent: 0 })
    case 'outcome.reported':
      return settle(tree, event.data.decision_id, 'settled', {
        released: () => event.data.released,
        reportedAt: Date.parse(event.time),
        sent: claimedEgress(event.data.outcome),
      })
    case 'outcome.missing':
      return settle(tree, event.data.decision_id, 'missing', { sent: undefined })
    default:
      return false
  }
}

/** An ALLOW that nobody was told, and that was taken back, used nothing. */
export function isUsed(tree: Pick<SpendView, 'allows' | 'byStepUp'>, stepUp: string): boolean {
  const by = tree.byStepUp.get(stepUp)
  return by !== undefined && tree.allows.get(by)?.standing !== 'abandoned'
}

function allow(tree: SpendView, data: EventData<'decisions.v1', 'decision.allowed'>, at: number): boolean {
  if (tree.allows.has(data.decision_id) || tree.byCall.has(data.call_id)) return false
  if (data.step_up !== undefined && isUsed(tree, data.step_up)) return false
  tree.allows.set(data.decision_id, {
    id: data.decision_id,
    callId: data.call_id,
    standing: 'open',
    at,
    outcomeDue: Date.parse(data.outcome_due),
    enforcementPoint: data.enforcement_point,
    actionDigest: data.action.action_digest,
    permission: data.permission,
    reserved: data.reserved,
    ...(data.chain === undefined ? {} : { chain: data.chain.map(linkOf) }),
    ...(data.step_up === undefined ? {} : { stepUp: data.step_up }),
  })
  if (data.step_up !== undefined) tree.byStepUp.set(data.step_up, data.decision_id)
  tree.byCall.set(data.call_id, data.decision_id)
  charge(tree, data.permission, data.reserved)
  for (const { id, permission } of data.chain?.map(linkOf) ?? []) {
    const link = tree.links.get(id) ?? nothingSpent()
    tree.links.set(id, link)
    charge(link, permission, data.reserved)
  }
  for (const label of data.labels)
    tree.labels.set(label, { count: (tree.labels.get(label)?.count ?? 0) + 1, lastAt: at })
  return true
}

/**
 * An ALLOW is settled once. What is given back can never be more than was reserved: the event was signed by a PDP, but a
 * PDP that was taken over must not be able to print money.
 */
function settle(
  tree: SpendView,
  decisionId: string,
  to: Exclude<DecisionStanding, 'open'>,
  { released, reportedAt, sent }: Settlement,
): boolean {
  const record = tree.allows.get(decisionId)
  // An outcome that arrives after it was missed is still a fact, and still gives nothing back.
  const late = record?.standing === 'missing' && to === 'settled'
  if (!record || (record.standing !== 'open' && !late)) return false
  const back = late ? undefined : released?.(record)
  if (back && !within(back, record.reserved)) return false
  record.standing = to
  if (reportedAt !== undefined) record.reportedAt = reportedAt
  const links = record.chain?.map(({ id, permission }) => ({ spent: tree.links.get(id), permission })) ?? []
  for (const { spent, permission } of [{ spent: tree, permission: record.permission }, ...links]) {
    if (spent === undefined) continue
    if (late) spent.unmeasured--
    else spent.open--
    if (sent === undefined) spent.unmeasured++
    else spent.taken.egressBytes += BigInt(sent)
    if (back) giveBack(spent, permission, back)
  }
  return true
}

interface Settlement {
  released?: (record: AllowRecord) => BudgetAmounts
  /** ms since the epoch. */
  reportedAt?: number
  /** Bytes that went out; undefined: nobody says. */
  sent: number | undefined
}

type Chained = NonNullable<EventData<'decisions.v1', 'decision.allowed'>['chain']>[number]
const linkOf = ({ delegation_id: id, permission }: Chained) => ({ id, permission })

function charge(spent: Spent, permission: number, amounts: BudgetAmounts): void {
  spent.open++
  spent.uses.set(permission, (spent.uses.get(permission) ?? 0) + 1)
  take(spent, amounts, 1n)
}

function giveBack(spent: Spent, permission: number, amounts: BudgetAmounts): void {
  take(spent, amounts, -1n)
  if (amounts.calls > 0) spent.uses.set(permission, (spent.uses.get(permission) ?? 1) - 1)
}

function take(tree: Spent, amounts: BudgetAmounts, sign: bigint): void {
  tree.taken.calls += sign * BigInt(amounts.calls)
  tree.taken.egressBytes += sign * BigInt(amounts.egress_bytes)
  for (const [currency, amount] of Object.entries(amounts.cost))
    tree.taken.cost.set(currency, (tree.taken.cost.get(currency) ?? 0n) + sign * (parseMicros(amount) ?? 0n))
}

function within(part: BudgetAmounts, whole: BudgetAmounts): boolean {
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
