import { amountsSchema, type BudgetAmounts } from '@bailiwick/contracts'
import { claimsInProcess } from '@bailiwick/credentials'
import { type DecisionStanding, within } from './tree-spend.ts'

/** The place that an event claims. `name` is the tree, request or topic whose versions it counts with. */
export interface Claim {
  name: string
  eventId: string
  version: number
  /** The event that it was evaluated after, if it says so (decision 11). */
  after: string | undefined
  /** What it does to a decision of its tree. The state of that decision may refuse it. */
  step?: Step | undefined
}

/**
 * A call's name and a proof serve once in a tree. A step-up and a round that ended with questions serve once too, unless their ALLOW is
 * taken back.
 */
type Step =
  | {
      opens: string
      reserved: BudgetAmounts
      call: string
      stepUp: string | undefined
      proof: string | undefined
      /** The round that it goes on with. */
      from: string | undefined
    }
  | { ends: string; as: Exclude<DecisionStanding, 'open'>; released: BudgetAmounts | undefined; isContinued: boolean }

/** What a tree knows about a decision, and which decision used a name that serves once. */
export type TreeFact = { is: DecisionStanding; reserved: BudgetAmounts; isContinued?: true } | { by: string }

/** The known facts of a tree, by name, from the events that count. The caller keeps them. */
export interface TreeFacts {
  get(name: string): TreeFact | undefined
  set(name: string, fact: TreeFact): unknown
}

/** One order so far: its newest event that counts, and the later events that lost a place. */
export interface Order {
  version: number
  head: string
  lost: readonly { id: string; version: number }[]
}

/** A batch has 128 events, and several writers may each lose one at once. */
const mostLost = 1024

/** What an event of a log claims. undefined for events that need no version, and for the registry, whose changes people sign. */
export function claimOf(event: Readonly<Record<string, unknown>>): Claim | undefined {
  const topic = /^urn:bailiwick:schema:([^:]+):/.exec(String(event.dataschema))?.[1]
  const { id, version, partitionkey, data } = event
  if (topic === undefined || topic === 'registry.v1' || !Number.isSafeInteger(version)) return undefined
  const name = topic === 'revocations.v1' ? topic : `${topic} ${partitionkey}`
  const after: unknown = Object(data).after
  return {
    ...{ name, eventId: String(id), version: version as number, after: typeof after === 'string' ? after : undefined },
    step: topic === 'decisions.v1' ? stepOf(String(event.type), Object(data)) : undefined,
  }
}

const endings: Readonly<Record<string, Exclude<DecisionStanding, 'open'>>> = {
  'decision.abandoned': 'abandoned',
  'outcome.reported': 'settled',
  'outcome.missing': 'missing',
}

function stepOf(type: string, data: Readonly<Record<string, unknown>>): Step | undefined {
  const { decision_id, call_id: call, step_up: stepUp, proof_id: proof, reserved, released, continues } = data
  if (typeof decision_id !== 'string') return undefined
  const as = endings[type]
  if (as !== undefined)
    return {
      ...{ ends: decision_id, as, released: as === 'settled' ? amountsSchema.safeParse(released).data : undefined },
      isContinued: as === 'settled' && data.status === 'continued' && !claimsInProcess(String(data.outcome)),
    }
  const taken = amountsSchema.safeParse(reserved).data
  if (type !== 'decision.allowed' || typeof call !== 'string' || taken === undefined) return undefined
  const from = continues === undefined ? undefined : String(Object(continues).decision_id)
  return { opens: decision_id, reserved: taken, call, stepUp: textIn(stepUp), proof: textIn(proof), from }
}

const textIn = (value: unknown) => (typeof value === 'string' ? value : undefined)

/**
 * Whether an event lost its place to another writer and is void for every reader (DESIGN §5), and the order to judge the next event by.
 * It serves readers that have every event of an order but not its state. It judges by versions, and on `decisions.v1` also by the standing
 * of the event's decision. Where an event was left out or made up, nothing counts as lost, because that must not hide what happened.
 * So an event that its decision's state refuses takes no place: otherwise a thief of a decision point's key could make the next honest
 * event look void.
 */
export function race(
  claim: Claim,
  order: Order | undefined,
  facts: TreeFacts,
): { isLost: boolean; order: Order | undefined } {
  const { eventId: id, version, after } = claim
  if (order === undefined) {
    if (version !== 1 || !step(claim, facts)) return { isLost: false, order: undefined }
    return { isLost: false, order: { version, head: id, lost: [] } }
  }
  const isLost = version <= order.version || order.lost.some((each) => each.id === after)
  if (isLost) return { isLost, order: { ...order, lost: [...order.lost, { id, version }].slice(-mostLost) } }
  const isNext = version === order.version + 1 && (after === undefined || after === order.head)
  // Behind an event that lost an older place, every further event is lost by its own version.
  const lost = order.lost.filter((each) => each.version >= version)
  return { isLost, order: isNext && step(claim, facts) ? { version, head: id, lost } : order }
}

/** Takes the step if the tree's state allows it, by the rules of `change`. false: refused, and nothing changed. */
function step({ name, step }: Claim, facts: TreeFacts): boolean {
  if (step === undefined) return true
  const of = (what: string, id: string) => `${name} ${what} ${id}`
  const decision = of('decision', 'opens' in step ? step.opens : step.ends)
  const known = facts.get(decision)
  if ('opens' in step) {
    const { reserved, stepUp, proof, from } = step
    const call = of('call', step.call)
    if (known !== undefined || facts.get(call) !== undefined) return false
    if (stepUp !== undefined && isUsed(of('step-up', stepUp), facts)) return false
    if (proof !== undefined && facts.get(of('proof', proof)) !== undefined) return false
    if (from !== undefined && !isOpenRound(of('decision', from), of('round', from), facts)) return false
    facts.set(decision, { is: 'open', reserved })
    if (from !== undefined) facts.set(of('round', from), { by: decision })
    facts.set(call, { by: decision })
    if (stepUp !== undefined) facts.set(of('step-up', stepUp), { by: decision })
    if (proof !== undefined) facts.set(of('proof', proof), { by: decision })
    return true
  }
  if (known === undefined || !('is' in known)) return false
  const { as, released } = step
  const isLate = known.is === 'missing' && as === 'settled'
  if (known.is !== 'open' && !isLate) return false
  if (released !== undefined && !isLate && !within(released, known.reserved)) return false
  facts.set(decision, { ...known, is: as, ...(step.isContinued ? { isContinued: true } : {}) })
  return true
}

function isOpenRound(decision: string, round: string, facts: TreeFacts): boolean {
  const known = facts.get(decision)
  const isAsked = known !== undefined && 'is' in known && known.is === 'settled' && known.isContinued === true
  return isAsked && !isUsed(round, facts)
}

function isUsed(name: string, facts: TreeFacts): boolean {
  const used = facts.get(name)
  const by = used !== undefined && 'by' in used ? facts.get(used.by) : undefined
  return by !== undefined && 'is' in by && by.is !== 'abandoned'
}
