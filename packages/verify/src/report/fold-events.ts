import { claimsInProcess } from '@bailiwick/credentials'
import { type Claim, claimOf, type Order, race, type TreeFact } from '@bailiwick/projection'
import { type Reserving, Spending, type Spent } from './spending.ts'

/** The data of a report, folded from the leaves of the log between two times, ms since the epoch, both included. */
export class FoldedEvents {
  readonly from: number
  readonly to: number
  /** Per hour since the epoch; a withdrawn decision counts as neither. */
  readonly hours = new Map<number, { allowed: number; denied: number }>()
  readonly denials = new Map<string, number>()
  readonly answers = { approved: 0, denied: 0, expired: 0, cancelled: 0 }
  readonly approvalSeconds: number[] = []
  readonly findings = new Map<string, number>()
  revocations = 0
  allowed = 0
  /** ALLOWs of the period that were withdrawn before any caller got them. */
  takenBack = 0
  missing = 0
  /** Actions that a proxy carried out, and of which no enforcement point saw what happened. */
  notObserved = 0
  /** Outcomes of points in the process of the agent that they decide for. */
  inProcess = 0
  gapNumbers = 0
  credentials = 0
  longestCredential: Life | undefined
  longestGrant: Life | undefined
  readonly #asked = new Map<string, number>()
  readonly #stopsAsked = new Map<string, number>()
  readonly #stops: { cause: string; at: number }[] = []
  /** By decision: those without an outcome so far, and those that were withdrawn before any caller got them. */
  readonly #open = new Map<string, Allowed>()
  readonly #abandoned = new Map<string, Allowed>()
  readonly #orders = new Map<string, Order>()
  readonly #facts = new Map<string, TreeFact>()
  readonly #alive = new Map<string, Grant>()
  readonly #revoked: { kind: string; target: string; version: number }[] = []
  /** By passkey. */
  readonly #approvers = new Map<string, string>()
  readonly #standing = new Set<string>()
  readonly #revokedAt = new Map<string, number>()
  readonly #lastAllow = new Map<string, number>()
  readonly #spending = new Spending()
  /** By grant: the passkeys that signed it. */
  readonly #signed = new Map<string, readonly string[]>()

  constructor(from: number, to: number) {
    this.from = from
    this.to = to
  }

  /** Adds one leaf of a verified log: its bytes are an event that a certified service signed. */
  add(bytes: Uint8Array): void {
    const event = JSON.parse(Buffer.from(bytes).toString()) as Leaf
    const at = Date.parse(event.time)
    // Later events are not part of the period; earlier ones show what was open when it began.
    if (at > this.to) return
    const place = this.#placeOf(claimOf({ ...event }))
    if (place === 'lost') return
    const data = event.data ?? {}
    this.#follow(event, data, at)
    this.#spend(event.type, data, place === 'taken')
    if (at >= this.from) this.#count(event, data, at)
  }

  /** The money of the period's calls: reserved, and not given back by its end. */
  get spent(): Spent[] {
    return this.#spending.told((grant) => [
      ...new Set((this.#signed.get(grant) ?? []).map((passkey) => this.#approvers.get(passkey) ?? 'an unknown person')),
    ])
  }

  /** Grants that were alive at the end of the period. */
  get alive(): number {
    const isAlive = (grant: Grant) => Date.parse(grant.not_after) > this.to && !this.#isRevoked(grant)
    return [...this.#alive.values()].filter(isAlive).length
  }

  /** Grants and credentials whose stated life exceeds what any rule may allow. */
  get standing(): readonly string[] {
    return [...this.#standing]
  }

  /** Decisions whose outcome was due by the end of the period, and neither arrived nor was reported missing. */
  get unreconciled(): number {
    return [...this.#open.values()].filter(({ due }) => due <= this.to).length
  }

  /** ms from a grant's revocation to the last ALLOW under it that a caller received; 0 if there was none after it. */
  get latestAllowAfterRevocation(): number {
    for (const allowed of this.#open.values()) this.#answered(allowed)
    const after = [...this.#revokedAt].map(([grant, at]) => (this.#lastAllow.get(grant) ?? 0) - at)
    return after.reduce((most, ms) => Math.max(most, ms), 0)
  }

  /** From a person's click to the revocation; topics enter the log side by side, so the click may come after it. */
  get revocationSeconds(): number[] {
    return this.#stops.flatMap(({ cause, at }) => {
      const asked = this.#stopsAsked.get(cause)
      return asked === undefined ? [] : [(at - asked) / 1000]
    })
  }

  /** An event that lost its place to another writer's has no effect for any reader. `none`: it may be made up, or the one before it is missing. */
  #placeOf(claim: Claim | undefined): 'taken' | 'lost' | 'none' {
    if (claim === undefined) return 'taken'
    const { isLost, order } = race(claim, this.#orders.get(claim.name), this.#facts)
    if (order !== undefined) this.#orders.set(claim.name, order)
    if (isLost) return 'lost'
    return order?.head === claim.eventId ? 'taken' : 'none'
  }

  /**
   * Revoked by name, for good; revoked by kind if it was approved before the revocation (DESIGN §7.3). The revocation may precede the grant
   * in the log.
   */
  #isRevoked({ id, agent = '', as_of = 0, statement, assertions = [] }: Grant): boolean {
    const approvers = assertions.map(({ credential_id }) => this.#approvers.get(credential_id))
    return this.#revoked.some(({ kind, target, version }) => {
      if (kind === 'grant') return id === target
      if (version <= as_of) return false
      if (kind === 'agent') return agent === target || agent.startsWith(`${target}/`)
      if (kind === 'approver') return approvers.includes(target)
      if (kind === 'tool-server') return Object.hasOwn(statement?.manifests ?? {}, target)
      return kind === 'all'
    })
  }

  #follow({ type, version = 0 }: Leaf, data: Data, at: number): void {
    switch (type) {
      case 'request.received':
        this.#asked.set(data.request_id ?? '', at)
        break
      case 'request.withdrawn':
      case 'request.cancelled':
        this.#stopsAsked.set(data.request_id ?? '', at)
        break
      case 'revocation.requested':
        this.#stopsAsked.set(data.revocation_id ?? '', at)
        break
      case 'grant.created':
        if (data.grant === undefined) break
        this.#alive.set(data.grant.id, data.grant)
        this.#signed.set(
          data.grant.id,
          (data.grant.assertions ?? []).map(({ credential_id }) => credential_id),
        )
        break
      case 'approver.registered':
      case 'approver.changed':
        for (const { credential_id } of data.value?.credentials ?? [])
          this.#approvers.set(credential_id, data.entity?.id ?? '')
        break
      case 'grant.completed':
      case 'grant.expired':
        this.#alive.delete(data.grant?.id ?? '')
        break
      case 'revocation.declared':
        this.#revoked.push({ kind: data.kind ?? '', target: data.target ?? '', version })
        if (data.kind === 'grant' && !this.#revokedAt.has(data.target ?? '')) this.#revokedAt.set(data.target ?? '', at)
        break
      case 'decision.allowed':
        this.#open.set(data.decision_id ?? '', {
          due: Date.parse(data.outcome_due ?? ''),
          grant: data.actor?.grant_id ?? '',
          at,
        })
        if (at >= this.from) this.#spending.reserved(data)
        break
      case 'outcome.reported':
      case 'outcome.missing':
        this.#end(data.decision_id ?? '', true)
        break
      case 'decision.abandoned':
        this.#end(data.decision_id ?? '', false)
        break
    }
  }

  /** Only an event that took its place gives something back, as in every ledger: others must not hide what calls cost. */
  #spend(type: string, { decision_id = '', released }: Data, counts: boolean): void {
    if (type === 'outcome.reported' || type === 'outcome.missing') {
      if (counts) this.#spending.settled(decision_id, released)
      else this.#spending.answered(decision_id)
    }
    if (type === 'decision.abandoned' && counts) this.#spending.takenBack(decision_id)
  }

  /** A withdrawn ALLOW that has an outcome nevertheless was answered, even if the decision point says that it was not. */
  #end(decisionId: string, wasAnswered: boolean): void {
    const allowed = this.#open.get(decisionId) ?? this.#abandoned.get(decisionId)
    if (allowed === undefined) return
    this.#open.delete(decisionId)
    if (wasAnswered) this.#answered(allowed)
    const wasTakenBack = this.#abandoned.delete(decisionId)
    if (!wasAnswered) this.#abandoned.set(decisionId, allowed)
    if (allowed.at < this.from || wasTakenBack === !wasAnswered) return
    const back = wasAnswered ? -1 : 1
    this.takenBack += back
    this.allowed -= back
    this.#inHour(allowed.at).allowed -= back
  }

  #answered({ grant, at }: Allowed): void {
    if (at < this.from) return
    this.#lastAllow.set(grant, Math.max(at, this.#lastAllow.get(grant) ?? 0))
  }

  #count({ id, type }: Leaf, data: Data, at: number): void {
    switch (type) {
      case 'request.approved': {
        this.answers.approved++
        const asked = this.#asked.get(data.request_id ?? '')
        if (asked !== undefined) this.approvalSeconds.push((at - asked) / 1000)
        break
      }
      case 'request.denied':
        this.answers.denied++
        break
      case 'request.expired':
        this.answers.expired++
        break
      case 'request.cancelled':
        this.answers.cancelled++
        break
      case 'grant.created':
        this.#live('longestGrant', data.grant?.id ?? id, data.grant?.not_before, data.grant?.not_after, mostGrantMs)
        break
      case 'credential.intended':
        this.credentials++
        this.#live('longestCredential', data.credential_id ?? id, data.issued_at, data.expires_at, mostCredentialMs)
        break
      case 'revocation.declared': {
        this.revocations++
        this.#stops.push({ cause: data.cause ?? data.revocation_id ?? '', at })
        break
      }
      case 'decision.allowed':
        this.allowed++
        this.#inHour(at).allowed++
        break
      case 'decision.denied':
        this.#deny(data.reason ?? 'unknown', 1, at)
        break
      case 'denials.summarised':
        for (const { reason, count } of data.denials ?? []) this.#deny(reason, count, at)
        break
      case 'outcome.missing':
        this.missing++
        break
      case 'outcome.reported':
        if (data.status === 'not_observed') this.notObserved++
        if (claimsInProcess(data.outcome ?? '')) this.inProcess++
        break
      case 'gap.detected':
        this.gapNumbers += (data.to ?? 0) - (data.from ?? 0) + 1
        this.#find(type)
        break
      case 'event.refused':
      case 'event.parked':
      case 'outcome.unrelayed':
      case 'outcome.skipped':
      case 'outcome.contradicted':
      case 'policy-files.changed':
        this.#find(type)
        break
    }
  }

  #live(which: 'longestGrant' | 'longestCredential', id: string, from = '', to = '', most: number): void {
    const span = Date.parse(to) - Date.parse(from)
    // A life without a valid end is longer than any other.
    const ms = Number.isNaN(span) ? Number.POSITIVE_INFINITY : span
    if (ms > most) this.#standing.add(id)
    if (ms > (this[which]?.ms ?? -1)) this[which] = { id, ms }
  }

  #deny(reason: string, count: number, at: number): void {
    this.denials.set(reason, (this.denials.get(reason) ?? 0) + count)
    this.#inHour(at).denied += count
  }

  #inHour(at: number): { allowed: number; denied: number } {
    const hour = Math.floor(at / hourMs)
    const counts = this.hours.get(hour) ?? { allowed: 0, denied: 0 }
    this.hours.set(hour, counts)
    return counts
  }

  #find(type: string): void {
    this.findings.set(type, (this.findings.get(type) ?? 0) + 1)
  }
}

export const hourMs = 3_600_000
/** The longest that the schema of rules and the issuer's settings allow. */
const mostGrantMs = 8 * hourMs
const mostCredentialMs = 10 * 60_000

export interface Life {
  id: string
  ms: number
}

interface Leaf {
  id: string
  type: string
  time: string
  version?: number
  data?: Data
}

interface Grant {
  id: string
  not_before: string
  not_after: string
  agent?: string
  as_of?: number
  statement?: { manifests?: object }
  assertions?: { credential_id: string }[]
}

interface Data extends Reserving {
  request_id?: string
  credential_id?: string
  outcome_due?: string
  outcome?: string
  issued_at?: string
  expires_at?: string
  released?: NonNullable<Reserving['reserved']>
  grant?: Grant
  entity?: { id: string }
  value?: { credentials?: { credential_id: string }[] }
  kind?: string
  target?: string
  cause?: string
  revocation_id?: string
  reason?: string
  status?: string
  denials?: { reason: string; count: number }[]
  from?: number
  to?: number
}

interface Allowed {
  /** ms since the epoch */
  due: number
  grant: string
  at: number
}
