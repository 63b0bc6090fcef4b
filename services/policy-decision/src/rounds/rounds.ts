import { longestRoundsMs, mostRounds } from '@bailiwick/contracts'
import { isRoundOf, verifyContinuation, verifyingKey } from '@bailiwick/credentials'
import {
  type AllowRecord,
  actingAgent,
  firstRoundOf,
  isOpenRound,
  roundAfter,
  type SpendView,
} from '@bailiwick/projection'
import type { CallingPoint } from '../http/callers.ts'
import type { EvaluationRequest } from '../http/evaluation-request.ts'
import type { Clocked, State } from '../ports.ts'
import type { Credential } from '../steps/credential.ts'
import type { Recorded, Waiting } from '../steps/recorded.ts'
import { refuse, type Verdict } from '../steps/steps.ts'

/** The round that a call goes on with, and the statement by which its enforcement point asks for that. Undefined: it is a new call. */
export interface Continuing {
  continues: { decisionId: string; first: string; asked: string } | undefined
}

type About = Pick<Recorded, 'tree'> & { point: CallingPoint; request: EvaluationRequest }

/**
 * The enforcement point itself says that this call goes on with an earlier one, for this call alone. The earlier round may have ended a
 * moment ago, so its outcome is waited for.
 */
export async function roundAsked(
  { point, request, tree, withinMs, turn }: About & Waiting,
  { projection, trust }: Pick<State, 'projection' | 'trust'>,
): Promise<Verdict<Continuing>> {
  const { continues, call_id } = request.observed
  // Only the word of a point that may release changes what a call takes. With any other, each round is a call of its own.
  if (continues === undefined || !point.may_release) return { continues: undefined }
  const key = verifyingKey('pep-caller', point.caller_jwk)
  const { installation } = trust
  const said =
    key && verifyContinuation({ continuation: continues.asked, key, installation, enforcementPoint: point.id })
  if (!said?.ok || said.value.instance !== point.instance || said.value.call_id !== call_id)
    return refuse('round_invalid')
  const { decision_id: decisionId, action_digest } = said.value
  if (!isRoundOf({ ...request.action, resource: request.resource }, { action: action_digest, salt: continues.salt }))
    return refuse('round_invalid')
  const before = () => projection.ledger.decisions.trees.get(tree.id)?.allows.get(decisionId)
  const ended = () => (isUnknownOrOpen(before()) ? undefined : true)
  if (ended() === undefined) turn?.leave()
  if (!(await projection.until(ended, withinMs))) return refuse(before() === undefined ? 'round_invalid' : 'round_open')
  return { continues: { decisionId, first: action_digest, asked: continues.asked } }
}

const isUnknownOrOpen = (from: AllowRecord | undefined) => from === undefined || from.standing === 'open'

export interface GoesOn {
  /** The earlier round that it goes on with; undefined for a new call. */
  from: AllowRecord | undefined
}

/**
 * The call goes on with a round of the same agent, under the same delegation, at the same start of the same point, which ended with
 * questions and went on nowhere else (V10). Its arguments are those of the first round. Rounds are limited in number and time.
 */
export function round(
  {
    continues,
    view,
    point,
    token,
  }: Continuing & Pick<About, 'point'> & Pick<Credential, 'token'> & { view: SpendView },
  { clock }: Pick<Clocked, 'clock'>,
): Verdict<GoesOn> {
  if (continues === undefined) return { from: undefined }
  const from = view.allows.get(continues.decisionId)
  const first = firstRoundOf(view, continues.decisionId)
  if (from === undefined || first === undefined || from.isContinued !== true) return refuse('round_invalid')
  const isSame =
    from.enforcementPoint === point.id &&
    from.instance === point.instance &&
    from.acting === actingAgent(token) &&
    from.chain?.at(-1)?.id === token.grant.delegation &&
    first.actionHash === continues.first
  if (!isSame) return refuse('round_invalid')
  if (!isOpenRound(view, from)) return refuse('round_used')
  const isOver = roundAfter(from).number > mostRounds || clock.now() - first.at > longestRoundsMs
  return isOver ? refuse('rounds_exhausted') : { from }
}
