import { type DenialReason, ServiceError } from '@bailiwick/errors'
import type { AdvanceOutcome, Take, TreeState } from '@bailiwick/grant-store'
import type { Clocked, Judges, Logged, Recording, State } from '../ports.ts'
import { authorityOf, treeStateOf } from './store-amounts.ts'

export type OrderPorts = Pick<Clocked, 'clock'> &
  Logged &
  Pick<State, 'projection'> &
  Pick<Judges, 'proofs'> &
  Pick<Recording, 'grantStore'>

/** The part of the grant store that a decision takes. */
export type Wanted = Pick<Take, 'takeId' | 'amounts' | 'labels'>

/** A store that stays ahead for this long has counted events of a writer that died (DESIGN §5). */
const aheadMs = 1000

/** The grant store's part: settles races between instances before they cost a write to the log. It is never the authority. */
export class StoreOrder {
  readonly #ports: OrderPorts
  readonly #root: string
  #version: number
  #stale = false
  /** One answer that others are ahead, or one call without an answer, applies to the whole batch, which does not wait again. */
  #ahead = false
  #away = false
  /** Taken by this batch. The projection has none of it yet. */
  readonly #taken = new Map<string, bigint>()

  constructor(ports: OrderPorts, root: string, version: number) {
    this.#ports = ports
    this.#root = root
    this.#version = version
  }

  /** `again`: the store knows of an event that the projection has not folded. A store that is away decides nothing. */
  async take(take: Wanted, to: number): Promise<'taken' | 'again' | DenialReason> {
    const answer = await this.#take(take, to)
    if (answer === 'taken')
      for (const [resource, amount] of Object.entries(take.amounts))
        this.#taken.set(resource, (this.#taken.get(resource) ?? 0n) + amount)
    return answer
  }

  async #take(take: Wanted, to: number): Promise<'taken' | 'again' | DenialReason> {
    if (this.#away) return 'taken'
    if (this.#ahead) return 'again'
    const { takeId, amounts, labels } = take
    const { grantStore, clock, projection } = this.#ports
    const advance = () =>
      grantStore.advance(this.#root, { takeId, from: this.#version, to, amounts, labels, now: clock.now() })
    try {
      let answer = await advance()
      if (answer.outcome === 'absent' || answer.outcome === 'behind') answer = await this.#refilled(answer, advance)
      switch (answer.outcome) {
        case 'advanced':
          this.#version = to
          return 'taken'
        case 'exhausted':
          // The log shows enough, so another call holds it. If that call spends it, the log will say so.
          return answer.resource.startsWith('uses:') ? 'uses_reserved' : 'budget_reserved'
        case 'expired':
          return 'grant_expired'
        case 'ahead': {
          const { version } = answer
          this.#ahead = true
          const folded = () =>
            (projection.ledger.decisions.trees.get(this.#root)?.version ?? 0) >= version ? true : undefined
          if (!(await projection.until(folded, aheadMs))) await grantStore.reset(this.#root, this.#state())
          return 'again'
        }
        default:
          return 'taken'
      }
    } catch {
      this.#away = true
      return 'taken' // the log alone decides
    }
  }

  async #refilled({ outcome }: AdvanceOutcome, advance: () => Promise<AdvanceOutcome>): Promise<AdvanceOutcome> {
    const { grantStore, proofs } = this.#ports
    if (outcome === 'absent') await proofs.readopt()
    await grantStore.refill(this.#root, this.#stateInBatch())
    return advance()
  }

  /** The tree as the log will have it, once everything that this batch took so far counts. */
  #stateInBatch(): TreeState {
    const state = this.#state()
    const left = Object.entries(state.left).map(([resource, amount]): [string, bigint] => {
      const remaining = amount - (this.#taken.get(resource) ?? 0n)
      return [resource, remaining > 0n ? remaining : 0n]
    })
    return { ...state, version: this.#version, left: Object.fromEntries(left) }
  }

  /** The tree as the log has it. */
  #state(): TreeState {
    const { grants, decisions } = this.#ports.projection.ledger
    const tree = grants.trees.get(this.#root)
    const authority = tree && authorityOf(tree.grant)
    if (!tree || !authority) throw new ServiceError('grant_unknown')
    return treeStateOf(authority, decisions.trees.get(this.#root), Date.parse(tree.grant.not_after))
  }

  /** Amounts taken for void events must not stay taken: the next take resets the tree from the log. */
  forget(): void {
    if (this.#stale) return
    this.#stale = true
    const { grantStore, logger } = this.#ports
    Promise.resolve()
      .then(() => grantStore.reset(this.#root, this.#state()))
      .catch(() => logger.warn({ tree: this.#root }, 'the grant store could not be reset'))
  }
}
