import { agentIdOf, type DecodedEvent } from '@bailiwick/contracts'
import type { Projection } from '@bailiwick/instance'
import type { RequestRecord } from '@bailiwick/projection'

/**
 * Finds remembered requests by agent, so that one agent's asks cost no other agent anything. It follows the log. A request that
 * the ledger has forgotten is not found.
 */
export class OwnRequests {
  readonly #projection: Projection
  /** In the order of receipt. */
  readonly #byAgent = new Map<string, Set<string>>()
  /** The decision that a request answers, by decision; only requests that answer one. */
  readonly #byDenial = new Map<string, string>()

  constructor(projection: Projection) {
    this.#projection = projection
    for (const record of projection.ledger.requests.requests.values()) this.#add(record.id, record.received)
    projection.onFact(({ topic, verdict, event }) => {
      if (topic !== 'approvals.v1' || verdict !== 'counts') return
      const { type, data } = event as DecodedEvent<'approvals.v1'>
      if (type === 'request.received') this.#add(data.request_id, data)
    })
  }

  #add(id: string, received: RequestRecord['received']): void {
    if (received === undefined || received.kind === 'registry') return
    const agent = agentIdOf(received.agent)
    const own = this.#byAgent.get(agent) ?? new Set()
    this.#byAgent.set(agent, own.add(id))
    if (received.denial) this.#byDenial.set(received.denial.decision_id, id)
  }

  /** The agent's remembered requests, oldest first. */
  of(agentId: string): RequestRecord[] {
    const { requests } = this.#projection.ledger.requests
    const own = this.#byAgent.get(agentId)
    const records: RequestRecord[] = []
    for (const id of own ?? []) {
      const record = requests.get(id)
      if (record) records.push(record)
    }
    return records
  }

  /** Drops what the ledger has forgotten. */
  forget(): void {
    const { requests } = this.#projection.ledger.requests
    for (const [agent, own] of this.#byAgent) {
      for (const id of own) if (!requests.has(id)) own.delete(id)
      if (own.size === 0) this.#byAgent.delete(agent)
    }
    for (const [decision, id] of this.#byDenial) if (!requests.has(id)) this.#byDenial.delete(decision)
  }

  /** The request that answers this denial. */
  answering(decisionId: string): RequestRecord | undefined {
    const id = this.#byDenial.get(decisionId)
    return id === undefined ? undefined : this.#projection.ledger.requests.requests.get(id)
  }
}
