import { z } from 'zod'
import { actionSchema } from '../../decisions.ts'
import { continuousSchema, modeSchema } from '../../primitives.ts'
import { shownAuthoritySchema, shownBudgetSchema, shownPermissionSchema, takenSchema } from '../answers.ts'

// What the console shows to a signed-in person.

export const requestStateSchema = z
  .enum(['absent', 'pending', 'approved', 'denied', 'expired', 'cancelled', 'withdrawn'])
  .meta({ id: 'request-state' })

export const recoveryViewSchema = z
  .object({
    id: z.string(),
    approver_id: z.string(),
    name: z.string(),
    groups: z.array(z.string()),
    registered_at: z.string(),
    usable_from: z.string(),
  })
  .meta({ id: 'recovery-view' })

const riskLevelSchema = z.enum(['high', 'medium', 'low']).meta({ id: 'risk-level' })

/** An estimate of the harm that an ask could do, from declarations alone. It is never a reason to approve. */
export const riskSchema = z
  .object({
    level: riskLevelSchema,
    /** Orders the inbox and has no other meaning. */
    score: z.int(),
    /** The reasons, worst first, in words for people. */
    reasons: z.array(z.object({ level: riskLevelSchema, text: z.string() })),
  })
  .meta({ id: 'risk' })

/** The agent of an instance, as the registry has it now. */
export const agentViewSchema = z
  .object({
    id: z.string(),
    instance: z.string(),
    name: z.string().nullable(),
    owner: z.string().nullable(),
    owner_name: z.string().nullable(),
    labels: z.array(z.string()),
    attestor: z.string().nullable(),
  })
  .meta({ id: 'agent-view' })

/** The latest stop of an agent, or of every agent. */
export const stopSchema = z.object({ at: z.string(), by: z.string(), sequence: z.int() }).meta({ id: 'stop' })

/** The rule that currently applies to a request. */
export const ruleViewSchema = z
  .object({
    id: z.string().nullable(),
    group: z.string().nullable(),
    quorum: z.int(),
    narrowing: z.boolean(),
    /** The conditions that must stay fresh, if the grant is to last only as long as they hold. */
    continuous: continuousSchema.nullable(),
  })
  .meta({ id: 'rule-view' })

const goneSchema = z.object({ gone: z.enum(['erased', 'not_kept']) })
/** A person's or an agent's own words, or why they cannot be shown. */
export const proseSchema = z.union([z.object({ text: z.string(), cut: z.boolean() }), goneSchema]).meta({ id: 'prose' })
/** The text of one exact action, or why it cannot be shown. */
export const argumentsViewSchema = z.union([z.object({ text: z.string() }), goneSchema]).meta({ id: 'arguments-view' })

const partSchema = z.object({ number: z.int(), of: z.int() }).meta({ id: 'part' })

/** The limits on all permissions of a request together. */
export const rowLimitsSchema = z
  .object({
    /** The number of lines, counted from the first, that are permissions. */
    permissions: z.int(),
    budget: shownBudgetSchema,
    max_depth: z.int(),
    max_children: z.int(),
    not_before: z.string(),
    not_after: z.string(),
  })
  .meta({ id: 'row-limits' })

const requestKindSchema = z.enum(['access', 'registry', 'step_up'])

/** A request in a list. */
export const requestRowSchema = z
  .object({
    id: z.string(),
    kind: requestKindSchema,
    state: requestStateSchema,
    received_at: z.string(),
    changed_at: z.string(),
    expires_at: z.string(),
    closed_by: z.string().nullable(),
    from: agentViewSchema.nullable(),
    proposer: z.string().nullable(),
    subject: z.string(),
    task: z.string().nullable(),
    mode: modeSchema.nullable(),
    lines: z.array(z.string()),
    limits: rowLimitsSchema.nullable(),
    risk: riskSchema,
    part: partSchema.nullable(),
    reopened: z.string().nullable(),
    signed_by: z.array(z.string()),
    quorum: z.int().nullable(),
    /** The id of the rule that applies. */
    rule: z.string().nullable(),
    /** It waits for this person: they may answer it, and have not signed it yet. */
    mine: z.boolean(),
    /** Why this person cannot approve it: an error code. */
    why_not: z.string().nullable(),
    /** The agent's own words, cut to a line. */
    purpose: proseSchema.nullable(),
    /** The agent was stopped after it asked. */
    agent_stopped_at: z.string().nullable(),
  })
  .meta({ id: 'request-row' })

/** The outcome of a request. */
export const answerViewSchema = z
  .object({
    id: z.string(),
    state: requestStateSchema,
    at: z.string(),
    by: z.array(z.string()),
    narrowed: z.boolean(),
    grant_id: z.string().nullable(),
  })
  .meta({ id: 'answer-view' })

const detailMembers = {
  id: z.string(),
  open: z.boolean(),
  state: requestStateSchema,
  received_at: z.string(),
  changed_at: z.string(),
  expires_at: z.string(),
  closed_by: z.string().nullable(),
  subject: z.string(),
  lines: z.array(z.string()),
  risk: riskSchema,
  rule: ruleViewSchema.nullable(),
  signed_by: z.array(z.string()),
  may_approve: z.boolean(),
  may_deny: z.boolean(),
  why_not: z.string().nullable(),
  /** What cannot be shown to people, which prevents an approval. */
  unexplained: z.array(z.string()),
}

const askedMembers = {
  ...detailMembers,
  from: agentViewSchema,
  instance_key: z.string(),
  attestation: z.object({ kind: z.string(), attested_at: z.string().nullable() }),
  received_by: z.enum(['topic', 'http']),
  callback: z.string().nullable(),
  denial: z.object({ decision_id: z.string(), reason: z.string().optional() }).nullable(),
  prose: proseSchema.nullable(),
  /** null: the agent sent only its digest. */
  arguments: argumentsViewSchema.nullable(),
  /** The agent was stopped after it asked. */
  agent_stopped: stopSchema.nullable(),
}

const taskPartSchema = z
  .object({
    id: z.string(),
    number: z.int(),
    state: requestStateSchema,
    lines: z.array(z.string()),
    group: z.string().nullable(),
    quorum: z.int().nullable(),
    signed_by: z.array(z.string()),
  })
  .meta({ id: 'task-part' })

const differenceMembers = {
  relation: z.enum(['same', 'narrower', 'wider', 'different']),
  added: z.array(z.string()),
  removed: z.array(z.string()),
}

/** What people last approved for the agent, as they signed it, and what this request asks for beyond that. */
export const lastApprovedSchema = answerViewSchema
  .extend({
    task: z.string(),
    /** Whether it was for this task. Otherwise it was for the same tools, under another task's name. */
    same_task: z.boolean(),
    /** What was signed: its permissions, and the line of each. */
    permissions: z.array(shownPermissionSchema),
    lines: z.array(z.string()),
    /** Whether both are for one exact action. Each line then says so. */
    once: z.boolean(),
    ...differenceMembers,
    /** The permissions that both allow, and for how many minutes. null: they share nothing, or there is nothing to narrow. */
    as_last_time: z.object({ authority: shownAuthoritySchema, minutes: z.int() }).nullable(),
  })
  .meta({ id: 'last-approved' })

export const accessDetailSchema = z
  .object({
    ...askedMembers,
    kind: z.literal('access'),
    mode: modeSchema,
    action_digest: z.string().nullable(),
    rebind: z.enum(['none', 'attested']),
    not_before: z.string(),
    not_after: z.string(),
    authority: shownAuthoritySchema.nullable(),
    labels: z.array(z.array(z.string()).nullable()),
    part: partSchema.nullable(),
    /** All parts of the task that rules split, this one included. */
    parts: z.array(taskPartSchema),
    reopened: z.string().nullable(),
    /** The agent's newest earlier request for this task. */
    earlier: z
      .object({
        id: z.string(),
        state: requestStateSchema,
        received_at: z.string(),
        /** Approved for less than was asked. */
        narrowed: z.boolean(),
        ...differenceMembers,
      })
      .nullable(),
    last_approved: lastApprovedSchema.nullable(),
    similar: z.array(answerViewSchema),
    answer: answerViewSchema.nullable(),
  })
  .meta({ id: 'access-detail' })

export const stepUpDetailSchema = z
  .object({
    ...askedMembers,
    kind: z.literal('step_up'),
    /** The freshness condition that the decision point found missing; the statement says what an approval does. */
    needs: z.enum(['action', 'task']),
    action: actionSchema,
    /** It was approved, and this person may take the approval back. */
    may_take_back: z.boolean(),
    grant: z.object({
      id: z.string(),
      state: z.string(),
      mode: modeSchema.nullable(),
      not_after: z.string().nullable(),
      lines: z.array(z.string()),
    }),
  })
  .meta({ id: 'step-up-detail' })

const changedEntityMembers = {
  type: z.string(),
  id: z.string(),
  verb: z.enum(['register', 'change', 'retire']),
  before: z.unknown(),
  after: z.unknown(),
}

/** What a change does to one entity, compared with the current state. */
export const changedEntitySchema = z.object(changedEntityMembers).meta({ id: 'changed-entity' })

const policyTextSchema = z.record(z.string(), z.string()).nullable()
/** The text of the policies, by file; null: there is none, or it is not stored here. */
export const policyChangeSchema = z
  .object({ before: policyTextSchema, after: policyTextSchema })
  .meta({ id: 'policy-change' })

/** What a server of tools says of itself, before and after a change: canonical JSON texts, which the page hashes and shows. */
export const manifestChangeSchema = z
  .object({
    /** null: the text is not here, so that all of `after` is shown as new. */
    before: z.string().nullable(),
    after: z.string(),
    /** Names of tools that can be taken for one another. */
    look_alikes: z.array(z.array(z.string())),
  })
  .meta({ id: 'manifest-change' })

/** A change of one entity, as its page shows it. */
export const entityDiffSchema = z
  .object({
    ...changedEntityMembers,
    /** What the change does, in one line. */
    effect: z.string().optional(),
    /** For a policy set. */
    text: policyChangeSchema.optional(),
    /** For a tool server with another manifest. Absent: only its hash is known here. */
    manifest: manifestChangeSchema.optional(),
  })
  .meta({ id: 'entity-diff' })

export const whyPeopleSchema = z.enum(['objection', 'second', 'single_operator', 'rule', 'two'])

/** A rule under which nothing could be approved any more, because its group would have too few people. */
export const starvedRuleSchema = z
  .object({ rule: z.string(), group: z.string(), quorum: z.int(), members: z.array(z.string()) })
  .meta({ id: 'starved-rule' })

export const registryDetailSchema = z
  .object({
    ...detailMembers,
    kind: z.literal('registry'),
    proposer: z.string(),
    /** The reason for the number of people that `rule` requires. */
    why_people: whyPeopleSchema,
    diff: z.array(entityDiffSchema),
    starved: z.array(starvedRuleSchema),
  })
  .meta({ id: 'registry-detail' })

/** A request that this instance began to read after it was received. */
const unknownDetailSchema = z.object({ id: z.string(), state: requestStateSchema, kind: z.null() })

export const requestDetailSchema = z.discriminatedUnion('kind', [
  accessDetailSchema,
  stepUpDetailSchema,
  registryDetailSchema,
  unknownDetailSchema,
])

/** An agent to which the authority was passed on. */
export const linkSchema = z.object({
  id: z.string(),
  from: agentViewSchema,
  not_after: z.string(),
  /** `broken`: a link that decision points no longer accept, for instance because its maker's key was replaced. */
  state: z.enum(['active', 'completed', 'revoked', 'expired', 'broken']),
  lines: z.array(z.string()),
  budget: shownBudgetSchema,
  taken: takenSchema,
  may_stop: z.boolean(),
  get children() {
    return z.array(linkSchema)
  },
})
z.globalRegistry.add(linkSchema, { id: 'link' })

export const grantViewSchema = z
  .object({
    id: z.string(),
    request_id: z.string(),
    state: z.enum(['active', 'suspended', 'completed', 'expired', 'revoked']),
    agent: z.string(),
    from: agentViewSchema,
    agent_name: z.string().nullable(),
    task: z.string(),
    mode: modeSchema,
    lines: z.array(z.string()),
    created_at: z.string(),
    not_after: z.string(),
    approved_by: z.array(z.string()),
    budget: shownBudgetSchema,
    taken: takenSchema,
    last_used_at: z.string().nullable(),
    chain: z.array(linkSchema),
    credentials: z.int(),
    revoked: z.object({ sequence: z.int(), reason: z.string(), by: z.string(), kind: z.string() }).nullable(),
    may_withdraw: z.boolean(),
  })
  .meta({ id: 'grant-view' })
