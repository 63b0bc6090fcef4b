import { mustShowArguments } from '@bailiwick/approval-statement'
import { longestText, type Rule } from '@bailiwick/contracts'
import { type AccessRequest, readActionText, type SaltedText, saltedHash, sha256 } from '@bailiwick/credentials'
import { type ErrorCode, ServiceError } from '@bailiwick/errors'
import type { Approval } from '../context.ts'
import type { AccessAsk, StepUpAsk } from '../requests.ts'
import type { Ask } from './ask.ts'
import { asksFor } from './binding.ts'

const remedy =
  'sign `arguments`, the salted hash of the text whose hash is action_digest, and send salt and text as `bailiwick.arguments` (SDK: pass ' +
  '`action` instead of `actionDigest`); or have the rule say `arguments: digest_only`'

/** Throws `arguments_required` if the rule requires the arguments and the ask brings only a digest. */
export function refuseBlind(asked: Pick<AccessRequest, 'arguments'>, rule: Rule): void {
  if (asked.arguments === undefined && mustShowArguments(rule))
    throw new ServiceError('arguments_required', `rule ${rule.id}: ${remedy}`)
}

/**
 * Throws unless the text is the one that the agent signed and its hash is the digest. The action that approvers see is then the only one
 * that can happen. A text that is too long is refused, never shortened.
 */
export function refuseOtherArguments(
  { asked, authority }: Pick<Ask, 'asked' | 'authority'>,
  said: SaltedText | undefined,
): void {
  if (said !== undefined && said.text.length > longestText)
    throw new ServiceError('arguments_too_long', `${said.text.length} characters, and ${longestText} is the most`)
  if (!standsFor(asked.arguments, said)) throw new ServiceError('arguments_mismatch', 'not the text that was signed')
  if (said === undefined) return
  if (asked.mode !== 'per_action')
    throw new ServiceError('request_malformed', 'arguments: belong to mode per_action alone')
  const action = readActionText(said.text)
  if (action === undefined || sha256(said.text) !== asked.action_digest)
    throw new ServiceError('arguments_mismatch', 'action_digest is not the hash of this text')
  if (!asksFor(authority, action)) throw new ServiceError('arguments_mismatch', 'the ask does not ask for this action')
}

/** Whether the signed hash is that of the text. Both must be present, or neither. */
export function standsFor(signed: { salted_sha256: string } | undefined, text: SaltedText | undefined): boolean {
  const hash = text && saltedHash(text)
  return (text === undefined || hash !== undefined) && hash === signed?.salted_sha256
}

/** Why an approver would see less than the rule requires: the ask brought no arguments, or they were erased since. */
export function whyBlind(
  { prose }: Pick<Approval, 'prose'>,
  ask: AccessAsk | StepUpAsk,
  rule: Rule,
): ErrorCode | undefined {
  const hash = ask.arguments?.salted_sha256
  if (hash !== undefined) return prose.text(hash) === undefined ? 'arguments_gone' : undefined
  const isOneAction = ask.kind === 'step_up' || ask.mode === 'per_action'
  return isOneAction && mustShowArguments(rule) ? 'arguments_required' : undefined
}

/** The text of the exact action, for the approver; undefined if the ask brought only the digest. Throws `arguments_gone`. */
export function argumentsToShow({ prose }: Pick<Approval, 'prose'>, ask: AccessAsk | StepUpAsk): string | undefined {
  const hash = ask.arguments?.salted_sha256
  if (hash === undefined) return undefined
  const text = prose.text(hash)
  if (text === undefined) throw new ServiceError('arguments_gone', prose.isErased(hash) ? 'erased' : 'not kept')
  return text
}
