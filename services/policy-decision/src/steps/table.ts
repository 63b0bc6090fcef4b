import type { Purpose } from '@bailiwick/policy'
import type { SpendView } from '@bailiwick/projection'
import type { CallingPoint } from '../http/callers.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import { round, roundAsked } from '../rounds/rounds.ts'
import { alive, fresh, toolApproved } from './alive.ts'
import { authority, chain, exactAction, mappedActions, type Searched } from './authority.ts'
import { budget, oneAction } from './budget.ts'
import { callerWaits, callUnused, proofUnused } from './call.ts'
import { credential } from './credential.ts'
import { duties } from './duties.ts'
import { address, scope } from './enforcement-point.ts'
import { policy, policyAsked } from './policy.ts'
import { proof, proofOnce, proofShown, sameAction } from './proof.ts'
import { approved, recorded, type Waiting } from './recorded.ts'
import { human, humanStands } from './step-up.ts'
import { type Known, Steps } from './steps.ts'

// The steps of DESIGN §7.4, in its order; the numbers are its. A call goes through `verified` and `covered` as it comes. In its tree's
// order it goes through `unused` and `permitted`, once more each time that the tree has changed meanwhile, and through `durable` once its
// event counts.

interface Asked {
  point: CallingPoint
  request: EvaluationRequest
}

const claimed = Steps.from<Asked>()
  .step(scope) // 1: the enforcement point is registered for this resource
  .step(credential)
  .step(proofShown)
  .step(address)
  .step(sameAction)
  .step(proof)

/** Who asks, and for what. */
export const verified = claimed.waits(proofOnce)

/** The same for a search, which permits nothing and counts no proof. */
export const verifiedForSearch = claimed

/** What allows it, as far as it does not depend on what the tree has taken. */
export const covered = Steps.from<Known<typeof claimed> & Waiting & Searched>()
  .step(fresh) // 2
  .waits(recorded) // 3
  .waits(approved)
  .step(fresh)
  .step(alive)
  .step(chain) // 4
  .step(authority)
  .step(exactAction) // before the tool: an action that was never granted is refused for that reason
  .step(toolApproved)
  .step(mappedActions) // after the tool: people signed its mapping with its description
  .waits(roundAsked) // 7: what it takes depends on it

/** Whether an ALLOW may be given again. The same proof may come again: it was counted once. */
export const again = claimed
  .given<Waiting>()
  .waits(recorded) // 3
  .waits(approved)
  .step(fresh) // 2, and 3 and 4 as of now
  .step(alive)
  .step(toolApproved)

interface Turned {
  callId: string
  /** The tree as it will be. */
  view: SpendView
}

/** Nothing was decided yet under this call's id, and by its proof. */
export const unused = Steps.from<Known<typeof covered> & Turned>().step(callUnused).step(proofUnused)

/** What the action takes, and under which conditions, on the tree as it is now. */
export const permitted = Steps.from<Known<typeof covered> & Pick<Turned, 'view'> & { purpose?: Purpose }>()
  .step(fresh) // 2, and 3 and 4 as of now
  .step(alive)
  .step(toolApproved)
  .step(policyAsked) // 5 and 6
  .step(policy)
  .step(human)
  .step(oneAction) // 7
  .step(round)
  .step(budget)
  .step(duties)

/** The decision is durable and counts: 8 repeats 2 and 3. */
export const durable = Steps.from<Known<typeof permitted> & { isGone: () => boolean }>()
  .step(callerWaits)
  .step(fresh)
  .step(alive)
  .step(toolApproved)
  .step(humanStands)
