import {
  callIdSchema,
  decisionIdSchema,
  installationSchema,
  nameSchema,
  pointInstanceSchema,
  sha256Schema,
} from '@bailiwick/contracts'
import { z } from 'zod'
import { sha256 } from './base64url.ts'
import { type Action, actionText } from './canonical.ts'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { permittedHash } from './permit.ts'
import { refused, type Verified } from './verified.ts'

/** What a client adds to a call when it sends the call again with answers to its server's questions (MCP 2026-07-28). */
export const answerMembers: readonly string[] = ['inputResponses', 'requestState']

/** The action as its client asked for it in the first round: without answers. */
export function withoutAnswers({ properties, ...action }: Action): Action {
  const own = Object.entries(properties).filter(([name]) => !answerMembers.includes(name))
  return { ...action, properties: Object.fromEntries(own) }
}

/** Whether the action holds answers to questions of an earlier round. */
export const hasAnswers = ({ properties }: Pick<Action, 'properties'>): boolean =>
  answerMembers.some((member) => Object.hasOwn(properties, member))

/** The first round of a call: the name of its action in the ALLOW's event, and the salt of that name, if it has one. */
export interface FirstRound {
  readonly action: string
  readonly salt?: string | undefined
}

/** Whether an action is that of the first round, with answers added and nothing else changed. An invalid salt fits nothing. */
export function isRoundOf(action: Action, { action: name, salt }: FirstRound): boolean {
  try {
    const text = actionText(withoutAnswers(action))
    return (
      permittedHash({ action_digest: sha256(text), ...(salt === undefined ? {} : { action_salt: salt }) }, text) ===
      name
    )
  } catch {
    return false
  }
}

const continuationSchema = z.strictObject({
  installation: installationSchema,
  enforcement_point: nameSchema,
  /** The start of the point, which carried out the earlier round. Absent: the point has no instances. */
  instance: pointInstanceSchema.optional(),
  /** The call whose decision is asked for: the statement serves for no other. */
  call_id: callIdSchema,
  /** The round that this one goes on with. */
  decision_id: decisionIdSchema,
  /** The action of the call's first round, as the event of its ALLOW names it. */
  action_digest: sha256Schema,
})

/** An enforcement point's statement that a call goes on with a call that its server answered with questions. */
export type Continuation = z.infer<typeof continuationSchema>

/** Throws `invariant_broken` if the statement does not match its schema. */
export function signContinuation(continuation: Continuation, key: SigningKey<'pep-caller'>): string {
  return signCompact('continuation', continuationSchema, continuation, key)
}

/** Verifies a statement by the caller key of the enforcement point that it must come from. */
export function verifyContinuation(options: {
  continuation: string
  key: VerifyingKey<'pep-caller'>
  installation: string
  enforcementPoint: string
}): Verified<Continuation> {
  const verified = verifyCompact('continuation', continuationSchema, options.continuation, options.key)
  if (!verified.ok) return verified
  const { installation, enforcement_point } = verified.value
  if (installation !== options.installation)
    return refused('token_audience_wrong', 'continuation: another installation')
  if (enforcement_point !== options.enforcementPoint)
    return refused('key_unknown', "continuation: another enforcement point's key")
  return verified
}
