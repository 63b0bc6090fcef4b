import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Term, termOf } from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import { type Claim, type Order, race, type TreeFact, type TreeFacts } from '@bailiwick/projection'
import { leafHash, rootFromTiles, sameHash, type TreeHead } from '@bailiwick/tlog'
import { open, type RootDatabase } from 'lmdb'
import { entriesOf } from '../log/log.ts'
import type { LogStorage } from '../log/log-storage.ts'
import { type DeniedRows, deniedBetween } from '../touched/denied.ts'
import { countTouch, touchedBetween } from '../touched/touched.ts'
import { countAnswers, hoursBetween, type Values } from './activity.ts'
import { type Chain, extended } from './chain.ts'
import { findLeaves, type LeafPlace, type LeafQuery, type LeavesFound } from './find-leaves.ts'
import {
  type ActivityHour,
  type CallRecord,
  format,
  type Key,
  keyOf,
  type Meta,
  type TouchedHour,
  type Value,
} from './index-format.ts'
import { type LeafFacts, leafFacts } from './leaf-facts.ts'
import { chainName, type DoubledOutcome, isWhole, type OutcomeChain, type OutcomeLink } from './outcome-links.ts'
import { indexTerms } from './terms.ts'

/** Leaves of one transaction while the index catches up. */
const caughtUpAtOnce = 4096
/** Other work may wait for this thread, so a batch is split into this many transactions if each then has at least this many leaves. */
const [mostTurns, fewestAtOnce] = [16, 16]

/**
 * Finds leaves: by their hash, by event id, by their content and time. The index is built from the log, and rebuilt from it whenever the
 * two differ. It is never the source for what is in the log.
 */
export class LeafIndex implements AsyncDisposable {
  readonly #db: RootDatabase<Value, Key>
  readonly #facts: TreeFacts
  /** The rows that the leaves of one transaction change, by the key's text, until it is committed. */
  readonly #changed = new Map<string, readonly [key: Key, value: Value]>()
  readonly #values: Values = {
    get: (key) => this.#changed.get(key.join(' '))?.[1] ?? this.#db.get(key),
    put: (key, value) => {
      const text = key.join(' ')
      this.#changed.set(text, [key, value])
      if (key[0] !== 'term') return
      const named = this.#named.get(key[1]) ?? new Map()
      this.#named.set(key[1], named.set(text, { key, value }))
    },
  }
  /** The terms among them, by the hash of the term: a request's life asks for its leaves again and again. */
  readonly #named = new Map<string, Map<string, { key: Key; value: Value }>>()
  /** The chains of outcomes that lack something, by name. */
  readonly #unwhole = new Map<string, OutcomeChain>()
  readonly #doubled = new Map<string, DoubledOutcome>()
  #size: number
  /** The number of leaves without a half-written batch. */
  #whole: number

  private constructor(db: RootDatabase<Value, Key>, size: number) {
    this.#db = db
    this.#size = size
    this.#whole = size
    this.#facts = {
      get: (name) => this.#values.get(['fact', keyOf(name)]) as TreeFact | undefined,
      set: (name, fact) => this.#values.put(['fact', keyOf(name)], fact),
    }
  }

  /** Opens the index in `dir` and brings it up to `head`. */
  static async open(dir: string, storage: Pick<LogStorage, 'read'>, head: TreeHead): Promise<LeafIndex> {
    // As on the bus: with other settings, lmdb does not report a commit that failed, or never closes after it.
    const db = open<Value, Key>({ path: dir, overlappingSync: false, eventTurnBatching: false })
    const index = new LeafIndex(db, 0)
    if (!(await index.#fits(storage, head))) db.clearSync()
    index.#size = index.#meta()?.size ?? 0
    index.#recallOutcomes()
    let leaves: Uint8Array[] = []
    for await (const { bytes } of entriesOf(storage, index.#size, head.size)) {
      leaves.push(bytes)
      if (leaves.length < caughtUpAtOnce) continue
      await index.#apply(leaves)
      leaves = []
    }
    await index.add(leaves, head)
    return index
  }

  /**
   * Adds the newest leaves, in order. They can be found when this resolves. Rejects if they cannot be written. One call at a time. Decisions may
   * be made on the same thread, so another thread commits, and they get their turn in between.
   */
  async add(leaves: readonly Uint8Array[], head: TreeHead): Promise<void> {
    const atOnce = Math.max(fewestAtOnce, Math.ceil(leaves.length / mostTurns))
    let at = 0
    for (; leaves.length - at > atOnce; at += atOnce) {
      await this.#apply(leaves.slice(at, at + atOnce))
      await nextTurn()
    }
    await this.#apply(leaves.slice(at), head)
    this.#whole = this.#size
  }

  /** How many leaves the index has, without a batch that it is being given. */
  get size(): number {
    return this.#whole
  }

  /** The index of the leaf with this hash. */
  indexOf(leaf: Uint8Array): number | undefined {
    return this.#db.get(['leaf', encodeBase64url(leaf)]) as number | undefined
  }

  /** The first leaf of this event id. Other bytes with the same id have a later leaf of their own, and no effect. */
  indexOfEvent(eventId: string): number | undefined {
    return this.#db.get(['event', keyOf(eventId)]) as number | undefined
  }

  /** The leaf that brought a thing into being: the first to claim it, regardless of the time that it states. */
  beginningOf(thing: string): number | undefined {
    return this.#values.get(['beginning', keyOf(thing)]) as number | undefined
  }

  /** Whether the leaf lost its place to another writer's event: it is in the log, but no reader gives it an effect (DESIGN §5). */
  isVoid(index: number): boolean {
    return this.#has(['void', index])
  }

  /** The newest leaves that a query matches, by the time that their events state. */
  find(query: LeafQuery, limit: number): LeavesFound {
    return findLeaves((term, before, from) => this.#newestOf(term, before, from), query, limit)
  }

  #newestOf(term: Term, { at, index }: LeafPlace, from: number): LeafPlace | undefined {
    const hash = keyOf(term)
    const start: Key = ['term', hash, at, index - 1]
    for (const key of this.#db.getKeys({ start, end: ['term', hash, from, -1], reverse: true, limit: 1 }))
      return { at: Number(key[2]), index: Number(key[3]) }
    return undefined
  }

  /** How often each agent got a yes and a no, by the hour; both ends included. */
  activity(from: number, to: number): ActivityHour[] {
    return hoursBetween(this.#db, from, to)
  }

  /** What one agent did and was denied, by the hour, newest first; both ends included. At most `mostTouchedRead` rows. */
  touched(agent: string, from: number, to: number): TouchedHour[] {
    return touchedBetween(this.#db, agent, { from, to })
  }

  /** The denials of the most denied agents between two times. */
  denied(from: number, to: number): DeniedRows {
    return deniedBetween(this.#db, { from, to })
  }

  /** What an ALLOW took, and how it ended. */
  callOf(decisionId: string): CallRecord | undefined {
    return this.#db.get(['call', keyOf(decisionId)]) as CallRecord | undefined
  }

  /**
   * Whether evidence itself has a finding with this name as its subject. Mentions by others do not count, not even where a finding repeats
   * them: an agent that names its task after the place of a forgery, or a stolen service that erases a value "about" a gap, must not keep
   * evidence silent about it.
   */
  isTold(name: string): boolean {
    return this.#db.doesExist(['told', keyOf(name)])
  }

  /** All leaves with this id, also those of the transaction under way, in any order. */
  #leavesNaming(id: string): { key: Key; value: Value }[] {
    const hash = keyOf(termOf('id', id))
    const end: Key = ['term', hash, Number.MAX_SAFE_INTEGER, 0]
    return [...this.#db.getRange({ start: ['term', hash, 0, 0], end }), ...(this.#named.get(hash)?.values() ?? [])]
  }

  /** The chain of the events that the log has from this producer (`source`). */
  chainOf(source: string): Chain {
    return (this.#values.get(['chain', keyOf(source)]) as Chain | undefined) ?? { whole: 0, ahead: [] }
  }

  /** The chain of the outcomes that the log has from an enforcement point's instance, by `chainName`. */
  outcomeChainOf(name: string): Chain {
    return (this.#values.get(['outcomes', keyOf(name)]) as OutcomeChain | undefined) ?? { whole: 0, ahead: [] }
  }

  /** The chains of outcomes that lack something. */
  get unwholeOutcomes(): Iterable<OutcomeChain> {
    return this.#unwhole.values()
  }

  /** Numbers that an instance reused for a second outcome. */
  get doubledOutcomes(): Iterable<DoubledOutcome> {
    return this.#doubled.values()
  }

  /** The hash of the first outcome that the log has under this number of an instance. */
  outcomeUnder(name: string, sequence: number): string | undefined {
    return this.#values.get(['outcome', keyOf(`${name} ${sequence}`)]) as string | undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db.close()
  }

  /** One transaction. Its values are gathered here, and written and committed in another thread: that takes milliseconds. */
  async #apply(leaves: readonly Uint8Array[], head?: TreeHead): Promise<void> {
    const begin = this.#size
    try {
      for (const [at, bytes] of leaves.entries()) this.#put(begin + at, leafHash(bytes), leafFacts(bytes))
      if (head) this.#mark(head)
      const committed = this.#db.batch(() => {
        for (const [key, value] of this.#changed.values()) this.#db.put(key, value)
      })
      committed.catch(({ commitError }: { commitError?: Promise<unknown> }) => {
        commitError?.catch(() => undefined) // lmdb rejects a second promise with the reason, which has no other observer
      })
      if (!(await committed)) throw new Error('the commit was refused')
    } finally {
      this.#changed.clear()
      this.#named.clear()
    }
    this.#size += leaves.length
  }

  #has(key: Key): boolean {
    return this.#changed.has(key.join(' ')) || this.#db.doesExist(key)
  }

  #put(index: number, hash: Uint8Array, facts: LeafFacts): void {
    const { eventId, type, source, numbered, outcome, tells, at, terms, lineage, claim, answers, touches } = facts
    const leaf: Key = ['leaf', encodeBase64url(hash)]
    // A start after a crash may add a leaf again that the index has already.
    if (!this.#has(leaf)) {
      if (claim !== undefined) this.#race(index, claim)
      if (!this.isVoid(index)) countAnswers(this.#values, at, answers)
      if (!this.isVoid(index)) for (const touch of touches) countTouch(this.#values, at, touch)
      if (outcome !== undefined && !this.isVoid(index)) this.#chainOutcome(outcome)
      if (numbered !== undefined) this.#values.put(['chain', keyOf(source)], extended(this.chainOf(source), numbered))
    }
    this.#first(leaf, index)
    this.#first(['event', keyOf(eventId)], index)
    if (tells !== undefined) this.#first(['told', keyOf(tells)], index)
    const inherited = new Set(lineage.from.flatMap((thing) => this.#passedBy(thing)))
    for (const term of new Set([...inherited, ...indexTerms(type, terms).map(keyOf)]))
      this.#values.put(['term', term, at, index], type)
    if (lineage.begins !== undefined && !this.isVoid(index)) this.#first(['beginning', keyOf(lineage.begins)], index)
    // An event that claims a thing that already exists has no effect, here as everywhere.
    if (lineage.begins !== undefined && this.beginningOf(lineage.begins) === index) this.#pass(facts, inherited)
  }

  #chainOutcome({ point, instance, decisionId, numbered, answered }: OutcomeLink): void {
    const name = chainName({ point, instance })
    const { sequence, hash } = numbered
    const under = this.outcomeUnder(name, sequence)
    if (under === hash) return
    if (under !== undefined) {
      const doubled = { point, instance, decisionId, sequence, hash }
      this.#values.put(['doubled', keyOf(hash)], doubled)
      this.#doubled.set(hash, doubled)
    } else this.#values.put(['outcome', keyOf(`${name} ${sequence}`)], hash)
    const before = this.outcomeChainOf(name)
    const known = 'last' in before ? (before as OutcomeChain).last : undefined
    const own: OutcomeChain['last'] = answered === undefined ? [sequence, hash] : [answered, undefined]
    const last = known !== undefined && known[0] >= own[0] ? known : own
    const chain: OutcomeChain = { ...extended(before, numbered), point, instance, last }
    this.#values.put(['outcomes', keyOf(name)], chain)
    if (isWhole(chain)) this.#unwhole.delete(name)
    else this.#unwhole.set(name, chain)
  }

  #recallOutcomes(): void {
    for (const { value } of this.#db.getRange({ start: ['outcomes', ''], end: ['outcomes', '~'] })) {
      const chain = value as OutcomeChain
      if (!isWhole(chain)) this.#unwhole.set(chainName(chain), chain)
    }
    for (const { value } of this.#db.getRange({ start: ['doubled', ''], end: ['doubled', '~'] })) {
      const doubled = value as DoubledOutcome
      this.#doubled.set(doubled.hash, doubled)
    }
  }

  #race(index: number, claim: Claim): void {
    const key: Key = ['order', keyOf(claim.name)]
    const { isLost, order } = race(claim, this.#values.get(key) as Order | undefined, this.#facts)
    if (order !== undefined) this.#values.put(key, order)
    if (isLost) this.#values.put(['void', index], 1)
  }

  #pass({ lineage: { passes } }: LeafFacts, inherited: ReadonlySet<string>): void {
    if (passes === undefined) return
    const more = passes.inherited ? inherited : []
    const passed = new Set([...this.#passedBy(passes.of), ...more, ...passes.terms.map(keyOf)])
    this.#values.put(['passed', keyOf(passes.of)], [...passed])
    if (passes.inherited) this.#passToEarlier(passes.of, passed)
  }

  #passedBy(thing: string): string[] {
    return (this.#values.get(['passed', keyOf(thing)]) as string[] | undefined) ?? []
  }

  /** Topics enter the log in parallel: an action under a grant may come before the grant, which names the approvers. */
  #passToEarlier(thing: string, passed: Iterable<string>): void {
    for (const { key, value } of this.#leavesNaming(thing))
      for (const term of passed) this.#values.put(['term', term, Number(key[2]), Number(key[3])], value)
  }

  #first(key: Key, index: number): void {
    if (!this.#has(key)) this.#values.put(key, index)
  }

  #mark({ size, root }: TreeHead): void {
    this.#values.put(['meta'], { format, size, root: encodeBase64url(root) })
  }

  #meta(): Meta | undefined {
    return this.#db.get(['meta']) as Meta | undefined
  }

  /** Whether this is an index of the beginning of this very log. */
  async #fits(storage: Pick<LogStorage, 'read'>, head: TreeHead): Promise<boolean> {
    const meta = this.#meta()
    if (meta === undefined || meta.format !== format || meta.size > head.size) return false
    const root = await rootFromTiles(storage.read, meta.size).catch(() => undefined)
    return root !== undefined && sameHash(root, Buffer.from(meta.root, 'base64url'))
  }
}
