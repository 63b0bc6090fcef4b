import { z } from 'zod'
import { eventKinds } from '../event-table.ts'
import { compactJwsSchema } from '../primitives.ts'
import { observeRoutes } from './observe.ts'
import { mostOutcomes, outcomeBodySchema, outcomeResultsSchema, outcomesBodySchema } from './outcomes.ts'
import type { Api, Routes } from './route.ts'
import {
  activityQuerySchema,
  anyIdParamsSchema,
  bundleQuerySchema,
  eventIdParamsSchema,
  eventsQuerySchema,
  touchedQuerySchema,
  traceQuerySchema,
  valuesQuerySchema,
} from './search.ts'

const text = 'text/plain; charset=utf-8'
/** Where the next page begins. Absent at the end. */
const next = z.string().optional()
/** The indices of leaves that a newer version wrote and this one cannot read. Absent: none. */
const unread = z.array(z.int()).optional()

/** The members of every event in an answer: its place in the log, and its envelope. */
const place = {
  /** A newer service may have more kinds. */
  kind: z.string().describe(eventKinds.join(', ')),
  leaf_index: z.int(),
  event_id: z.string(),
  type: z.string(),
  time: z.string(),
  subject: z.string(),
}
/** Another writer's event took its place, so it has no effect. */
const isVoid = z.literal(true).optional()

/** Amounts of money by currency. */
const costSchema = z.record(z.string(), z.string())

/** One line of a list of events. Members that the event does not state come from the events that it followed from, or are absent. */
export const eventViewSchema = z
  .object({
    ...place,
    agent: z.string().optional(),
    task: z.string().optional(),
    /** The humans who acted, if any. */
    approvers: z.array(z.string()).optional(),
    resource: z.string().optional(),
    /** For a denial, a refusal or a finding: its stable code. */
    reason: z.string().optional(),
    /** For an outcome: the status that the enforcement point reported. */
    status: z.string().optional(),
    decision_id: z.string().optional(),
    grant_id: z.string().optional(),
    /** The name of the action. */
    action: z.string().optional(),
    /** The arguments that the authority or a policy names, by JSON pointer. */
    arguments: z.record(z.string(), z.unknown()).optional(),
    /** The delegation under which it acted, if any. */
    delegation_id: z.string().optional(),
    /** For an ALLOW: what the call took, less what its outcome gave back. */
    cost: costSchema.optional(),
    /** For an ALLOW: how it ended, if it did. Also `missing` and `taken_back`. */
    outcome: z.object({ status: z.string(), at: z.string() }).optional(),
    void: isVoid,
  })
  .meta({ id: 'event-view' })

const stepSchema = z.object({
  ...place,
  /** Whether all its signatures are valid. */
  verified: z.boolean(),
  /** If not verified: an error code. */
  problem: z.string().optional(),
  /** The signers besides the service that wrote the event: humans, an agent, an enforcement point. */
  signed_by: z.array(z.string()).optional(),
  /** The event's own data, signatures included, so that a reader can verify them too. */
  data: z.unknown(),
  void: isVoid,
})
/** One step of a story. The steps that followed from it are below it. */
export interface StoryStep extends z.infer<typeof stepSchema> {
  steps: StoryStep[]
}
const storyStepSchema: z.ZodType<StoryStep, StoryStep> = stepSchema.extend({
  get steps() {
    return z.array(storyStepSchema)
  },
})
z.globalRegistry.add(storyStepSchema, { id: 'trace-step' })

/** A value behind a salted hash in an event, or why it is not available. */
export const shownValueSchema = z
  .object({
    leaf_index: z.int(),
    event_id: z.string(),
    type: z.string(),
    time: z.string(),
    subject: z.string(),
    /** The place in the event's data, as a JSON pointer. */
    at: z.string(),
    salted_sha256: z.string(),
    /**
     * `unkept`: the call of an ALLOW whose salt went only to its enforcement point. `contradicted`: a call that is not the one in its event;
     * a decision point that was taken over can commit to one.
     */
    state: z.enum(['held', 'erased', 'altered', 'contradicted', 'absent', 'unkept']),
    /** If held. */
    text: z.string().optional(),
    /** If erased: when, by whom and why. */
    erased_at: z.string().optional(),
    by: z.string().optional(),
    reason: z.string().optional(),
  })
  .meta({ id: 'shown-value' })

const agentActivitySchema = z.object({
  /** null: all others together. */
  agent: z.string().nullable(),
  allowed: z.array(z.int()),
  denied: z.array(z.int()),
})

/** What an agent did and was denied. */
const touchCounts = {
  /** Calls. Without ALLOWs that were taken back, and without the further rounds of a call. */
  allowed: z.int(),
  denied: z.int(),
  /** Denials by their reason. */
  reasons: z.record(z.string(), z.int()),
  /** How its ALLOWs ended, by the status of the outcome; `missing` and `taken_back` too. */
  outcomes: z.record(z.string(), z.int()),
  /** What its calls took, less what their outcomes gave back. */
  cost: costSchema,
}
const touchedSchema = z
  .object({
    agent: z.string(),
    /** Whole hours. Later than asked for if there is too much to count. */
    from: z.string(),
    to: z.string(),
    /** Whether everything since the time that was asked for is counted. */
    complete: z.boolean(),
    ...touchCounts,
    /** Hours with a call or a denial, oldest first. */
    hours: z.array(
      z.object({
        /** Its begin. */
        at: z.string(),
        allowed: touchCounts.allowed,
        denied: touchCounts.denied,
        reasons: touchCounts.reasons,
      }),
    ),
    /** By tool and resource, the most used first. */
    things: z.array(
      z
        .object({
          /** The agent that acted, if it acted for this one. */
          through: z.string().optional(),
          /** Without an action: denials that were summed up. */
          action: z.string().optional(),
          type: z.string().optional(),
          resource: z.string().optional(),
          /** A tool's declared mapping made it of a call, so it does not count as a call. */
          mapped: z.literal(true).optional(),
          ...touchCounts,
          /** The time of the newest decision. */
          last: z.string(),
        })
        .meta({ id: 'touched-thing' }),
    ),
    /** How many more things there are. */
    more_things: z.int(),
  })
  .meta({ id: 'touched' })

const deniedSchema = z
  .object({
    /** Whole hours. */
    from: z.string(),
    to: z.string(),
    /** The most denied agents. A denial counts for the agent that acted. */
    agents: z.array(
      z.object({
        agent: z.string(),
        denied: z.int(),
        /** Whether all of them are among the things. */
        complete: z.boolean(),
        things: z.array(
          z.object({
            /** Without an action: denials that were summed up. */
            action: z.string().optional(),
            type: z.string().optional(),
            resource: z.string().optional(),
            denied: z.int(),
            reasons: touchCounts.reasons,
          }),
        ),
      }),
    ),
    /** How many more agents were denied something. */
    more_agents: z.int(),
  })
  .meta({ id: 'denied' })

/** All entries of the log that an action rests on, each proved to be in it; a file that `bailiwick verify` reads. */
const bundleSchema = z.object({
  v: z.literal(1),
  kind: z.literal('bailiwick-bundle'),
  about: z.string(),
  trust: z.record(z.string(), z.unknown()),
  /** A signed note, with its cosignatures. */
  checkpoint: z.string(),
  leaves: z.array(z.object({ index: z.int(), proof: z.array(z.string()), event: z.string() })),
  /** The revealed values. Absent: all are withheld. */
  values: z.array(z.object({ salt: z.string(), text: z.string() })).optional(),
})

const moment = z.iso.datetime({ offset: true })

/** How recorded decisions would differ under another policy set, or with another registry. */
export const replayedSchema = z
  .object({
    /** Recorded in that time. */
    decisions: z.int(),
    /** Those that were up to policies. */
    by_policies: z.int(),
    same: z.int(),
    denied: z.int(),
    allowed: z.int(),
    /** The log does not hold all that they depend on. */
    untold: z.int(),
    /** Entries that are not signed by a service of this installation. */
    refused: z.int(),
    /** Entries of the log that was read. */
    size: z.int(),
    /** Newest first. */
    differences: z.array(
      z.object({
        kind: z.enum(['denied', 'allowed', 'untold']),
        decision_id: z.string(),
        time: z.string(),
        agent: z.string(),
        action: z.string(),
        resource: z.string(),
        policies: z.array(z.string()),
        why: z.string(),
      }),
    ),
    /** How many more differ. */
    more: z.int(),
  })
  .meta({ id: 'replayed' })

export const evidenceRoutes = {
  ...observeRoutes,
  readLogKey: {
    method: 'GET',
    path: '/log/vkey',
    summary: 'The log’s public key, as a verifier key of C2SP signed-note',
    on: 'both',
    gives: text,
  },
  readCheckpoint: {
    method: 'GET',
    path: '/log/checkpoint',
    summary: 'The newest checkpoint (C2SP tlog-checkpoint), with its cosignatures',
    on: 'both',
    gives: text,
  },
  readTile: {
    method: 'GET',
    path: '/log/tile/*',
    summary: 'A tile or a bundle of entries (C2SP tlog-tiles)',
    on: 'both',
    params: z.strictObject({ '*': z.string().max(200) }),
    gives: 'application/octet-stream',
  },
  readProof: {
    method: 'GET',
    path: '/log/proof/:eventId',
    summary: 'The receipt of an event (C2SP tlog-proof)',
    on: 'both',
    params: eventIdParamsSchema,
    gives: text,
  },
  tellOutcomes: {
    method: 'POST',
    path: '/log/outcomes',
    summary:
      'Outcomes that an enforcement point signed, sent past the decision point; one, or several with their results',
    on: 'http',
    body: z.union([
      outcomeBodySchema,
      outcomesBodySchema.extend({
        outcomes: z.array(compactJwsSchema).min(1).max(mostOutcomes),
        answered: z.boolean().describe('whether the decision point has given its last answer of all of them'),
      }),
    ]),
    answer: outcomeResultsSchema,
    empty: 204,
  },
  proveAction: {
    method: 'GET',
    path: '/v1/bundle/*',
    summary: 'All entries that an action rests on, each proved to be in the log, for an outsider to verify',
    on: 'both',
    params: anyIdParamsSchema,
    query: bundleQuerySchema,
    answer: bundleSchema,
  },
  trace: {
    method: 'GET',
    path: '/v1/trace/*',
    summary: 'The story of an action, call, credential, grant, request, agent, approver or task, verified step by step',
    on: 'both',
    params: anyIdParamsSchema,
    query: traceQuerySchema,
    answer: z.object({
      id: z.string(),
      /** Whether every step's signatures are valid and every leaf could be read. */
      verified: z.boolean(),
      truncated: z.boolean(),
      next,
      unread,
      /** One step after the other, newest first. */
      steps: z.array(stepSchema),
      /** The same steps as trees in time. */
      trees: z.array(storyStepSchema),
      size: z.int(),
      checkpoint: z.string(),
    }),
  },
  searchEvents: {
    method: 'GET',
    path: '/v1/events',
    summary: 'The events that a search finds, newest first, not verified',
    on: 'both',
    query: eventsQuerySchema,
    answer: z.object({ events: z.array(eventViewSchema), unread, next, size: z.int() }),
  },
  readEvent: {
    method: 'GET',
    path: '/v1/events/:eventId',
    summary: 'The exact text of an event’s leaf, and its receipt (C2SP tlog-proof)',
    on: 'both',
    params: eventIdParamsSchema,
    answer: z.object({ event_id: z.string(), leaf_index: z.int(), entry: z.string(), receipt: z.string() }),
  },
  countActivity: {
    method: 'GET',
    path: '/v1/activity',
    summary: 'How often each agent got ALLOW and DENY, by the hour',
    on: 'both',
    query: activityQuerySchema,
    answer: z.object({
      from: z.string(),
      hours: z.int(),
      /** Busiest first. One number for each hour from `from` on. Denials of first tries (`proof_nonce_required`) are not counted. */
      agents: z.array(agentActivitySchema),
    }),
  },
  countTouched: {
    method: 'GET',
    path: '/v1/touched',
    summary: 'What one agent did and was denied, by tool and resource',
    on: 'both',
    query: touchedQuerySchema,
    answer: touchedSchema,
  },
  countDenied: {
    method: 'GET',
    path: '/v1/denied',
    summary: 'Which agents were denied which tools and resources',
    on: 'both',
    query: activityQuerySchema,
    answer: deniedSchema,
  },
  showValues: {
    method: 'GET',
    path: '/v1/values/*',
    summary: 'The values behind the salted hashes in events, and whether each is still available',
    on: 'operator',
    params: anyIdParamsSchema,
    query: valuesQuerySchema,
    answer: z.object({ values: z.array(shownValueSchema), next }),
  },
  replayDecisions: {
    method: 'POST',
    path: '/v1/replay',
    summary: 'Asks policies again what the log says was decided, as if the registry were another one',
    on: 'operator',
    body: z.strictObject({
      from: moment,
      to: moment,
      /** The policy set to ask, by file. Absent: the active one. */
      files: z.record(z.string().max(128), z.string()).optional(),
      /** Agents and tool servers as they would be; null: retired. */
      others: z
        .array(z.strictObject({ type: z.enum(['agent', 'tool-server']), id: z.string().max(2100), value: z.unknown() }))
        .max(64)
        .default([]),
    }),
    answer: replayedSchema,
  },
  makeReport: {
    method: 'GET',
    path: '/v1/report',
    summary: 'How agents were governed in a time, in numbers from the log, for auditors: a self-contained page',
    on: 'operator',
    query: z.strictObject({ from: moment, to: moment }),
    answer: z.object({
      html: z.string(),
      /** Whether every number is as it should be. */
      ok: z.boolean(),
    }),
  },
} as const satisfies Routes

export const evidenceApi: Api = { title: 'Bailiwick evidence', routes: evidenceRoutes }
