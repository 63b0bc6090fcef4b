import type { DecodedEvent } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { AgentHistory } from './agent-history.ts'
import { CutMap } from './cut/cut-map.ts'
import { endedBy, inTurn, type Row, type RowReaders } from './cut/row.ts'
import { TreeReader, TreeWriter } from './cut/tree-rows.ts'
import { DenialCounts } from './denial-counts.ts'
import { type OpenAllow, OpenAllows } from './open-allows.ts'
import { OutcomeNumbers } from './outcome-numbers.ts'
import { type AllowRecord, change, emptySpend, type TreeSpend } from './tree-spend.ts'
import { isNext, type Verdict } from './verdict.ts'

type Decision = DecodedEvent<'decisions.v1'>

/** The longest life of a tree. An instance may report the outcome of an allowed call that late. */
const longestLifeMs = 8 * 3600 * 1000

/** Decisions and outcomes by tree, and the recent activity of each agent and of each owner's agents. */
export class DecisionState {
  readonly #base: boolean
  readonly trees = new Map<string, TreeSpend>()
  readonly history = new AgentHistory()
  readonly owners = new AgentHistory('owners')
  readonly denials = new DenialCounts(this.history)
  /** Keyed by `instanceName`. */
  readonly outcomeNumbers = new OutcomeNumbers()
  /** Used to notice a missed outcome. */
  readonly #open = new OpenAllows()
  /** The tree of each ALLOW, for finding the tree of its outcome. */
  readonly #roots = new Map<string, string>()
  #writer = new TreeWriter()
  readonly #cut = new CutMap<TreeSpend>((root, tree) => this.#writer.rows(root, tree))

  constructor(options: { base: boolean }) {
    this.#base = options.base
  }

  apply(event: Decision): Verdict {
    if (isWithoutEffect(event)) return 'counts'
    if (event.type === 'decision.denied' || event.type === 'denials.summarised') {
      this.denials.apply(event)
      return 'counts'
    }
    const root = event.partitionkey
    const known = this.trees.get(root)
    if (!isNext(event.version, known?.version, this.#base) || !isEvaluatedOn(event, known?.head)) return 'void'
    const tree = known ?? emptySpend()
    this.#cut.before(root)
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
      // A missed outcome gave nothing back, and its late outcome gives nothing back either. So amounts are given back only once.
      if (record?.released) for (const history of [this.history, this.owners]) history.giveBack(record, record.released)
    }
    return 'counts'
  }

  /** Its state as it is now, as rows that `rowReaders` take. One cut at a time. */
  cut(): IterableIterator<Row> {
    const writer = new TreeWriter()
    this.#writer = writer
    const trees = endedBy(this.#cut.begin(this.trees), () => {
      // It holds the values that the ALLOWs share, which may be most of the state.
      if (this.#writer === writer) this.#writer = new TreeWriter()
    })
    return inTurn(
      trees,
      [...this.#open.all()].map(({ root, record }) => ['open', root, record.id] as const),
      this.history.cut(),
      this.owners.cut(),
      this.denials.cut(),
      this.outcomeNumbers.cut(),
    )
  }

  get rowReaders(): RowReaders {
    const reader = new TreeReader(this.trees)
    return {
      tree: (columns) => reader.tree(columns),
      common: (columns) => reader.common(columns),
      allow: (columns) => {
        const { root, record } = reader.allow(columns)
        this.#roots.set(record.id, root)
      },
      open: (columns) => this.#restoreOpen(columns.text(), columns.text()),
      agents: (columns) => this.history.restore(columns),
      owners: (columns) => this.owners.restore(columns),
      denials: (columns) => this.denials.restore(columns),
      numbers: (columns) => this.outcomeNumbers.restore(columns),
    }
  }

  #restoreOpen(root: string, id: string): void {
    const record = this.trees.get(root)?.allows.get(id)
    if (record?.standing !== 'open') throw new ServiceError('invariant_broken', 'a cut holds an ALLOW open that is not')
    this.#open.add({ root, record })
  }

  /** The tree of an ALLOW. */
  rootOf(decisionId: string): string | undefined {
    return this.#roots.get(decisionId)
  }

  /** ALLOWs that are still open after their outcome was due. */
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

  /** Forgets trees that did nothing since `ms`, if `ended` says that they can do nothing more. */
  forget(ms: number, ended: (root: string) => boolean): void {
    for (const [root, { changedAt }] of this.trees) if (changedAt < ms && ended(root)) this.#forgetTree(root)
    this.history.forget(ms)
    this.owners.forget(ms)
    this.outcomeNumbers.forget(ms - longestLifeMs)
    this.denials.forget(ms, ended)
  }
}

type WithoutEffect = Extract<Decision, { type: 'candidate.answered' | 'engines.differed' | 'outcome.refused' }>
/** The event reports something, and changes no state. */
const isWithoutEffect = (event: Decision): event is WithoutEffect =>
  event.type === 'candidate.answered' || event.type === 'engines.differed' || event.type === 'outcome.refused'

/** One start of one enforcement point. Because the name contains the point, a point can only name instances of its own. */
export const instanceName = ({
  enforcementPoint,
  instance,
}: Pick<AllowRecord, 'enforcementPoint' | 'instance'>): string => `${enforcementPoint} ${instance}`

/** The first event of a tree has no predecessor. A reader that starts inside the topic accepts the first event it meets as it is. */
function isEvaluatedOn({ version, data }: Decision, head: string | undefined): boolean {
  if (!('after' in data) || data.after === undefined) return true
  return head === undefined ? version !== 1 : data.after === head
}
