import { ofOlderLogs, verifyApproval } from '@bailiwick/approval-statement'
import type { DecodedEvent, Grant, TopicName } from '@bailiwick/contracts'
import { KeyRing, type Trust } from '@bailiwick/credentials'
import type { ErrorCode } from '@bailiwick/errors'
import { judgeByAnchor, Ledger, longestChain, type SpendView, tentative } from '@bailiwick/projection'
import type { VerifierKey } from '@bailiwick/tlog'
import { type LogEntry, readLog } from './read-log.ts'
import { signedLeaf } from './signed-leaf.ts'
import type { LogSource } from './source.ts'
import type { LogFault } from './verify-log.ts'

export interface RecordedLogOptions {
  source: LogSource
  vkey: VerifierKey
  trust: Trust
  progress(pass: string): { onProgress?: (entries: number, size: number) => void }
}

/** One version of what the registry, or the issuer, said about something. */
interface Version<T> {
  /** ms since the epoch */
  at: number
  /** undefined: retired */
  value: T | undefined
}

const day = 24 * 3600 * 1000

/**
 * Reads an evidence log again: every entry as the checkpoint commits to it, every event signed by a key that traces back to the trust
 * anchor, and only events that count. Unverifiable entries are left out and counted. Two passes are needed, because the log may contain the
 * basis of a decision after the decision.
 */
export class RecordedLog {
  readonly #options: RecordedLogOptions
  readonly #keyRing: KeyRing
  readonly #ledger: Ledger
  readonly #entities = new Map<string, Version<unknown>[]>()
  readonly #grants = new Map<string, { first: Grant; at: number; isOneGrant: boolean }>()
  readonly #delegations = new Map<string, { agent: string; parent: string | undefined }>()
  readonly #approvers = new Map<string, Promise<number | undefined>>()
  /** Entries that are not events of this installation's services. */
  readonly refused: { index: number; code: ErrorCode }[] = []
  fault: LogFault | undefined
  size = 0

  private constructor(options: RecordedLogOptions) {
    this.#options = { ...options, source: keepsCheckpoint(options.source) }
    this.#keyRing = new KeyRing(options.trust)
    this.#ledger = new Ledger({ judge: judgeByAnchor(this.#keyRing), base: false })
  }

  /** Reads the basis of decisions. Throws `config_invalid` if there is no log; a fault of the log is in `fault`. */
  static async open(options: RecordedLogOptions): Promise<RecordedLog> {
    const log = new RecordedLog(options)
    await log.#pass(['registry.v1', 'grants.v1'], 'what decisions stand on: ', (event, topic) =>
      log.#keep(event, topic),
    )
    return log
  }

  /**
   * Every event of `decisions.v1` that counts, in the log's order, which is that of each tree; `before`: for an ALLOW, the state of its
   * tree on which it was evaluated.
   */
  async decisions(take: (event: DecodedEvent<'decisions.v1'>, before: SpendView | undefined) => Promise<void>) {
    let taken = 0
    if (this.fault === undefined)
      await this.#pass(['decisions.v1'], 'decisions: ', async (event, topic) => {
        const { trees } = this.#ledger.decisions
        const before = event.type === 'decision.allowed' ? tentative(trees.get(event.partitionkey)) : undefined
        if ((await this.#ledger.apply(topic, event)) !== 'counts') return
        await take(event as DecodedEvent<'decisions.v1'>, before)
        // After a day, a decision no longer affects what counts.
        if (++taken % 1000 === 0) this.#ledger.decisions.forget(Date.parse(event.time) - day, () => true)
      })
  }

  /** The one value that an entity had from `from` to `to`, in ms; undefined if it had several, or none. */
  entity<T>(type: string, id: string, { from, to }: { from: number; to: number }): T | undefined {
    const versions = this.#entities.get(`${type} ${id}`) ?? []
    const first = versions.findLastIndex(({ at }) => at <= from)
    const next = versions[first + 1]
    return next !== undefined && next.at <= to ? undefined : (versions[first]?.value as T | undefined)
  }

  /** Whether nothing was recorded about an entity until then. */
  isUnheardOf(type: string, id: string, to: number): boolean {
    return (this.#entities.get(`${type} ${id}`) ?? []).every(({ at }) => at > to)
  }

  /** undefined if it is unknown, or if more than its holder changed. */
  grant(id: string): Grant | undefined {
    const known = this.#grants.get(id)
    return known?.isOneGrant ? known.first : undefined
  }

  /** How many people approved it, with their signatures verified again; undefined if those are not valid. */
  async approversOf(id: string): Promise<number | undefined> {
    const known = this.#grants.get(id)
    if (known === undefined) return undefined
    const counted = this.#approvers.get(id) ?? this.#verify(known)
    this.#approvers.set(id, counted)
    return counted
  }

  async #verify({ first: { statement, assertions }, at }: { first: Grant; at: number }): Promise<number | undefined> {
    const registry = this.#ledger.registry.view(at)
    const verified = await verifyApproval({
      statement,
      assertions,
      registry,
      trust: this.#options.trust,
      at,
      ...ofOlderLogs,
    })
    return verified.ok ? verified.approverIds.length : undefined
  }

  /** The agents from below the grant's agent to the end of this chain, inclusive; undefined: unknown. */
  chain(delegation: string): string[] | undefined {
    const agents: string[] = []
    for (let id: string | undefined = delegation; id !== undefined; ) {
      const link = this.#delegations.get(id)
      if (link === undefined || agents.length >= longestChain) return undefined
      agents.unshift(link.agent)
      id = link.parent
    }
    return agents
  }

  async #keep(event: DecodedEvent, topic: TopicName): Promise<void> {
    if ((await this.#ledger.apply(topic, event)) !== 'counts') return
    const at = Date.parse(event.time)
    if (topic === 'registry.v1') {
      const { data } = event as DecodedEvent<'registry.v1'>
      const key = `${data.entity.type} ${data.entity.id}`
      const value = 'value' in data ? data.value : undefined
      this.#entities.set(key, [...(this.#entities.get(key) ?? []), { at, value }])
      if (event.type === 'service-key.retired') this.#keyRing.retire(data.entity.id, at)
      return
    }
    const { data } = event as DecodedEvent<'grants.v1'>
    if ('delegation' in data) this.#delegations.set(data.delegation_id, { agent: data.agent, parent: data.parent })
    else if ('grant' in data) {
      const { grant } = data
      const known = this.#grants.get(grant.id)
      const isOneGrant = known === undefined || (known.isOneGrant && isAlike(known.first, grant))
      this.#grants.set(grant.id, { first: known?.first ?? grant, at: known?.at ?? at, isOneGrant })
    }
  }

  async #pass(
    wanted: readonly TopicName[],
    doing: string,
    take: (event: DecodedEvent, topic: TopicName) => Promise<void>,
  ): Promise<void> {
    const { source, vkey, progress } = this.#options
    const report = await readLog({ source, vkey, ...progress(doing) }, (entry) => this.#entry(entry, wanted, take))
    if (!report.ok) this.fault = report
    else this.size = report.checkpoint.size
  }

  async #entry(
    { index, bytes }: LogEntry,
    wanted: readonly TopicName[],
    take: (event: DecodedEvent, topic: TopicName) => Promise<void>,
  ): Promise<void> {
    const read = signedLeaf(this.#keyRing, bytes, wanted)
    if (typeof read === 'string') this.refused.push({ index, code: read })
    else if (read !== undefined) await take(read.event, read.topic)
  }
}

/** Compares the members that policies read. */
function isAlike(a: Grant, b: Grant): boolean {
  return a.mode === b.mode && a.not_after === b.not_after && a.authority.task === b.authority.task
}

/** The log at the time when it was first read, however it grows. */
function keepsCheckpoint(source: LogSource): LogSource {
  let checkpoint: Promise<Uint8Array | undefined> | undefined
  return {
    ...source,
    read: (path) => {
      if (path !== 'checkpoint') return source.read(path)
      checkpoint ??= source.read(path)
      return checkpoint
    },
  }
}
