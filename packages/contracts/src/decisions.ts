import { z } from 'zod'
import {
  callIdSchema,
  compactJwsSchema,
  credentialIdSchema,
  currencySchema,
  decimalSchema,
  decisionIdSchema,
  delegationIdSchema,
  grantIdSchema,
  idSchema,
  nameSchema,
  pointInstanceSchema,
  requestIdSchema,
  saltedHashSchema,
  sha256Schema,
  spiffeIdSchema,
  timestampSchema,
} from './primitives.ts'

/** What a decision takes from, or an outcome gives back to, the budget of its tree. */
export const amountsSchema = z
  .strictObject({
    calls: z.int().min(0),
    cost: z.record(currencySchema, decimalSchema),
    egress_bytes: z.int().min(0),
  })
  .meta({ id: 'budget-amounts' })
export type BudgetAmounts = z.infer<typeof amountsSchema>

export const actionSchema = z
  .strictObject({
    name: z.string().min(1).max(200),
    resource: z.strictObject({ type: z.string().min(1).max(100), id: z.string().min(1).max(2048) }),
    action_digest: sha256Schema,
    /** The arguments that the authority or a policy names, by JSON pointer; all others stand only in the digest. */
    arguments: z
      .record(z.string().max(256), z.union([z.string().max(2048), z.number(), z.boolean(), z.null()]))
      .optional(),
  })
  .meta({ id: 'action' })

/**
 * An action as an ALLOW names it: by its digest where a human signed that very digest (`per_action`, step-up); else by a salted hash
 * of what the digest is the hash of, so that few possible arguments cannot be tried. Nearly all are of the latter, which is looked for first.
 */
const allowedActionSchema = z
  .union([actionSchema.omit({ action_digest: true }).extend({ call: saltedHashSchema }), actionSchema])
  .meta({ id: 'allowed-action' })

/** What an ALLOW names its action by, and its outcome too: whoever compares them sees that they are of the same. */
export function actionHash(action: z.infer<typeof allowedActionSchema>): string {
  return 'call' in action ? action.call.salted_sha256 : action.action_digest
}

/** Who acted, under what. */
const actorSchema = z
  .strictObject({
    agent: spiffeIdSchema,
    credential_id: credentialIdSchema,
    grant_id: grantIdSchema,
    request_id: requestIdSchema,
    task: z.string().max(200),
    /** The delegation that it acted under, if any: the last link of its chain. */
    delegation_id: delegationIdSchema.optional(),
    /** Who acted then, for `agent`, whose grant it is. */
    sub_agent: spiffeIdSchema.optional(),
  })
  .meta({ id: 'actor' })

/** One link of the chain that an action was allowed under: what the action takes from the tree, it takes from each. */
const chainLinkSchema = z
  .strictObject({
    delegation_id: delegationIdSchema,
    agent: spiffeIdSchema,
    /** Index of the permission that covers the action, in this link's own authority. */
    permission: z.int().min(0),
  })
  .meta({ id: 'chain-link' })

/**
 * The event of this tree that it was evaluated after, where there is one: unless that is the newest that counts, it is void.
 * Versions alone would let the rest of a batch count whose first event lost its place to another writer's.
 */
const afterSchema = idSchema('evt').optional()

export const decisionAllowed = z.strictObject({
  decision_id: decisionIdSchema,
  call_id: callIdSchema,
  enforcement_point: nameSchema,
  /**
   * The start of that point which alone may use the permit and report the outcome. Absent: the point states none, as points of before
   * instances do; it must be one process, and an outcome that names an instance does not belong to it.
   */
  instance: pointInstanceSchema.optional(),
  actor: actorSchema,
  action: allowedActionSchema,
  /** Its call and the salt are handed to evidence, which keeps them until they are erased. Else the enforcement point alone has the salt. */
  call_kept: z.literal(true).optional(),
  /** Index of the permission that covers the action, in the grant's authority. */
  permission: z.int().min(0),
  /** From the grant's own delegation to that of who acts; absent where the agent of the grant acts itself. 8 is the longest. */
  chain: z.array(chainLinkSchema).min(1).max(8).optional(),
  proof: z.enum(['agent_signed', 'point_asserted']),
  /**
   * Names the DPoP proof that came with the call (`proofId` in credentials). A second ALLOW of the tree with the same one is void for every
   * reader (V10). Absent only in logs that were written before it was introduced: such an ALLOW is compared with none.
   */
  proof_id: sha256Schema.optional(),
  reserved: amountsSchema,
  labels: z.array(z.string().max(64)).max(64),
  /**
   * The owners that the registry had of the agents that had a part in it, each once: `context.history.owner` counts it for each of them. Absent
   * only in logs that were written before it was introduced: such an ALLOW counts for its task and its agents, and for no owner.
   */
  owners: z.array(nameSchema).min(1).max(9).optional(),
  policy_set: sha256Schema,
  policies: z.array(z.string().max(256)).max(64),
  obligations: z.array(z.unknown()).max(16).optional(),
  /** The request by which humans approved this very action once more; it serves once. */
  step_up: requestIdSchema.optional(),
  /** The outcome is due by then. */
  outcome_due: timestampSchema,
  /** What was known when it was decided: the newest revocation that was applied. */
  as_of: z.int().min(0),
  after: afterSchema,
})

/**
 * How many may stand between an agent and who acts for it. No chain that is kept to has more than 7, but a denial also tells by
 * whom one came that is not; a credential that names more is none (`token_malformed`), so that every denial finds room.
 */
export const mostBetween = 16

export const decisionDenied = z.strictObject({
  decision_id: decisionIdSchema,
  call_id: callIdSchema.optional(),
  reason: z.string().regex(/^[a-z]+(_[a-z]+)*$/),
  enforcement_point: nameSchema.optional(),
  actor: actorSchema.partial().optional(),
  /** Those through whom it came from `actor.agent` to `actor.sub_agent`; absent where nobody is between them. */
  between: z.array(spiffeIdSchema).min(1).max(mostBetween).optional(),
  action: actionSchema.partial({ action_digest: true }).meta({ id: 'denied-action' }).optional(),
  policy_set: sha256Schema.optional(),
  policies: z.array(z.string().max(256)).max(64).optional(),
  requestable: z.boolean(),
})

/** The deciding instance takes back an ALLOW that it never answered. Gives the whole reservation back. */
export const decisionAbandoned = z.strictObject({
  decision_id: decisionIdSchema,
  grant_id: grantIdSchema,
  call_id: callIdSchema,
  after: afterSchema,
})

export const outcomeReported = z.strictObject({
  decision_id: decisionIdSchema,
  grant_id: grantIdSchema,
  enforcement_point: nameSchema,
  /** The enforcement point's own number. */
  sequence: z.int().min(1),
  status: z.enum(['succeeded', 'failed', 'not_executed', 'unknown']),
  /** What goes back to the budget; empty unless the point may release and says `not_executed`. */
  released: amountsSchema,
  /** What the enforcement point signed, exactly. */
  outcome: compactJwsSchema,
  after: afterSchema,
})

/**
 * What an enforcement point signed, and the decision point did not take: the decision has another outcome, belongs to another instance or
 * was taken back (`outcome_mismatch`), or the instance gave this number to another outcome. It changes nothing; a second outcome stands
 * here so that no decision point swallows it.
 */
export const outcomeRefused = z.strictObject({
  decision_id: decisionIdSchema,
  grant_id: grantIdSchema,
  enforcement_point: nameSchema,
  code: z.enum(['outcome_mismatch', 'outcome_sequence_reused']),
  /** What the enforcement point signed, exactly. */
  outcome: compactJwsSchema,
})

export const outcomeMissing = z.strictObject({
  decision_id: decisionIdSchema,
  grant_id: grantIdSchema,
  due: timestampSchema,
  after: afterSchema,
})

export const denialsSummarised = z.strictObject({
  from: timestampSchema,
  to: timestampSchema,
  denials: z
    .array(z.strictObject({ subject: z.string().max(2100), reason: z.string().max(64), count: z.int().min(1) }))
    .max(200),
})

/** What one set of policies said. */
const policyOutcome = z.enum(['allow', 'deny', 'step_up', 'error', 'invalid'])

/**
 * What a candidate policy set said of decisions, beside what the active set said. It counts for nothing: nobody's state changes by it,
 * and no decision waits for it.
 */
export const candidateAnswered = z.strictObject({
  /** Names the candidate's files as they were read. */
  candidate: sha256Schema,
  answers: z
    .array(
      z.strictObject({
        decision_id: decisionIdSchema,
        /** The set that decided. */
        policy_set: sha256Schema,
        active: policyOutcome,
        /** `unanswered`: it was over before, or had too many questions to answer. */
        candidate: z.enum([...policyOutcome.options, 'unanswered']),
        /** The candidate's policies that decided, where it says something else. */
        policies: z.array(z.string().max(256)).max(4).optional(),
      }),
    )
    .min(1)
    .max(40),
})

const attachmentIdSchema = idSchema('att')

/** An agent's prose, or arguments, beside the event that holds their hash. */
export const attachmentStored = z.strictObject({
  attachment_id: attachmentIdSchema,
  about: z.string().max(128),
  salt: z.string().max(64),
  text: z.string().max(20_000),
  ...saltedHashSchema.shape,
})
/** Why a value was erased. A code, since a text would be one more value that stands in the log for ever. */
export const erasureReasonSchema = z
  .enum(['data_subject_request', 'personal_data', 'secret', 'retention', 'other'])
  .meta({ id: 'erasure-reason' })

/** The value goes wherever this topic took it; under its id it never comes back. */
export const attachmentErased = z.strictObject({
  attachment_id: attachmentIdSchema,
  about: z.string().max(128),
  by: nameSchema,
  reason: erasureReasonSchema,
})

/** What an operator tells the service that wrote these values: to erase them. */
export const erasureOrderSchema = z.strictObject({
  reason: erasureReasonSchema,
  values: z
    .array(attachmentErased.pick({ attachment_id: true, about: true }))
    .min(1)
    .max(200),
})
