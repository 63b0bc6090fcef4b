import { z } from 'zod'
import { type EntityType, entitySchemas, policySetSchema } from '../../entities.ts'
import { requestIdSchema, spiffeIdSchema } from '../../primitives.ts'
import { replayedSchema } from '../evidence.ts'
import type { Routes } from '../route.ts'
import { proposedSchema } from './passkeys.ts'
import { entityDiffSchema, requestStateSchema, starvedRuleSchema, whyPeopleSchema } from './views.ts'

export const entityTypeSchema = z.enum(Object.keys(entitySchemas) as [EntityType, ...EntityType[]])

const words = z.string().trim().min(1).max(200).optional()
const entityId = z.string().min(1).max(2100)
const entityParams = z.strictObject({ type: entityTypeSchema, '*': entityId })
const version = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

const registryEntrySchema = z
  .object({
    type: entityTypeSchema,
    id: z.string(),
    version: z.int(),
    hash: z.string().nullable(),
    changed_at: z.string(),
    /** The names of the people who signed the newest version. */
    signed_by: z.array(z.string()),
    name: z.string().nullable(),
    /** A few words that describe the entity. */
    gist: z.string(),
    retired: z.boolean(),
    /** An open change names it. */
    proposed: z.boolean(),
  })
  .meta({ id: 'registry-entry' })

const personSchema = z.object({ id: z.string(), name: z.string() })

const entityVersionSchema = z
  .object({
    version: z.int(),
    at: z.string(),
    verb: z.enum(['register', 'change', 'retire']),
    /** What the change did, in one line. */
    effect: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    hash: z.string().nullable(),
    /** Where evidence has it. */
    event_id: z.string(),
    by: z.object({
      /** Which signature makes it count. */
      kind: z.enum(['root', 'invitation', 'approvers', 'recovery', 'issuer']),
      signers: z.array(personSchema),
      /** Who is named as the proposer. A name signs nothing. */
      proposer: z.string().nullable(),
      request_id: z.string().nullable(),
    }),
  })
  .meta({ id: 'entity-version' })

const changedEntrySchema = z.strictObject({
  type: entityTypeSchema,
  id: entityId,
  /** The version that the person saw; 0: there was none. A change of any other version is refused. */
  base: version,
  /** null retires it. For the policy set: absent, because `policies` has its files. */
  value: z.unknown().optional(),
})

/** The text of a policy set, by file. */
const policyFilesSchema = z
  .record(z.string().regex(/^[A-Za-z0-9._-]{1,128}$/), z.string().max(1_048_576))
  .refine((files) => Object.keys(files).length <= 128, 'more than 128 files')

const wantedPoliciesSchema = z
  .strictObject({
    files: policyFilesSchema,
    /** The set is meant to deny everything. */
    permits_nothing: z.literal(true).optional(),
  })
  .meta({ id: 'wanted-policies' })

/** A change to the registry, as a person wants it. */
export const wantedChangeSchema = z
  .strictObject({
    entities: z.array(changedEntrySchema).min(1).max(64),
    /** If the change names `policy-set active`: the set that is to decide. */
    policies: wantedPoliciesSchema.optional(),
  })
  .meta({ id: 'wanted-change' })
export type WantedChange = z.output<typeof wantedChangeSchema>

const policyFindingSchema = z
  .object({
    level: z.enum(['error', 'warning']),
    file: z.string(),
    policy_id: z.string().optional(),
    message: z.string(),
  })
  .meta({ id: 'policy-finding' })

const explanationSchema = z
  .object({
    outcome: z.enum(['allow', 'deny', 'step_up', 'error', 'invalid']),
    /** The policies that decide, each with its file. */
    policies: z.array(z.object({ id: z.string(), file: z.string() })),
    obligations: z.array(z.string()),
    messages: z.array(z.string()),
    /** If one of these attributes were different, that alone could change the answer. */
    would_change: z.array(z.object({ attribute: z.string(), value: z.unknown(), policies: z.array(z.string()) })),
  })
  .meta({ id: 'policy-explanation' })

const conflictSchema = z.object({ type: z.string(), id: z.string(), base: z.int(), version: z.int() })

const matchedRuleSchema = z
  .object({
    /** null: no rule holds, so no person could approve it. */
    rule: z.string().nullable(),
    group: z.string().nullable(),
    quorum: z.int().nullable(),
    members: z.array(personSchema),
    /** Why no rule holds. */
    why: z.string().nullable(),
    /** The rules that were tried before, in their order. */
    tried: z.array(z.string()),
  })
  .meta({ id: 'matched-rule' })

export const workbenchRoutes = {
  listEntities: {
    method: 'GET',
    path: '/console/api/registry',
    summary: 'The registry’s entities, newest changes first; service keys and retired ones only when asked for',
    on: 'http',
    query: z.strictObject({ q: words, type: entityTypeSchema.optional(), retired: z.literal('true').optional() }),
    answer: z.object({
      total: z.int(),
      items: z.array(registryEntrySchema),
      /** How many of each type the search finds. */
      types: z.partialRecord(entityTypeSchema, z.int()),
    }),
  },
  readEntity: {
    method: 'GET',
    path: '/console/api/registry/:type/*',
    summary: 'One entity: what it is now, what refers to it, and every version with who signed it',
    on: 'http',
    params: entityParams,
    /** Versions older than this one. */
    query: z.strictObject({ before: z.coerce.number().pipe(version).optional() }),
    answer: z.object({
      type: entityTypeSchema,
      id: z.string(),
      name: z.string().nullable(),
      version: z.int(),
      hash: z.string().nullable(),
      changed_at: z.string(),
      /** null: retired. */
      value: z.unknown(),
      /** Open changes that name it. */
      open_changes: z.array(requestIdSchema),
      /** Other entities that name it. */
      named_by: z.array(z.object({ type: entityTypeSchema, id: z.string(), as: z.string() })),
      /** Newest first. */
      versions: z.array(entityVersionSchema),
      /** How many older versions there are. */
      older: z.int(),
    }),
  },
  previewChange: {
    method: 'POST',
    path: '/console/api/registry/preview',
    summary: 'What a change would do, in plain words, and who must sign it; nothing is proposed',
    on: 'http',
    body: wantedChangeSchema,
    answer: z.object({
      diff: z.array(entityDiffSchema),
      /** Entities that are another version by now than the person saw. */
      conflicts: z.array(conflictSchema),
      /** Why it cannot be proposed. */
      problem: z.string().nullable(),
      /** The people that it takes; null: nothing would change. */
      people: z.object({ quorum: z.int(), group: z.string().nullable(), why: whyPeopleSchema }).nullable(),
      starved: z.array(starvedRuleSchema),
    }),
  },
  proposeRegistryChange: {
    method: 'POST',
    path: '/console/api/registry/changes',
    summary: 'Proposes a change of the registry as the signed-in person; people answer it with their passkeys',
    on: 'http',
    body: wantedChangeSchema,
    answer: proposedSchema,
  },
  weighChange: {
    method: 'POST',
    path: '/console/api/registry/impact',
    summary: 'What a change would have done to remembered asks, and to the calls of the last 24 hours; nothing is kept',
    on: 'http',
    body: wantedChangeSchema,
    answer: z.object({
      from: z.string(),
      /** null: the change moves no rule for agents, no agent and no tool server. */
      asks: z
        .object({
          looked_at: z.int(),
          /** Asks to which another rule would apply, newest first. */
          moved: z.array(
            z.object({
              request_id: requestIdSchema,
              subject: z.string(),
              agent: z.string(),
              received_at: z.string(),
              state: requestStateSchema,
              now: z.string().nullable(),
              after: z.string().nullable(),
            }),
          ),
          moved_count: z.int(),
          /** Of these: how many no rule would apply to. */
          stranded: z.int(),
        })
        .nullable(),
      /** null: not compared, or `calls_problem` says why it is not known. */
      calls: replayedSchema.nullable(),
      calls_problem: z.string().nullable(),
    }),
  },
  readPolicies: {
    method: 'GET',
    path: '/console/api/policies',
    summary: 'The active policy set, with its text where it is stored on this machine',
    on: 'http',
    answer: z.object({
      policy_set: policySetSchema.nullable(),
      /** 0: there was never one. */
      version: z.int(),
      /** null: it is not here. */
      files: z.record(z.string(), z.string()).nullable(),
    }),
  },
  checkPolicies: {
    method: 'POST',
    path: '/console/api/policies/check',
    summary: 'What is wrong with a policy set, and what its tests say; nothing is kept',
    on: 'http',
    body: wantedPoliciesSchema.extend({
      /** Files of tests, in YAML. */
      tests: z.record(z.string().regex(/^tests\/[A-Za-z0-9._-]{1,100}\.yaml$/), z.string().max(262_144)).optional(),
    }),
    answer: z.object({
      loads: z.boolean(),
      findings: z.array(policyFindingSchema),
      /** null: the set does not load. */
      tests: z
        .array(
          z.object({
            file: z.string(),
            name: z.string(),
            failure: z.object({ expected: z.string(), got: z.string() }).optional(),
          }),
        )
        .nullable(),
      tests_problem: z.string().nullable(),
    }),
  },
  explainPolicies: {
    method: 'POST',
    path: '/console/api/policies/explain',
    summary: 'Why a policy set answers a question as it does, and what would have to differ; nothing is kept',
    on: 'http',
    body: z.strictObject({
      files: policyFilesSchema,
      /** An AuthZEN evaluation, as JSON text: numbers keep their digits. */
      request: z.string().min(2).max(65_536),
    }),
    answer: explanationSchema,
  },
  draftQuestion: {
    method: 'POST',
    path: '/console/api/policies/question',
    summary: 'The question that a decision point asks policies about a call, of an agent that did nothing yet',
    on: 'http',
    body: z.strictObject({
      files: policyFilesSchema,
      agent: spiffeIdSchema,
      action: z.string().min(1).max(200),
      resource: z.strictObject({ type: z.string().min(1).max(100), id: z.string().min(1).max(2048) }),
    }),
    answer: z.object({ request: z.string() }),
  },
  findRule: {
    method: 'POST',
    path: '/console/api/rules/match',
    summary: 'Which rule would hold for an ask, now and after a change; nothing is asked',
    on: 'http',
    body: z.strictObject({
      agent: spiffeIdSchema,
      authority: z.record(z.string(), z.unknown()),
      /** The change that a person prepares. */
      entities: z.array(changedEntrySchema).max(64).optional(),
    }),
    answer: z.object({ now: matchedRuleSchema, after: matchedRuleSchema.nullable() }),
  },
} as const satisfies Routes
