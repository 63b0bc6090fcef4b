import {
  type ApprovalStatement,
  type Approver,
  approvalStatementSchema,
  type RegistryStatement,
  type Rule,
  registryStatementSchema,
  type StepUpEffect,
  type StepUpStatement,
  stepUpStatementSchema,
} from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import type { z } from 'zod'
import { groupHash } from './statement-hash.ts'

/** The facts of an approval statement, without derived members. `now` is ms since the epoch; `nonce` has at least 128 random bits. */
export type ApprovalFacts = Omit<ApprovalStatement, 'v' | 'kind' | 'rule' | 'issued_at'> & {
  /** The rule that `matchRule` gave for this agent and this authority. */
  rule: Rule
  /** All enrolled approvers; the rule's group is selected from them. */
  approvers: Iterable<Approver>
  now: number
}

/**
 * Builds the statement that the approvers of an access request sign (DESIGN §7.2). Pure: equal facts make equal statements. Throws
 * `request_malformed` if the facts do not make a statement that readers accept.
 */
export function buildApprovalStatement({ rule, approvers, now, ...facts }: ApprovalFacts): ApprovalStatement {
  const { group, quorum } = rule.approvers
  const statement = strict(approvalStatementSchema, {
    v: 1,
    kind: 'approval',
    ...facts,
    rule: { id: rule.id, quorum, group, group_hash: groupHash(group, approvers) },
    issued_at: new Date(now).toISOString(),
  })
  const problem = modeProblem(statement)
  if (problem !== undefined) throw new ServiceError('request_malformed', problem)
  return statement
}

/** The facts of a registry statement, without derived members. `now` is ms since the epoch; `nonce` has at least 128 random bits. */
export type RegistryFacts = Omit<RegistryStatement, 'v' | 'kind' | 'issued_at'> & { now: number }

/**
 * Builds the statement that the approvers of a registry change sign (DESIGN §7.2). Its entities are applied in order, and each is judged
 * against the registry as left by the ones before it: the signers must still be enrolled at that point. Pure. Throws `request_malformed`.
 */
export function buildRegistryStatement({ now, ...facts }: RegistryFacts): RegistryStatement {
  return strict(registryStatementSchema, { v: 2, kind: 'registry', ...facts, issued_at: new Date(now).toISOString() })
}

/** The facts of a step-up statement, without derived members. `now` is ms since the epoch; `nonce` has at least 128 random bits. */
export type StepUpFacts = Omit<StepUpStatement, 'v' | 'kind' | 'effect' | 'issued_at'> & {
  effect: StepUpEffect
  now: number
}

/** Builds the statement that approvers sign for one more action of a live grant (DESIGN §7.2). Pure. Throws `request_malformed`. */
export function buildStepUpStatement({ now, ...facts }: StepUpFacts): StepUpStatement {
  return strict(stepUpStatementSchema, { v: 1, kind: 'step_up', ...facts, issued_at: new Date(now).toISOString() })
}

/** Each mode has its own member and must not carry another's: a window with a digest would be read as an approval of one action. */
export function modeProblem(statement: ApprovalStatement): string | undefined {
  const { mode, action_digest, continuous } = statement
  if ((mode === 'per_action') !== (action_digest !== undefined)) return 'action_digest: belongs to per_action alone'
  if (mode !== 'per_action' && statement.arguments !== undefined) return 'arguments: belongs to per_action alone'
  if ((mode === 'continuous') !== (continuous !== undefined)) return 'continuous: belongs to continuous alone'
  return undefined
}

function strict<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new ServiceError('request_malformed', `statement: ${issue?.path.join('.')}: ${issue?.code}`)
}
