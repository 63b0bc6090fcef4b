import type { RuleView } from '@bailiwick/approval-statement'
import { type Authority, parseAuthority } from '@bailiwick/authority'
import { type Approver, agentIdOf } from '@bailiwick/contracts'
import { mayBeReviewed, type RequestRecord } from '@bailiwick/projection'
import type { Approval } from '../context.ts'
import type { AccessAsk } from '../requests.ts'
import { Ordered, type Place } from './ordered.ts'
import { type RiskLevel, riskOf } from './risk.ts'
import { type Answerers, answerersOf, waitsFor } from './waits-for.ts'
import { signersOf } from './words.ts'

export interface RequestEntry extends Place {
  open: boolean
  /** ms since the epoch. */
  expiresAt: number
  /** Of an open request. */
  risk: RiskLevel | undefined
  answerers: Answerers | undefined
  /** Keys that relate it to other requests: its task, and what it does. Empty unless it is an access request. */
  alike: string[]
}

interface Asked {
  id: string
  /** ms since the epoch. */
  at: number
}

/** Changes of the registry that move requests in the inbox, or let other people answer them. One of an agent concerns its own alone. */
const reorders = /^(tool-server|rule)\./

/** How many earlier requests of one kind are remembered for comparison. */
const mostAlike = 50

/** Open requests in inbox order (riskiest, then newest), and answered ones newest first, updated as they change. */
export class RequestIndex implements Disposable {
  readonly open = new Ordered<RequestEntry>()
  readonly answered = new Ordered<RequestEntry>()
  readonly #approval: Approval
  readonly #entries = new Map<string, RequestEntry>()
  /** Oldest first, by when they were asked: the order in which this instance read them means nothing. */
  readonly #alike = new Map<string, Asked[]>()
  /** The keys of `#alike`, each as the text that entries hold. */
  readonly #keys = new Map<string, string>()
  #view: RuleView | undefined
  readonly #stop: () => void

  constructor(approval: Approval) {
    this.#approval = approval
    const { projection } = approval
    this.#takeAll()
    this.#stop = projection.onFact(({ topic, verdict, event }) => {
      if (verdict !== 'counts') return
      if (topic === 'registry.v1') {
        this.#view = undefined
        if (reorders.test(event.type)) this.#takeAll()
        else if (event.type.startsWith('agent.')) this.#takeOf(event.subject)
      }
      if (topic !== 'approvals.v1' || !('request_id' in event.data)) return
      const record = projection.ledger.requests.requests.get(event.data.request_id as string)
      if (record) this.#take(record)
    })
  }

  /** Also runs when the labels of tools change, since the inbox is ordered by them, and when other people may have to answer. */
  #takeAll(): void {
    for (const record of this.#approval.projection.ledger.requests.requests.values()) this.#take(record)
  }

  /** `subject`: of the registry's event, `agent <id>`. */
  #takeOf(subject: string): void {
    const { requests } = this.#approval.projection.ledger.requests
    const own = [...this.open.after(undefined)].flatMap(({ id }) => requests.get(id) ?? [])
    for (const record of own) {
      const { received } = record
      if (received && received.kind !== 'registry' && subject === `agent ${agentIdOf(received.agent)}`)
        this.#take(record)
    }
  }

  /** The rules, and what they match by, until the registry changes. */
  #rules(): RuleView {
    if (this.#view === undefined) {
      const { rules, agents, toolServers } = this.#approval.projection.ledger.registry.view()
      this.#view = { rules, agents, toolServers }
    }
    return this.#view
  }

  #take(record: RequestRecord): void {
    const { registry, requests } = this.#approval.projection.ledger
    const known = this.#entries.get(record.id)
    // It changed in nothing that orders it: what its list shows is read when it is shown.
    if (known && !known.open && record.state !== 'pending' && known.at === record.changedAt) return
    if (known) this.#listOf(known).remove(known)
    const { received, state, id } = record
    if (received === undefined) return // this reader started after it, and knows nothing about it
    const open = state === 'pending'
    const risk = open ? riskOf(registry, received) : undefined
    const entry: RequestEntry = {
      id,
      open,
      expiresAt: Date.parse(received.expires_at),
      risk: risk?.level,
      answerers: open ? answerersOf(this.#approval, received, () => this.#rules()) : undefined,
      rank: risk?.score ?? 0,
      at: open ? (record.receivedAt ?? 0) : record.changedAt,
      alike: known?.alike ?? (received.kind === 'access' ? this.#shared(alikeKeys(received)) : []),
    }
    this.#entries.set(id, entry)
    this.#listOf(entry).add(entry)
    if (!known) for (const key of entry.alike) this.#relate(key, { id, at: record.receivedAt ?? 0 })
    // The ledger forgets what ended long ago, and so does this index.
    for (const entry of this.answered.oldestFirst()) {
      const kept = requests.requests.get(entry.id)
      if (kept === undefined) this.#forget(entry)
      else if (!mayBeReviewed(kept)) break // else the ledger keeps it longer than those after it
    }
  }

  /** One text for all requests that have this key: most agents ask for the same again. */
  #shared(keys: readonly string[]): string[] {
    return keys.map((key) => {
      const known = this.#keys.get(key)
      if (known === undefined) this.#keys.set(key, key)
      return known ?? key
    })
  }

  #listOf({ open }: RequestEntry): Ordered<RequestEntry> {
    return open ? this.open : this.answered
  }

  #relate(key: string, asked: Asked): void {
    const all = this.#alike.get(key) ?? []
    all.splice(all.findLastIndex(({ at }) => at <= asked.at) + 1, 0, asked)
    if (all.length > mostAlike) all.shift()
    this.#alike.set(key, all)
  }

  #forget(entry: RequestEntry): void {
    this.answered.remove(entry)
    this.#entries.delete(entry.id)
    for (const key of entry.alike) {
      const left = this.#alike.get(key)?.filter(({ id }) => id !== entry.id) ?? []
      if (left.length === 0) {
        this.#alike.delete(key)
        this.#keys.delete(key)
      } else this.#alike.set(key, left)
    }
  }

  /** Whether an open request waits for this person. */
  waitsFor({ id, answerers }: RequestEntry, me: Approver): boolean {
    const record = this.#approval.projection.ledger.requests.requests.get(id)
    if (record === undefined || answerers === undefined) return false
    return waitsFor(answerers, me, record.endorsements.length === 0 ? [] : signersOf(this.#approval, record))
  }

  /** How many open requests wait for this person, and for anyone. */
  waiting(me: Approver): { mine: number; all: number } {
    const now = this.#approval.clock.now()
    let [mine, all] = [0, 0]
    for (const entry of this.open.after(undefined)) {
      if (entry.expiresAt <= now) continue
      all++
      if (this.waitsFor(entry, me)) mine++
    }
    return { mine, all }
  }

  /** Other requests of this agent for the same task, newest first. */
  ofSameTask(ask: AccessAsk): RequestRecord[] {
    return this.#others(ask, 0)
  }

  /** This agent's other requests to do the same things under any task name, newest first. */
  ofSameKind(ask: AccessAsk): RequestRecord[] {
    return this.#others(ask, 1)
  }

  #others(ask: AccessAsk, key: 0 | 1): RequestRecord[] {
    const { requests } = this.#approval.projection.ledger.requests
    const all = this.#alike.get(this.#entries.get(ask.request_id)?.alike[key] ?? '') ?? []
    return all.toReversed().flatMap(({ id }) => (id === ask.request_id ? [] : (requests.get(id) ?? [])))
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}

const taskKey = ({ agent }: AccessAsk, { task }: Authority) => JSON.stringify(['task', agentIdOf(agent), task])

function kindKey({ agent }: AccessAsk, { permissions }: Authority): string {
  const done = permissions.flatMap(({ actions, resource: { type, id, id_prefix } }) =>
    actions.map((action) => JSON.stringify([action, type, id ?? null, id_prefix ?? null])),
  )
  return JSON.stringify(['kind', agentIdOf(agent), ...new Set(done.sort())])
}

function alikeKeys(ask: AccessAsk): string[] {
  const parsed = parseAuthority(ask.authority)
  return parsed.ok ? [taskKey(ask, parsed.authority), kindKey(ask, parsed.authority)] : []
}
