import type { DecodedEvent } from '@bailiwick/contracts'
import { AgentHistory } from './agent-history.ts'
import { DenialCounts } from './denial-counts.ts'
import { type OpenAllow, OpenAllows } from './open-allows.ts'
import { OutcomeNumbers } from './outcome-numbers.ts'
import { type AllowRecord, change, emptySpend, type TreeSpend } from './tree-spend.ts'
import { isNext, type Verdict } from './verdict.ts'

type Decision = DecodedEvent<'decisions.v1'>

/** Of a tree: an instance may report as late as that what it was allowed. */
const longestLifeMs = 8 * 3600 * 1000

/** Decisions and outcomes by tree, and what each agent, and each owner's agents, did lately. */
export class DecisionState {
  readonly #base: boolean
  readonly trees = new Map<string, TreeSpend>()
  readonly history = new AgentHistory()
  readonly owners = new AgentHistory('owners')
  readonly denials = new DenialCounts(this.history)
  /** By `instanceName`. */
  readonly outcomeNumbers = new OutcomeNumbers()
  /** So that a missed outcome is noticed. */
  readonly #open = new OpenAllows()
  /** The tree of each ALLOW, so that its outcome finds it. */
  readonly #roots = new Map<string, string>()

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  apply(event: Decision): Verdict {
    // What a candidate would have said changes nothing, and neither does an outcome that was not taken.
    if (event.type === 'candidate.answered' || event.type === 'outcome.refused') return 'counts'
    if (event.type === 'decision.denied' || event.type === 'denials.summarised') {
      this.denials.apply(event)
      return 'counts'
    }
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
    const record = tree.allows.get(decision_id)
    if (event.type === 'decision.allowed') {
      if (record) {
        this.history.add(record)
        this.owners.add(record)
        this.#open.add({ root, record })
      }
      this.#roots.set(decision_id, root)
    } else {
      if (record) this.#open.delete(record)
      if (event.type === 'outcome.reported' && record?.instance !== undefined)
        this.outcomeNumbers.add(instanceName(record), event.data.sequence, tree.changedAt)
      // What was missed gave nothing back, and its late outcome gives nothing either: this is told once.
      if (record?.released) for (const history of [this.history, this.owners]) history.giveBack(record, record.released)
    }
    return 'counts'
  }

  /** The tree of an ALLOW. */
  rootOf(decisionId: string): string | undefined {
    return this.#roots.get(decisionId)
  }

  /** ALLOWs that are open past the time when their outcome was due. */
  overdue(now: number): OpenAllow[] {
    return this.#open.overdue(now)
  }

  #forgetTree(root: string): void {
    for (const [id, record] of this.trees.get(root)?.allows ?? []) {
      this.#roots.delete(id)
      this.#open.delete(record)
    }
    this.trees.delete(root)
  }

  /** Forgets trees that did nothing since `ms`, when `ended` says that they can do nothing more. */
  forget(ms: number, ended: (root: string) => boolean): void {
    for (const [root, { changedAt }] of this.trees) if (changedAt < ms && ended(root)) this.#forgetTree(root)
    this.history.forget(ms)
    this.owners.forget(ms)
    this.outcomeNumbers.forget(ms - longestLifeMs)
    this.denials.forget(ms, ended)
  }
}

/** One start of one enforcement point: whoever names an instance names its own alone. */
export const instanceName = ({
  enforcementPoint,
  instance,
}: Pick<AllowRecord, 'enforcementPoint' | 'instance'>): string => `${enforcementPoint} ${instance}`

/** The first event of a tree comes after none; a reader that starts inside the topic takes its first as it is. */
function isEvaluatedOn({ version, data }: Decision, head: string | undefined): boolean {
  if (!('after' in data) || data.after === undefined) return true
  return head === undefined ? version !== 1 : data.after === head
}
