import { formatMicros, parseMicros } from '@bailiwick/authority'
import type { BudgetAmounts, EnforcementPoint } from '@bailiwick/contracts'
import { claimedEgress, type Outcome, outcomeHash, verifyingKey, verifyOutcome } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { type AllowRecord, instanceName, unsentOf } from '@bailiwick/projection'
import { storeAmounts } from '../order/store-amounts.ts'
import type { TreeQueues } from '../order/tree-queue.ts'
import type { Clocked, Recording, State } from '../ports.ts'
import type { OutcomesInHand } from './outcomes-in-hand.ts'
import type { RefusedOutcomes } from './refused-outcomes.ts'

type Ports = Pick<State, 'projection' | 'trust'> & Pick<Recording, 'grantStore'>

const nothing = { calls: 0, egress_bytes: 0, cost: {} }
const foldWaitMs = 1000

/**
 * Relays an outcome that an enforcement point signed: one per decision, once, and one under each number of an instance (V10). Gives something
 * back only to a point that is registered as one that may release, and that does not stand in the agent's own process (DESIGN §7.4 step 7):
 * the reservation for a signed `not_executed`, and the money that an effect did not cost for a signed `cost`. Resolves once the outcome
 * counts. The same outcome sent again gets the same answer and changes nothing. A different outcome of the same decision is
 * `outcome_mismatch`; a different outcome under the same number is `outcome_sequence_reused`. Both are reported to `refused`.
 */
export async function reportOutcome(
  ports: Ports,
  queues: TreeQueues,
  point: EnforcementPoint,
  jws: string,
  refused: Pick<RefusedOutcomes, 'tell'>,
  inHand: OutcomesInHand,
): Promise<void> {
  const key = verifyingKey('outcome', point.outcome_jwk)
  if (!key) throw new ServiceError('key_unknown', 'the outcome key is none')
  const { installation } = ports.trust
  const verified = verifyOutcome({ outcome: jws, key, installation, enforcementPoint: point.id })
  if (!verified.ok) throw new ServiceError(verified.code, verified.detail)
  const { decision_id, instance, sequence } = verified.value
  const find = () => findAllow(ports, decision_id)
  // The decision is nearly always known. The outcome then enters its queue in this turn, together with all of its list.
  const found = find() ?? (await ports.projection.until(find, foldWaitMs))
  if (!found) throw new ServiceError('decision_unknown')
  const names = [decision_id, ...(instance === undefined ? [] : [`${point.id} ${instance} ${sequence}`])]
  await inHand.once(names, outcomeHash(jws), () => relay({ ports, queues, point, refused }, jws, verified.value, found))
}

interface Relaying {
  ports: Ports
  queues: TreeQueues
  point: EnforcementPoint
  refused: Pick<RefusedOutcomes, 'tell'>
}

async function relay(
  { ports, queues, point, refused }: Relaying,
  jws: string,
  { decision_id, call_id, action_digest, instance, status, sequence, cost, enforced_by }: Outcome,
  { root, record }: Found,
): Promise<void> {
  if (record.enforcementPoint !== point.id || record.callId !== call_id)
    throw new ServiceError('outcome_mismatch', 'the decision is another one')
  const hash = outcomeHash(jws)
  const contradicts = (code: 'outcome_mismatch' | 'outcome_sequence_reused', detail: string) => {
    refused.tell({ decision_id, grant_id: root, enforcement_point: point.id, code, outcome: jws })
    return new ServiceError(code, detail)
  }
  /**
   * An outcome that does not count must not look accepted, so a point that contradicts itself gets an error. Compares the signed
   * content, since several signatures of the same content may verify.
   */
  const another = (known: AllowRecord['outcome']) =>
    known === hash ? undefined : contradicts('outcome_mismatch', 'the decision has another outcome')
  if (record.instance !== instance)
    throw contradicts('outcome_mismatch', 'the decision belongs to another instance of its enforcement point')
  // Every outcome of an enforcement point that does not know of salts also fails here. Its operator must be able to see the cause.
  if (record.actionHash !== action_digest)
    throw new ServiceError('outcome_mismatch', 'the action is not named by the salted hash that its permit gives')
  if (record.standing === 'settled') {
    const contradicted = another(record.outcome)
    if (contradicted) throw contradicted
    return
  }
  if (instance !== undefined && ports.projection.ledger.decisions.outcomeNumbers.has(instanceName(record), sequence))
    throw contradicts('outcome_sequence_reused', 'the instance gave this number to another outcome')
  // An approval of one action is used up by its ALLOW and never given back.
  const perAction = ports.projection.ledger.grants.trees.get(root)?.grant.mode === 'per_action'
  // A point in the agent's own process would give the agent back what it spent.
  const mayRelease = point.may_release && enforced_by === undefined && !perAction
  const releasable = mayRelease ? releasedBy({ status, cost }, record.reserved) : nothing
  let released: BudgetAmounts = nothing
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let version = 0
  let isOpen = false
  queues.add(root, {
    plan(view) {
      const known = view.allows.get(decision_id)
      const standing = known?.standing
      if (standing !== 'open' && standing !== 'missing') {
        const contradicted =
          standing === 'settled'
            ? another(known?.outcome)
            : contradicts('outcome_mismatch', 'the decision was taken back')
        if (contradicted) reject(contradicted)
        else resolve()
        return undefined
      }
      version = view.version + 1
      isOpen = standing === 'open'
      released = isOpen ? releasable : nothing
      return {
        draft: {
          type: 'outcome.reported',
          subject: decision_id,
          data: {
            decision_id,
            grant_id: root,
            enforcement_point: point.id,
            sequence,
            status,
            released,
            outcome: jws,
          },
        },
      }
    },
    recorded() {
      const unsent = isOpen ? Math.max(0, unsentOf(record.reserved, claimedEgress(jws), false)) : 0
      const giveBack = {
        ...(released === nothing ? {} : storeAmounts(released, record.permission, BigInt(released.calls))),
        egress_bytes: BigInt(unsent),
      }
      ports.grantStore.settle(root, { takeId: decision_id, to: version, giveBack }).catch(() => undefined)
      resolve()
    },
    refused: (reason) => reject(new ServiceError('state_contended', reason)),
    unsure: reject,
  })
  await promise
}

/**
 * What an outcome leaves of its reservation: everything if nothing was executed; the money that it did not cost if it is over and states a
 * cost in the reserved currency, no higher than what was reserved. An effect that is `unknown` or `not_observed` may go on costing: it
 * leaves nothing.
 */
function releasedBy({ status, cost }: Pick<Outcome, 'status' | 'cost'>, reserved: BudgetAmounts): BudgetAmounts {
  if (status === 'not_executed') return reserved
  if ((status !== 'succeeded' && status !== 'failed') || cost === undefined) return nothing
  const most = parseMicros(reserved.cost[cost.currency] ?? '')
  const spent = parseMicros(cost.amount)
  if (most === undefined || spent === undefined || spent >= most) return nothing
  return { ...nothing, cost: { [cost.currency]: formatMicros(most - spent) } }
}

interface Found {
  root: string
  record: AllowRecord
}

function findAllow({ projection }: Pick<State, 'projection'>, decisionId: string): Found | undefined {
  const root = projection.ledger.decisions.rootOf(decisionId)
  const record = root === undefined ? undefined : projection.ledger.decisions.trees.get(root)?.allows.get(decisionId)
  return root !== undefined && record ? { root, record } : undefined
}

/** Outcomes that fell due in one second are reported over most of the next. Faster reports would hold up decisions, and late is late. */
const [pauseMs, pauses] = [10, 80]
/** The limit also holds if many outcomes fell due while no sweep ran. */
const mostAtOnce = 32

/**
 * Publishes `outcome.missing` for each ALLOW whose outcome is overdue; the ALLOW stays spent in full. Resolves when all these events wait
 * in their trees' queues. An outcome in hand is not missing: it is being recorded, however long that takes.
 */
export async function sweepMissing(
  { projection, clock }: Pick<State, 'projection'> & Pick<Clocked, 'clock'>,
  queues: TreeQueues,
  inHand: Pick<OutcomesInHand, 'has'>,
): Promise<void> {
  const now = clock.now()
  const overdue = projection.ledger.decisions.overdue(now).filter(({ record }) => !inHand.has(record.id))
  const atOnce = Math.min(mostAtOnce, Math.ceil(overdue.length / pauses))
  for (const [n, { root, record }] of overdue.entries()) {
    if (n > 0 && n % atOnce === 0) await after(pauseMs)
    const due = new Date(record.outcomeDue).toISOString()
    // A full queue must not stop the sweep: an overdue outcome stays overdue, and the next sweep finds it again.
    queues.addIfRoom(root, {
      plan: (view) =>
        view.allows.get(record.id)?.standing === 'open' && !inHand.has(record.id)
          ? {
              draft: {
                type: 'outcome.missing',
                subject: record.id,
                data: { decision_id: record.id, grant_id: root, due },
              },
            }
          : undefined,
      recorded: () => undefined,
      refused: () => undefined,
      unsure: () => undefined,
    })
  }
}
