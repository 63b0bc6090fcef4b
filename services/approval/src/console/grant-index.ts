import type { Approval } from '../context.ts'
import { Ordered, type Place } from './ordered.ts'

/** Grants, newest first, indexed as they are created. */
export class GrantIndex implements Disposable {
  readonly list = new Ordered<Place>()
  readonly #known = new Set<string>()
  readonly #approval: Approval
  readonly #stop: () => void

  constructor(approval: Approval) {
    this.#approval = approval
    const { projection } = approval
    for (const id of projection.ledger.grants.trees.keys()) this.#take(id)
    this.#stop = projection.onFact(({ topic, verdict, event }) => {
      if (topic === 'grants.v1' && verdict === 'counts') this.#take(event.partitionkey)
    })
  }

  #take(id: string): void {
    const { trees } = this.#approval.projection.ledger.grants
    const tree = trees.get(id)
    if (!tree || this.#known.has(id)) return
    this.#known.add(id)
    this.list.add({ rank: 0, at: tree.createdAt, id })
    for (const oldest of this.list.oldestFirst()) {
      if (trees.has(oldest.id)) break
      this.list.remove(oldest)
      this.#known.delete(oldest.id)
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
