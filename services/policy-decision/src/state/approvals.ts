import { verifyApproval, verifyGrantContent } from '@bailiwick/approval-statement'
import type { Trust } from '@bailiwick/credentials'
import type { Projection } from '@bailiwick/instance'
import type { Fact, Tree } from '@bailiwick/projection'
import { ByRegistry } from './by-registry.ts'

export type VerifiedApproval = { ok: true; approverIds: string[] } | { ok: false; detail: string }

/**
 * The humans' signatures over each grant, verified by this PDP itself (V3). Verification begins when the grant is folded and is awaited
 * when the grant is used. It uses the registry as of the grant's creation, so people who join or leave later change nothing.
 */
export class Approvals {
  readonly #projection: Projection
  readonly #trust: Trust
  /** By grant, not by id: a grant that changes (rebound) is another object and is verified again. */
  readonly #verified: ByRegistry<VerifiedApproval>

  constructor(projection: Projection, trust: Trust) {
    this.#projection = projection
    this.#trust = trust
    this.#verified = new ByRegistry(projection)
  }

  /** Begins to verify each grant as it arrives, so that the first action need not wait for it. */
  onFact({ topic, verdict, event }: Fact): void {
    if (topic !== 'grants.v1' || verdict !== 'counts' || !('grant' in event.data)) return
    const tree = this.#projection.ledger.grants.trees.get(event.partitionkey)
    if (tree) void this.of(tree)
  }

  of(tree: Tree): Promise<VerifiedApproval> {
    return this.#verified.of(tree.grant, tree.createdAt, () =>
      this.#verify(tree).catch((): VerifiedApproval => ({ ok: false, detail: 'could not be verified' })),
    )
  }

  async #verify({ grant, createdAt }: Tree): Promise<VerifiedApproval> {
    const content = verifyGrantContent(grant)
    if (!content.ok) return content
    const { registry } = this.#projection.ledger
    return verifyApproval({
      statement: grant.statement,
      assertions: grant.assertions,
      registry: registry.view(createdAt),
      trust: this.#trust,
      at: createdAt,
    })
  }
}
