import { formatMicros, parseMicros } from '@bailiwick/authority'

/** What one agent spent on one resource, in one task. */
export interface Spent {
  agent: string
  task: string
  grant: string
  /** The people who approved the task. */
  approvers: readonly string[]
  /** The id of the tool or model. */
  resource: string
  calls: number
  /** By currency. */
  cost: Readonly<Record<string, string>>
}

/** An ALLOW, with the members that spending needs. */
export interface Reserving {
  decision_id?: string
  actor?: { agent?: string; sub_agent?: string; task?: string; grant_id?: string }
  action?: { resource?: { id?: string } }
  reserved?: Amounts
}

/** Money that decisions reserved and outcomes did not give back. An ALLOW that reserves no money is not counted. */
export class Spending {
  readonly #totals = new Map<string, Total>()
  /** By decision: those without an outcome so far, and those that were taken back before any caller got them. */
  readonly #open = new Map<string, Reservation>()
  readonly #takenBack = new Map<string, Reservation>()

  reserved({ decision_id = '', actor = {}, action, reserved }: Reserving): void {
    const cost = microsOf(reserved)
    if (cost.size === 0) return
    const { agent = '', sub_agent = agent, task = '', grant_id = '' } = actor
    const resource = action?.resource?.id ?? ''
    const name = JSON.stringify([grant_id, sub_agent, resource])
    const total = this.#totals.get(name) ?? {
      agent: sub_agent,
      task,
      grant: grant_id,
      resource,
      calls: 0,
      cost: new Map(),
    }
    this.#totals.set(name, total)
    const { calls = 0, egress_bytes = 0 } = reserved ?? {}
    const reservation = { total, cost, calls, egress_bytes }
    add(reservation, 1)
    this.#open.set(decision_id, reservation)
  }

  /** There is an outcome, whether it counts or not: if the decision was taken back, a caller got it nevertheless. */
  answered(decisionId: string): void {
    const reservation = this.#takenBack.get(decisionId)
    if (reservation === undefined) return
    this.#takenBack.delete(decisionId)
    this.#open.set(decisionId, reservation)
    add(reservation, 1)
  }

  /**
   * The decision has its outcome. One that gives back more than was reserved gives nothing back, as in every ledger: a stolen decision point
   * could hide what other calls cost.
   */
  settled(decisionId: string, released?: Amounts): void {
    this.answered(decisionId)
    const reservation = this.#open.get(decisionId)
    if (reservation === undefined || !isPart(released, reservation)) return
    this.#open.delete(decisionId)
    const { total } = reservation
    total.calls -= released?.calls ?? 0
    for (const [currency, micros] of microsOf(released)) more(total.cost, currency, -micros)
  }

  /** The decision was taken back before any caller got it. */
  takenBack(decisionId: string): void {
    const reservation = this.#open.get(decisionId)
    if (reservation === undefined) return
    this.#open.delete(decisionId)
    this.#takenBack.set(decisionId, reservation)
    add(reservation, -1)
  }

  /** The largest amounts first. Without those that spent nothing in the end. */
  told(approversOf: (grant: string) => readonly string[]): Spent[] {
    const spent = [...this.#totals.values()].filter(({ cost }) => mostOf(cost) > 0n)
    return spent
      .sort((a, b) => Number(mostOf(b.cost) - mostOf(a.cost)))
      .map(({ cost, ...total }) => ({ ...total, approvers: approversOf(total.grant), cost: spelled(cost) }))
  }
}

interface Amounts {
  calls?: number
  egress_bytes?: number
  cost?: Record<string, string>
}

type Micros = Map<string, bigint>

interface Total extends Omit<Spent, 'approvers' | 'cost'> {
  cost: Micros
}

interface Reservation {
  total: Total
  cost: Micros
  calls: number
  egress_bytes: number
}

/** Whether no amount is more than what was reserved. */
function isPart(amounts: Amounts | undefined, { cost, calls, egress_bytes }: Reservation): boolean {
  if ((amounts?.calls ?? 0) > calls || (amounts?.egress_bytes ?? 0) > egress_bytes) return false
  return [...microsOf(amounts)].every(([currency, micros]) => micros <= (cost.get(currency) ?? 0n))
}

function add({ total, cost }: Reservation, sign: 1 | -1): void {
  total.calls += sign
  for (const [currency, micros] of cost) more(total.cost, currency, sign === 1 ? micros : -micros)
}

function more(to: Micros, currency: string, micros: bigint): void {
  to.set(currency, (to.get(currency) ?? 0n) + micros)
}

/** The amounts that are more than nothing. */
function microsOf(amounts: Amounts | undefined): Micros {
  const all = Object.entries(amounts?.cost ?? {}).map(([name, amount]) => [name, parseMicros(amount) ?? 0n] as const)
  return new Map(all.filter(([, micros]) => micros > 0n))
}

const mostOf = (cost: Micros): bigint =>
  [...cost.values()].reduce((most, micros) => (micros > most ? micros : most), 0n)

const spelled = (cost: Micros): Record<string, string> =>
  Object.fromEntries(
    [...cost].filter(([, micros]) => micros > 0n).map(([name, micros]) => [name, formatMicros(micros)]),
  )

/** By currency, what was reserved, less what came back. No less than nothing: the audit finds an outcome that gives back too much. */
export function moneySpent(reserved: Record<string, string>, released: Record<string, string>): Record<string, string> {
  const micros = (amount = '0') => parseMicros(amount) ?? 0n
  return Object.fromEntries(
    Object.entries(reserved).map(([currency, amount]) => {
      const left = micros(amount) - micros(released[currency])
      return [currency, formatMicros(left < 0n ? 0n : left)]
    }),
  )
}
