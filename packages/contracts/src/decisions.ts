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

/** The amounts that a decision takes from the budget of its tree, or an outcome gives back to it. */
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
    /** The arguments that the authority or a policy names, by JSON pointer; all others are only in the digest. */
    arguments: z
      .record(z.string().max(256), z.union([z.string().max(2048), z.number(), z.boolean(), z.null()]))
      .optional(),
  })
  .meta({ id: 'action' })

/**
 * An action as an ALLOW names it. If a human signed its digest (`per_action`, step-up), the name is the digest. Otherwise it is a salted
 * hash of the text behind the digest, so that a small set of possible arguments cannot be tried out. Nearly all actions are of the second
 * kind, which is checked first.
 */
const allowedActionSchema = z
  .union([actionSchema.omit({ action_digest: true }).extend({ call: saltedHashSchema }), actionSchema])
  .meta({ id: 'allowed-action' })

/** The name of the action in an ALLOW and in its outcome: comparing the two shows whether they concern the same action. */
export function actionHash(action: z.infer<typeof allowedActionSchema>): string {
  return 'call' in action ? action.call.salted_sha256 : action.action_digest
}

/** The acting agent, and the grant under which it acted. */
const actorSchema = z
  .strictObject({
    agent: spiffeIdSchema,
    credential_id: credentialIdSchema,
    grant_id: grantIdSchema,
    request_id: requestIdSchema,
    task: z.string().max(200),
    /** The delegation under which it acted, if any: the last link of its chain. */
    delegation_id: delegationIdSchema.optional(),
    /** The sub-agent that acted, for `agent`, the holder of the grant. */
    sub_agent: spiffeIdSchema.optional(),
  })
  .meta({ id: 'actor' })

/** One link of the chain under which an action was allowed: each link is charged like the tree. */
const chainLinkSchema = z
  .strictObject({
    delegation_id: delegationIdSchema,
    agent: spiffeIdSchema,
    /** Index of the permission that covers the action, in this link's own authority. */
    permission: z.int().min(0),
  })
  .meta({ id: 'chain-link' })

/** An action on a resource that a tool's declared mapping made of the call (COAZ-MCP). It has no arguments, and takes nothing. */
export const mappedActionSchema = z
  .strictObject({
    name: actionSchema.shape.name,
    resource: actionSchema.shape.resource,
  })
  .meta({ id: 'mapped-action' })

/** The most actions that a declared mapping can make of one call. */
export const mostMapped = 8

/**
 * The round that an ALLOW goes on with, and the statement by which its enforcement point asked for that (`verifyContinuation` in
 * credentials).
 */
const continuesSchema = z
  .strictObject({ decision_id: decisionIdSchema, asked: compactJwsSchema })
  .meta({ id: 'continues' })

/**
 * The event of this tree after which it was evaluated, if any: unless that is the newest event that counts, this one is void. With versions
 * alone, the rest of a batch would count even after its first event lost its place to another writer's.
 */
const afterSchema = idSchema('evt').optional()

export const decisionAllowed = z.strictObject({
  decision_id: decisionIdSchema,
  call_id: callIdSchema,
  enforcement_point: nameSchema,
  /**
   * The start of that point; only this start may use the permit and report the outcome. Absent: the point states none, like points from
   * before instances; it must be one process, and an outcome that names an instance does not belong to it.
   */
  instance: pointInstanceSchema.optional(),
  actor: actorSchema,
  action: allowedActionSchema,
  /**
   * The call and the salt are handed to evidence, which keeps them until they are erased. If absent, only the enforcement point has the
   * salt.
   */
  call_kept: z.literal(true).optional(),
  /** Index of the permission that covers the action, in the grant's authority. */
  permission: z.int().min(0),
  /**
   * From the grant's own delegation to the delegation of the acting agent; absent if the grant's own agent acts. The longest has 8 links.
   */
  chain: z.array(chainLinkSchema).min(1).max(8).optional(),
  proof: z.enum(['agent_signed', 'point_asserted']),
  /**
   * Identifies the DPoP proof that came with the call (`proofId` in credentials). Every reader treats a second ALLOW of the tree with the
   * same proof as void (V10). Absent only in logs from before this member: such an ALLOW is compared with none.
   */
  proof_id: sha256Schema.optional(),
  reserved: amountsSchema,
  labels: z.array(z.string().max(64)).max(64),
  /**
   * The registered owners of all agents that took part, each once: `context.history.owner` counts the action for each of them. Absent only
   * in logs from before this member: such an ALLOW counts for its task and its agents, and for no owner.
   */
  owners: z.array(nameSchema).min(1).max(9).optional(),
  policy_set: sha256Schema,
  policies: z.array(z.string().max(256)).max(64),
  obligations: z.array(z.unknown()).max(16).optional(),
  /** What the tool's declared mapping made of the call: each is covered by the grant and by every link, beside the action itself. */
  mapped: z.array(mappedActionSchema).min(1).max(mostMapped).optional(),
  /**
   * It is a further round of a call whose earlier round ended with the outcome `continued`: it takes bytes, but no call, use or money. Every
   * reader treats a second ALLOW that continues the same round as void, unless the first was taken back, and one that continues any other
   * decision.
   */
  continues: continuesSchema.optional(),
  /** The request by which humans approved this exact action once more; it serves once. */
  step_up: requestIdSchema.optional(),
  /** The outcome must be reported by this time. */
  outcome_due: timestampSchema,
  /** The newest revocation that had been applied at the time of the decision. */
  as_of: z.int().min(0),
  after: afterSchema,
})

/**
 * The most agents between the grant's agent and the acting one. No chain of a valid delegation has more than 7, but a denial also records
 * chains that are not valid. A credential that names more is refused (`token_malformed`), so that every denial fits.
 */
export const mostBetween = 16

export const decisionDenied = z.strictObject({
  decision_id: decisionIdSchema,
  call_id: callIdSchema.optional(),
  reason: z.string().regex(/^[a-z]+(_[a-z]+)*$/),
  enforcement_point: nameSchema.optional(),
  actor: actorSchema.partial().optional(),
  /** The agents between `actor.agent` and `actor.sub_agent`; absent if there are none. */
  between: z.array(spiffeIdSchema).min(1).max(mostBetween).optional(),
  action: actionSchema.partial({ action_digest: true }).meta({ id: 'denied-action' }).optional(),
  policy_set: sha256Schema.optional(),
  policies: z.array(z.string().max(256)).max(64).optional(),
  requestable: z.boolean(),
})

/** The deciding instance withdraws an ALLOW that it never answered. Gives the whole reservation back. */
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
  /**
   * `not_observed`: a proxy carried out the action, and the enforcement point that decided for it could not see what happened.
   * `continued`: the server answered with questions. The effect goes on once a further ALLOW continues this one.
   */
  status: z.enum(['succeeded', 'failed', 'continued', 'not_executed', 'not_observed', 'unknown']),
  /** The amounts that go back to the budget; empty unless the point may release and reports `not_executed`. */
  released: amountsSchema,
  /** Exactly what the enforcement point signed. */
  outcome: compactJwsSchema,
  after: afterSchema,
})

/**
 * An outcome that an enforcement point signed and the decision point refused: the decision has another outcome, belongs to another instance
 * or was withdrawn (`outcome_mismatch`), or the instance gave this number to another outcome. It changes nothing; a second outcome is
 * recorded here so that no decision point can hide it.
 */
export const outcomeRefused = z.strictObject({
  decision_id: decisionIdSchema,
  grant_id: grantIdSchema,
  enforcement_point: nameSchema,
  code: z.enum(['outcome_mismatch', 'outcome_sequence_reused']),
  /** Exactly what the enforcement point signed. */
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

/** The answer of one policy set. */
const policyOutcome = z.enum(['allow', 'deny', 'step_up', 'error', 'invalid'])

/**
 * What a candidate policy set answered, compared with the active set. It counts for nothing: it changes no state, and no decision waits for
 * it.
 */
export const candidateAnswered = z.strictObject({
  /** The hash of the candidate's files as they were read. */
  candidate: sha256Schema,
  answers: z
    .array(
      z.strictObject({
        decision_id: decisionIdSchema,
        /** The set that decided. */
        policy_set: sha256Schema,
        active: policyOutcome,
        /** `unanswered`: it had ended before, or had too many questions to answer. */
        candidate: z.enum([...policyOutcome.options, 'unanswered']),
        /** The candidate's policies that decided, if its answer differs. */
        policies: z.array(z.string().max(256)).max(4).optional(),
      }),
    )
    .min(1)
    .max(40),
})

/** The answer of one engine about a policy set. */
const engineAnswer = z.strictObject({
  outcome: policyOutcome,
  /** The policies that decided, or that erred, as far as the event has room for them. */
  policies: z.array(z.string().max(256)).max(8),
})

/**
 * A decision point compared an answer that it had given by compiled policies with Cedar's, and the two differ. From then on that process
 * decides by Cedar alone under this set. Says nothing of the request, which may hold secrets.
 */
export const enginesDiffered = z.strictObject({
  policy_set: sha256Schema,
  compiled: engineAnswer,
  cedar: engineAnswer,
})

const attachmentIdSchema = idSchema('att')

/** An agent's text, or arguments, stored outside the event that holds their hash. */
export const attachmentStored = z.strictObject({
  attachment_id: attachmentIdSchema,
  about: z.string().max(128),
  salt: z.string().max(64),
  text: z.string().max(20_000),
  ...saltedHashSchema.shape,
})
/** Why a value was erased. A code, because a free text would be one more value in the log for ever. */
export const erasureReasonSchema = z
  .enum(['data_subject_request', 'personal_data', 'secret', 'retention', 'other'])
  .meta({ id: 'erasure-reason' })

/** The value is deleted wherever this topic carried it; it never comes back under its id. */
export const attachmentErased = z.strictObject({
  attachment_id: attachmentIdSchema,
  about: z.string().max(128),
  by: nameSchema,
  reason: erasureReasonSchema,
})

/** An operator's order to the service that wrote these values, to erase them. */
export const erasureOrderSchema = z.strictObject({
  reason: erasureReasonSchema,
  values: z
    .array(attachmentErased.pick({ attachment_id: true, about: true }))
    .min(1)
    .max(200),
})
