import { effectOf, verifyStepUp } from '@bailiwick/approval-statement'
import type { Trust } from '@bailiwick/credentials'
import { jcsHash } from '@bailiwick/credentials'
import type { Projection } from '@bailiwick/instance'
import { isUsed, lineageOf, type RequestRecord, type SpendView, type Tree } from '@bailiwick/projection'
import { ByRegistry } from './by-registry.ts'

/** A further approval by enough of the right humans: for one action of one grant, by its digest. */
export interface StepUp {
  requestId: string
  actionDigest: string
  /** Both in ms since the epoch. */
  approvedAt: number
  notAfter: number
  approverIds: readonly string[]
  /** Until when this yes lets a lapsed task go on, in ms. Absent: the yes is only to the one action. */
  taskUntil?: number
}

/**
 * The step-ups of each grant whose signatures this PDP verified itself (V3): approval's word alone is not enough. They are judged by the
 * registry as of their approval.
 */
export class StepUps {
  readonly #projection: Projection
  readonly #trust: Trust
  /** By approval, since an approval does not change. */
  readonly #verified: ByRegistry<StepUp | undefined>

  constructor(projection: Projection, trust: Trust) {
    this.#projection = projection
    this.#trust = trust
    this.#verified = new ByRegistry(projection)
  }

  async of(tree: Tree): Promise<readonly StepUp[]> {
    const records = this.#projection.ledger.requests.stepUpsOf(tree.id)
    const found = await Promise.all(records.map((record) => this.#once(tree, record)))
    return found.filter((stepUp) => stepUp !== undefined)
  }

  /** Reads once the topic's current events are folded, so that an agent that has just learned of an approval need not ask again. */
  async newest(tree: Tree, deadlineMs: number): Promise<readonly StepUp[]> {
    await this.#projection.readToEnds(['approvals.v1'], deadlineMs).catch(() => undefined)
    return this.of(tree)
  }

  /** The step-up that lets this very action happen now and has not been used yet (V10). */
  find(
    { tree, stepUps }: { tree: Tree; stepUps: readonly StepUp[] },
    actionDigest: string,
    view: SpendView,
    now: number,
  ): StepUp | undefined {
    return stepUps.find(
      (each) => each.actionDigest === actionDigest && !isUsed(view, each.requestId) && this.stands(tree, each, now),
    )
  }

  /** Whether the step-up is in time and counts. */
  stands(tree: Tree, stepUp: StepUp, now: number): boolean {
    return now < stepUp.notAfter && this.counts(tree, stepUp)
  }

  /** Whether the step-up lets a lapsed task go on, has not expired, and counts. A yes to one action reopens nothing (V3). */
  reopens(tree: Tree, stepUp: StepUp, now: number): boolean {
    return stepUp.taskUntil !== undefined && now < stepUp.taskUntil && this.counts(tree, stepUp)
  }

  /**
   * Whether the approval was neither taken back nor given by an approver who was revoked since the grant was made. A task that this
   * step-up reopened also depends on this (V7).
   */
  counts(tree: Tree, { requestId, approverIds }: Pick<StepUp, 'requestId' | 'approverIds'>): boolean {
    const { requests, revocations } = this.#projection.ledger
    return (
      requests.requests.get(requestId)?.state === 'approved' &&
      revocations.kills(lineageOf(tree, approverIds)) === undefined
    )
  }

  #once(tree: Tree, record: RequestRecord): Promise<StepUp | undefined> {
    const { approved, approvedAt = 0 } = record
    if (approved === undefined) return Promise.resolve(undefined)
    return this.#verified.of(approved, approvedAt, () => this.#verify(tree, record).catch(() => undefined))
  }

  async #verify(
    { grant }: Tree,
    { id, received, approved, approvedAt = 0 }: RequestRecord,
  ): Promise<StepUp | undefined> {
    if (approved?.statement.kind !== 'step_up') return undefined
    const { statement, statement_hash, assertions } = approved
    if (statement.request_id !== id || jcsHash(statement) !== statement_hash) return undefined
    // `shown` if and only if the request came with arguments.
    const bringsArguments = received?.kind === 'step_up' && received.arguments !== undefined
    if ((statement.arguments === 'shown') !== bringsArguments) return undefined
    const { registry } = this.#projection.ledger
    const view = registry.view(approvedAt)
    const verified = await verifyStepUp({
      statement,
      assertions,
      grant,
      registry: view,
      trust: this.#trust,
      at: approvedAt,
    })
    if (!verified.ok) return undefined
    const { action_digest: actionDigest, not_after } = statement
    const { approverIds } = verified
    const effect = effectOf(statement)
    const reopens = effect.kind === 'task' ? { taskUntil: Date.parse(effect.until) } : {}
    return { requestId: id, actionDigest, approvedAt, notAfter: Date.parse(not_after), approverIds, ...reopens }
  }
}
