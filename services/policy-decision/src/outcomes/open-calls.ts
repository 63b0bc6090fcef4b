import { setImmediate as turn } from 'node:timers/promises'
import type { OpenCallsAnswer } from '@bailiwick/contracts'
import { type DenialReason, ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { type AllowRecord, type Fact, judgeLife, type Tree } from '@bailiwick/projection'
import type { CallingPoint } from '../http/callers.ts'
import type { Clocked, State } from '../ports.ts'
import { reasonOf } from '../steps/alive.ts'

export interface AskedOpenCalls {
  decisions: readonly string[]
  waitMs: number
}

/** How often a waiting question looks whether the state is still fresh, and whether an unknown call is known by now. */
const tickMs = 200
/** Facts that arrive together are judged together. */
const settleMs = 20
/** Calls that are judged in one turn: 10,000 at once would hold up decisions. */
const perTurn = 500

type Ports = Pick<State, 'projection' | 'trust'> & Pick<Clocked, 'clock'>
type Judged = { record: AllowRecord; tree: Tree | undefined }

/**
 * Answers enforcement points whose calls go on: which of them must end, because the grant behind it was withdrawn or is over (V7). The
 * judgement is the one that a decision uses, except that an expired credential ends no call that it began: the credential was needed to
 * ask.
 */
export class OpenCalls {
  readonly #ports: Ports
  #change = Promise.withResolvers<void>()

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** Wakes the waiting questions for facts that can end a call. */
  onFact({ topic, event }: Pick<Fact, 'topic' | 'event'>): void {
    if (topic !== 'revocations.v1' && topic !== 'registry.v1' && !event.type.startsWith('grant.')) return
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }

  /**
   * Answers as soon as a call must end, or after `waitMs`. Throws `state_stale`: then no call is known to stand (V8). A call that this
   * decision point has not read of yet, or that belongs to another start of a point, is unknown.
   */
  async ask(
    point: Pick<CallingPoint, 'id' | 'instance'>,
    { decisions, waitMs }: AskedOpenCalls,
    isGone: () => boolean = () => false,
  ): Promise<OpenCallsAnswer> {
    const { monotonic } = this.#ports.clock
    const until = monotonic() + waitMs
    for (;;) {
      // Taken before the judgement: what changes during it is judged again.
      const change = this.#change.promise
      const answer = await this.#judge(point, decisions)
      const isOver = () => monotonic() >= until || isGone()
      if (answer.over.length > 0 || isOver()) return answer
      let changed = false
      void change.then(() => {
        changed = true
      })
      do {
        await raced(change, Math.max(0, Math.min(tickMs, until - monotonic())))
        this.#requireFresh()
      } while (!changed && answer.unknown.length === 0 && !isOver())
      if (!changed && answer.unknown.length === 0) return answer
      if (changed) await after(settleMs)
    }
  }

  #requireFresh(): void {
    if (!this.#ports.projection.fresh()) throw new ServiceError('state_stale')
  }

  async #judge(point: Pick<CallingPoint, 'id' | 'instance'>, decisions: readonly string[]): Promise<OpenCallsAnswer> {
    const answer: OpenCallsAnswer = { over: [], unknown: [] }
    /** Calls of one credential live and die together. */
    const known = new Map<string, DenialReason | undefined>()
    for (const [n, decision_id] of decisions.entries()) {
      if (n % perTurn === perTurn - 1) await turn()
      const found = this.#find(point, decision_id)
      if (found === undefined) {
        answer.unknown.push(decision_id)
        continue
      }
      const reason = this.#endOf(found, known)
      if (reason !== undefined) answer.over.push({ decision_id, reason })
    }
    this.#requireFresh()
    return answer
  }

  #find(point: Pick<CallingPoint, 'id' | 'instance'>, decisionId: string): Judged | undefined {
    const { decisions, grants } = this.#ports.projection.ledger
    const root = decisions.rootOf(decisionId)
    const record = root === undefined ? undefined : decisions.trees.get(root)?.allows.get(decisionId)
    if (root === undefined || record?.enforcementPoint !== point.id || record.instance !== point.instance)
      return undefined
    return { record, tree: grants.trees.get(root) }
  }

  #endOf({ record, tree }: Judged, known: Map<string, DenialReason | undefined>): DenialReason | undefined {
    if (record.standing === 'abandoned') return 'call_abandoned'
    if (tree === undefined) return 'grant_unknown'
    // The grant moved to another key since: what was begun with the former key ends with it.
    if (tree.movedAt >= record.at) return 'grant_agent_mismatch'
    const delegationId = record.chain?.at(-1)?.id
    const name = `${tree.id} ${delegationId} ${record.credential}`
    if (known.has(name)) return known.get(name)
    const reason = this.#endOfHolder(tree, delegationId, record.credential)
    known.set(name, reason)
    return reason
  }

  #endOfHolder(tree: Tree, delegationId: string | undefined, credential: string): DenialReason | undefined {
    const { projection, trust, clock } = this.#ports
    if (projection.ledger.revocations.find('credential', credential)) return 'credential_revoked'
    const asked = { tree, delegationId, isActing: true, installation: trust.installation, now: clock.now() }
    const life = judgeLife(projection.ledger, asked)
    return life.ok ? undefined : reasonOf(projection.ledger, tree, life.end)
  }
}

/** Resolves with the promise, or after `ms`; leaves no timer behind. */
async function raced(promise: Promise<void>, ms: number): Promise<void> {
  const enough = new AbortController()
  await Promise.race([promise, after(ms, enough.signal).catch(() => undefined)])
  enough.abort()
}
