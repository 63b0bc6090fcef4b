import type { BudgetAmounts } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { type AllowRecord, type DecisionStanding, emptySpend, type Spent, type TreeSpend } from '../tree-spend.ts'
import { amountsRow, labelsRow, readAmounts, readLabels, readUses, usesRow } from './amount-columns.ts'
import type { Columns, Row } from './row.ts'

const standings: readonly DecisionStanding[] = ['open', 'settled', 'abandoned', 'missing']

/**
 * The values that ALLOWs of one task share. They are written once, before the first ALLOW that has them. So a cut, and the memory of the
 * process that reads it, hold them once.
 */
type Common = Pick<
  AllowRecord,
  | 'enforcementPoint'
  | 'instance'
  | 'credential'
  | 'permission'
  | 'reserved'
  | 'released'
  | 'labels'
  | 'agents'
  | 'owners'
  | 'chain'
  | 'acting'
>

const commonRow = (common: Common): Row => [
  'common',
  common.enforcementPoint,
  common.instance ?? null,
  common.credential,
  common.permission,
  common.reserved,
  common.released ?? null,
  common.labels,
  common.agents,
  common.owners,
  common.chain?.map(({ id, permission }) => [id, permission]) ?? null,
  common.acting,
]

function readCommon(columns: Columns): Common {
  const enforcementPoint = columns.text()
  const instance = columns.maybe((column) => column.text())
  const credential = columns.text()
  const permission = columns.whole()
  const reserved = columns.object<BudgetAmounts>()
  const released = columns.maybe((column) => column.object<BudgetAmounts>())
  const [labels, agents, owners] = [columns.texts(), columns.texts(), columns.texts()]
  const chain = columns.maybe((column) => column.each((link) => ({ id: link.text(), permission: link.whole() })))
  return {
    enforcementPoint,
    ...(instance === undefined ? {} : { instance }),
    credential,
    permission,
    reserved,
    ...(released === undefined ? {} : { released }),
    labels,
    agents,
    owners,
    ...(chain === undefined ? {} : { chain }),
    acting: columns.text(),
  }
}

/** Writes trees of one cut. */
export class TreeWriter {
  readonly #commons = new Map<string, number>()

  /** Copies the tree's own numbers at once. Its ALLOWs never change, so they are written when they are asked for. */
  rows(root: string, tree: TreeSpend): Iterable<Row> {
    const { version, head, changedAt, depth, links, labels } = tree
    const row: Row = [
      ...(['tree', root, version, head, changedAt, depth, ...spentRow(tree)] as const),
      [...links].map(([id, spent]) => [id, ...spentRow(spent)]),
      labelsRow(labels),
    ]
    return this.#rows(row, [...tree.allows.values()])
  }

  *#rows(tree: Row, records: readonly AllowRecord[]): Generator<Row> {
    yield tree
    for (const record of records) {
      const common = commonRow(record)
      const text = JSON.stringify(common)
      let n = this.#commons.get(text)
      if (n === undefined) {
        n = this.#commons.size
        this.#commons.set(text, n)
        yield common
      }
      yield [
        'allow',
        n,
        record.id,
        record.callId,
        standings.indexOf(record.standing),
        record.at,
        record.outcomeDue,
        record.actionHash,
        record.stepUp ?? null,
        record.proof ?? null,
        record.round?.first ?? null,
        record.round?.number ?? null,
        record.isContinued ?? null,
        record.continuedBy ?? null,
        record.reportedAt ?? null,
        record.outcome ?? null,
      ]
    }
  }
}

/** Makes trees of rows, in the order in which they were written. */
export class TreeReader {
  readonly #trees: Map<string, TreeSpend>
  readonly #commons: Common[] = []
  #tree: { root: string; spend: TreeSpend } | undefined

  constructor(trees: Map<string, TreeSpend>) {
    this.#trees = trees
  }

  tree(columns: Columns): void {
    const root = columns.text()
    const spend = emptySpend()
    spend.version = columns.whole()
    spend.head = columns.text()
    spend.changedAt = columns.whole()
    spend.depth = columns.whole()
    Object.assign(spend, readSpent(columns))
    spend.links = new Map(columns.each((link) => [link.text(), readSpent(link)]))
    spend.labels = readLabels(columns)
    this.#trees.set(root, spend)
    this.#tree = { root, spend }
  }

  common(columns: Columns): void {
    this.#commons.push(readCommon(columns))
  }

  /** The ALLOW, and the root of its tree. */
  allow(columns: Columns): { root: string; record: AllowRecord } {
    const common = this.#commons[columns.whole()]
    if (common === undefined || this.#tree === undefined)
      throw new ServiceError('invariant_broken', "a cut's ALLOW stands ahead of what it belongs to")
    const { root, spend } = this.#tree
    const record = readAllow(columns, common)
    spend.allows.set(record.id, record)
    spend.byCall.set(record.callId, record.id)
    if (record.stepUp !== undefined) spend.byStepUp.set(record.stepUp, record.id)
    if (record.proof !== undefined) spend.byProof.set(record.proof, record.id)
    return { root, record }
  }
}

function readAllow(columns: Columns, common: Common): AllowRecord {
  const [id, callId] = [columns.text(), columns.text()]
  const standing = standings[columns.whole()]
  if (standing === undefined) throw new ServiceError('invariant_broken', "a cut's ALLOW has no standing")
  const [at, outcomeDue, actionHash] = [columns.whole(), columns.whole(), columns.text()]
  const text = () => columns.maybe((column) => column.text())
  const [stepUp, proof, first] = [text(), text(), text()]
  const number = columns.maybe((column) => column.whole())
  const isContinued = columns.maybe((column) => column.flag())
  const continuedBy = text()
  const reportedAt = columns.maybe((column) => column.whole())
  const outcome = text()
  return {
    ...common,
    ...{ id, callId, standing, at, outcomeDue, actionHash },
    ...(stepUp === undefined ? {} : { stepUp }),
    ...(proof === undefined ? {} : { proof }),
    ...(first === undefined || number === undefined ? {} : { round: { first, number } }),
    ...(isContinued ? { isContinued } : {}),
    ...(continuedBy === undefined ? {} : { continuedBy }),
    ...(reportedAt === undefined ? {} : { reportedAt }),
    ...(outcome === undefined ? {} : { outcome }),
  }
}

const spentRow = ({ taken, uses, open, held, unmeasured }: Spent): unknown[] => [
  String(taken.calls),
  String(taken.egressBytes),
  amountsRow(taken.cost),
  usesRow(uses),
  open,
  String(held.calls),
  amountsRow(held.cost),
  usesRow(held.uses),
  unmeasured,
]

function readSpent(columns: Columns): Spent {
  const taken = { calls: columns.big(), egressBytes: columns.big(), cost: readAmounts(columns) }
  const uses = readUses(columns)
  const open = columns.whole()
  const held = { calls: columns.big(), cost: readAmounts(columns), uses: readUses(columns) }
  return { taken, uses, open, held, unmeasured: columns.whole() }
}
