import {
  callIdSchema,
  decisionIdSchema,
  installationSchema,
  nameSchema,
  parseStrictJson,
  pointInstanceSchema,
  sha256Schema,
  timestampSchema,
} from '@bailiwick/contracts'
import { z } from 'zod'
import { sha256 } from './base64url.ts'
import { parseCompact, signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { refused, type Verified } from './verified.ts'

const fieldsSchema = z.strictObject({
  installation: installationSchema,
  enforcement_point: nameSchema,
  /** The start of the enforcement point that signs. Absent: it has no instances, and its count continues across starts. */
  instance: pointInstanceSchema.optional(),
  /** The instance's own count, from 1, without gaps: a missing number is a suppressed outcome. */
  sequence: z.int().min(1),
  /** `outcomeHash` of the instance's previous outcome; absent in the first. */
  previous: sha256Schema.optional(),
  /**
   * When this outcome was signed, all outcomes of the instance up to this number had a decision point's last answer. A missing outcome
   * above it may still be waiting, and is not a gap. Absent: each outcome was delivered once the one before it had its answer.
   */
  answered: z.int().min(0).optional(),
  call_id: callIdSchema,
  decision_id: decisionIdSchema,
  /** The action's name in the ALLOW's event: the salted hash of its text if the permit has a salt, otherwise its digest. */
  action_digest: sha256Schema,
  /**
   * `not_observed`: the point answered a proxy, which then carried out the action out of the point's sight. Nothing of the reservation goes
   * back.
   * `continued`: the server answered with questions, and the effect goes on once a further round brings the answers.
   */
  status: z.enum(['succeeded', 'failed', 'continued', 'not_executed', 'not_observed', 'unknown']),
  at: timestampSchema,
  /**
   * What the effect cost in the end. Of the amount that the ALLOW reserved, the decision point gives the rest back, if the point may
   * release and the effect is over (`succeeded` or `failed`). Absent: the whole reservation is spent.
   */
  cost: z
    .strictObject({
      amount: z.string().regex(/^(0|[1-9]\d{0,20})(\.\d{1,6})?$/),
      currency: z.string().regex(/^[A-Z]{3}$/),
    })
    .optional(),
  /** What a model read and wrote in this call, as its provider counted it. It changes no budget. */
  tokens: z.strictObject({ input: z.int().min(0), output: z.int().min(0) }).optional(),
  /**
   * The bytes sent out. If absent, the number is unknown: where bytes are limited, it counts as everything that was left. It is also unknown
   * of an effect that was `not_observed`, and no value here changes that.
   */
  egress_bytes: z.int().min(0).optional(),
  http_status: z.int().min(100).max(599).optional(),
  /**
   * Why the answer was cut off before its end: the reason with which the decision point ended the call, or the point's own. The effect may
   * have happened in part, so the status is then `unknown`.
   */
  cut: z
    .string()
    .max(64)
    .regex(/^[a-z]+(_[a-z]+)*$/)
    .optional(),
  /**
   * The point stands in the process of the agent that it decides for, which can go around it. What it decides is advice that the agent
   * takes, and no reader calls it enforcement. Absent: the point says that it stands outside.
   */
  enforced_by: z.literal('in_process').optional(),
  /** SHA-256 of any record that the enforcement point keeps about the effect. */
  detail_hash: sha256Schema.optional(),
})

const outcomeSchema = fieldsSchema
  .refine(({ instance, sequence, previous }) => (previous !== undefined) === (instance !== undefined && sequence > 1), {
    path: ['previous'],
  })
  .refine(
    ({ instance, sequence, answered }) => answered === undefined || (instance !== undefined && answered < sequence),
    {
      path: ['answered'],
    },
  )

/** An enforcement point's report of what happened. It has no expiry: a late outcome is still true. */
export type Outcome = z.infer<typeof outcomeSchema>

/** Throws `invariant_broken` if the outcome does not match its schema. */
export function signOutcome(outcome: Outcome, key: SigningKey<'outcome'>): string {
  return signCompact('outcome', outcomeSchema, outcome, key)
}

/** Verifies an outcome by the outcome key of the enforcement point that it claims to come from. */
export function verifyOutcome(options: {
  outcome: string
  key: VerifyingKey<'outcome'>
  installation: string
  enforcementPoint: string
}): Verified<Outcome> {
  const verified = verifyCompact('outcome', outcomeSchema, options.outcome, options.key)
  if (!verified.ok) return verified
  if (verified.value.installation !== options.installation)
    return refused('token_audience_wrong', 'outcome: another installation')
  if (verified.value.enforcement_point !== options.enforcementPoint)
    return refused('key_unknown', "outcome: another enforcement point's key")
  return verified
}

const pointSchema = z.object({ enforcement_point: fieldsSchema.shape.enforcement_point })

/**
 * Identifies an outcome by its signed content. The signature is left out, because anyone can write the other valid one, and would so make
 * two outcomes of one, or break its instance's chain.
 */
export function outcomeHash(outcome: string): string {
  return sha256(outcome.slice(0, outcome.lastIndexOf('.')))
}

/** The enforcement point that an outcome claims to come from, before its key is known; undefined if it names none. */
export function claimedPoint(outcome: string): string | undefined {
  try {
    return pointSchema.parse(parseStrictJson(parseCompact(outcome)?.payload ?? '')).enforcement_point
  } catch {
    return undefined
  }
}

/**
 * The bytes that an outcome claims to have sent, for readers that fold an event whose signer verified the outcome. undefined if something
 * happened and the outcome does not state the bytes, or states those of an effect out of its point's sight.
 */
export function claimedEgress(outcome: string): number | undefined {
  try {
    // Every fold of an outcome comes here, so zod, which would take most of the time, is not asked.
    const claims = parseStrictJson(parseCompact(outcome)?.payload ?? '') as Partial<Record<string, unknown>>
    const { status, egress_bytes: sent = status === 'not_executed' ? 0 : undefined } = claims
    const isKnown = typeof status === 'string' && status !== 'not_observed' && Number.isSafeInteger(sent)
    return isKnown && Number(sent) >= 0 ? Number(sent) : undefined
  } catch {
    return undefined
  }
}

const countedSchema = z.object({ tokens: fieldsSchema.shape.tokens })

/** The tokens that an outcome states, for readers of an event whose signer verified the outcome. undefined if it states none. */
export function claimedTokens(outcome: string): Outcome['tokens'] {
  try {
    return countedSchema.parse(parseStrictJson(parseCompact(outcome)?.payload ?? '')).tokens
  } catch {
    return undefined
  }
}

const byWhomSchema = z.object({ enforced_by: fieldsSchema.shape.enforced_by })

/**
 * Whether an outcome says that its point stands in the process of the agent that it decides for: its decision was advice to that process.
 * For readers that fold an event whose signer verified the outcome.
 */
export function claimsInProcess(outcome: string): boolean {
  try {
    return byWhomSchema.parse(parseStrictJson(parseCompact(outcome)?.payload ?? '')).enforced_by === 'in_process'
  } catch {
    return false
  }
}
