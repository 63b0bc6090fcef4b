import { z } from 'zod'
import { policySetSchema, ruleSchema } from '../../entities.ts'
import {
  compactJwsSchema,
  continuousSchema,
  lineSchema,
  modeSchema,
  nameSchema,
  publicJwkSchema,
  requestIdSchema,
  sha256Schema,
  timestampSchema,
} from '../../primitives.ts'
import { saltedTextSchema } from '../../requests.ts'
import { evidenceRoutes } from '../evidence.ts'
import type { Routes } from '../route.ts'
import { eventIdParamsSchema } from '../search.ts'
import { proposedSchema, sentAssertionSchema } from './passkeys.ts'
import { stateSchema } from './state.ts'
import { grantViewSchema, recoveryViewSchema, requestDetailSchema, requestRowSchema, stopSchema } from './views.ts'

const words = z.string().trim().min(1).max(200).optional()
const agent = z.string().min(1).max(2048).optional()
const cursor = z
  .string()
  .regex(/^-?\d{1,9}_\d{1,16}_[0-9A-Za-z_-]{1,120}$/)
  .optional()
/** `through`: the position at which the next page begins, so that the answer reaches as far as that. */
const range = { cursor, through: cursor }
const searchQuery = z.strictObject({ q: words })
const requestParams = z.object({ id: requestIdSchema })
const reasonBody = z.strictObject({ reason: z.string().min(1).max(2000).optional() })
/** Each filter once. Evidence judges their values. */
const filtersQuery = z.record(z.string().regex(/^[a-z]{1,16}$/), z.string().max(2100))

const page = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    /** Where the next page begins. Absent at the end. */
    next: z.string().optional(),
  })

const countsSchema = z.object({ count: z.int(), high: z.int() })

const helloSchema = z
  .object({
    enrolled: z.boolean(),
    installation: z.string(),
    single_operator: z.boolean(),
    /** A program approves here, and no person. */
    software_approver: z.boolean(),
    rp_id: z.string(),
  })
  .meta({ id: 'hello' })

const emergencyViewSchema = z
  .object({
    request_id: z.string(),
    /** `waiting`: for signatures. `live`: a person may act. `over`: it ended and was not reviewed. */
    state: z.enum(['waiting', 'live', 'over']),
    /** The person who acts. */
    by: z.string(),
    by_name: z.string().nullable(),
    signed_by: z.array(z.string()),
    grant_id: z.string().nullable(),
    opened_at: z.string(),
    /** The end of the grant, or of the time to sign. */
    until: z.string(),
    /** Whether the signed-in person may say to have read the report: not the person who acted. */
    may_review: z.boolean(),
  })
  .meta({ id: 'emergency-view' })

const meSchema = z
  .object({
    me: z.object({ id: z.string(), name: z.string(), groups: z.array(z.string()) }),
    now: z.string(),
    installation: z.string(),
    single_operator: z.boolean(),
    /** A program approves here, and no person. */
    software_approver: z.boolean(),
    people: z.int(),
    fresh: z.boolean(),
    /** How many requests wait for this person. */
    pending: z.int(),
    /** How many requests wait for anyone. */
    pending_in_all: z.int(),
    recoveries: z.array(recoveryViewSchema),
    /** Those that wait for signatures, are live, or were not reviewed yet; newest first. */
    emergencies: z.array(emergencyViewSchema),
  })
  .meta({ id: 'me' })

const agentRowSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    owner: z.string(),
    owner_name: z.string().nullable(),
    labels: z.array(z.string()),
    attestor: z.string(),
    /** null: the registry does not hold the instances' keys. */
    instances: z.array(z.string()).nullable(),
    proactive_requests: z.boolean(),
    pending: z.int(),
    /** Grants under which it can act now, including those that were passed on to it. */
    active: z.int(),
    /** It was stopped, and nothing was approved for it since. */
    stopped: stopSchema.nullable(),
  })
  .meta({ id: 'agent-row' })

const memberSchema = z.object({ id: z.string(), name: z.string() })
const ruleRowSchema = ruleSchema.extend({ members: z.array(memberSchema) }).meta({ id: 'rule-row' })

const groupSchema = z
  .object({
    id: z.string(),
    members: z.array(memberSchema),
    /** The rules that this group answers. */
    rules: z.array(z.object({ id: z.string(), quorum: z.int() })),
  })
  .meta({ id: 'group' })

const peopleSchema = z
  .object({
    single_operator: z.boolean(),
    approvers: z.array(z.object({ id: z.string(), name: z.string(), groups: z.array(z.string()), passkeys: z.int() })),
    groups: z.array(groupSchema),
    my_passkeys: z.array(z.object({ credential_id: z.string(), registered_at: z.string() })),
    recoveries: z.array(recoveryViewSchema),
  })
  .meta({ id: 'people' })

const narrowedSchema = z
  .strictObject({
    authority: z.record(z.string(), z.unknown()).optional(),
    not_after: timestampSchema.optional(),
    continuous: continuousSchema.optional(),
    /** For a step-up: approve only this action, although the task lapsed. */
    effect: z.literal('action').optional(),
  })
  .meta({ id: 'narrowed' })

/** What a person is asked to sign, and how. */
const renderedSchema = z
  .object({
    /** The statement, whose members `statements.ts` has: the page signs it as it is, so that it names no member of its own. */
    statement: z.looseObject({ kind: z.enum(['approval', 'registry', 'step_up']) }).meta({ id: 'statement' }),
    statement_hash: z.string(),
    challenge: z.string(),
    rp_id: z.string(),
    allow_credentials: z.array(z.object({ id: z.string(), type: z.literal('public-key') })),
    lines: z.array(z.string()),
    /** The text of one exact action; null: the agent sent only its digest. */
    arguments: z.string().nullable(),
  })
  .meta({ id: 'rendered' })

const approveAnswerSchema = z
  .object({
    status: z.enum(['endorsed', 'approved']),
    /** If more people must sign. */
    endorsements: z.int().optional(),
    /** Of an access request, and of a step-up. */
    grant_id: z.string().optional(),
    /** Of an access request: whether the issuer has made the grant. */
    grant: z.enum(['active', 'refused', 'awaited']).optional(),
    /** Of a registry change: whether the issuer has made it. */
    applied: z.boolean().optional(),
    /** Of a step-up. */
    action_digest: z.string().optional(),
  })
  .meta({ id: 'approve-answer' })

const withdrawnGrantSchema = z
  .object({
    status: z.literal('withdrawn'),
    grant_id: z.string(),
    revoked_sequence: z.int(),
    acknowledged_at: z.string(),
  })
  .meta({ id: 'withdrawn-grant' })

export const stoppable = ['delegation', 'agent', 'approver', 'tool-server', 'all'] as const

/** The ask in the address that `bailiwick emergency` prints. The command's new key signs it. `purpose`: the reason in words. */
const openedEmergencySchema = z.strictObject({
  request: compactJwsSchema,
  jwk: publicJwkSchema,
  purpose: saltedTextSchema,
})

/** For signed-in people: `/console/api/…`. */
export const consoleRoutes = {
  greet: {
    method: 'GET',
    path: '/console/api/hello',
    summary: 'The installation, for people who are not signed in',
    on: 'http',
    answer: helloSchema,
  },
  whoAmI: {
    method: 'GET',
    path: '/console/api/me',
    summary: 'The signed-in person, and the state of the installation',
    on: 'http',
    answer: meSchema,
  },
  readState: {
    method: 'GET',
    path: '/console/api/state',
    summary: 'Open requests and recent grants, in one answer',
    on: 'http',
    answer: stateSchema,
  },
  listRequests: {
    method: 'GET',
    path: '/console/api/requests',
    summary: 'A page of requests: riskiest first while they wait, newest first afterwards',
    on: 'http',
    query: z.strictObject({
      state: z.enum(['pending', 'answered']).default('pending'),
      kind: z.enum(['access', 'registry', 'step_up']).optional(),
      /** Only what waits for this person. */
      mine: z.literal('true').optional(),
      risk: z.enum(['high', 'medium', 'low']).optional(),
      mode: modeSchema.optional(),
      /** The id of the rule that applies. */
      rule: nameSchema.optional(),
      /** Only what was received until then; the answer says how many came since. */
      until: timestampSchema.optional(),
      agent,
      q: words,
      ...range,
    }),
    answer: page(requestRowSchema).extend({
      pending: z.int(),
      now: z.string(),
      /** Of what came after `until`, on the first page: how many, and how many of them are of high risk. */
      arrived: countsSchema,
      /** On the first page: how many waiting requests a filter or a search hides, and how many of those have a high risk. */
      beyond: countsSchema,
    }),
  },
  readRequest: {
    method: 'GET',
    path: '/console/api/requests/:id',
    summary: 'Everything that a person needs to answer one request',
    on: 'http',
    params: requestParams,
    answer: requestDetailSchema,
  },
  listGrants: {
    method: 'GET',
    path: '/console/api/grants',
    summary: 'A page of grants, newest first',
    on: 'http',
    query: z.strictObject({ state: z.enum(['active', 'ended', 'all']).default('active'), agent, q: words, ...range }),
    answer: page(grantViewSchema),
  },
  listAgents: {
    method: 'GET',
    path: '/console/api/agents',
    summary: 'Agents by name, with what they hold and what they wait for',
    on: 'http',
    query: searchQuery,
    answer: z.object({ total: z.int(), items: z.array(agentRowSchema) }),
  },
  readAgent: {
    method: 'GET',
    path: '/console/api/agents/*',
    summary: 'One agent by its SPIFFE ID: what it is, what it holds, and its newest stop',
    on: 'http',
    params: z.strictObject({
      '*': z
        .string()
        .regex(/^spiffe:\/\/\S+$/)
        .max(2048),
    }),
    answer: z.object({
      id: z.string(),
      /** null: the registry has no agent of this name now. */
      agent: agentRowSchema.nullable(),
      /** Whether this person may stop it. */
      may_stop: z.boolean(),
      /** Its newest stop, or the newest stop of every agent. An approval since does not hide it. */
      stop: stopSchema.nullable(),
    }),
  },
  listRules: {
    method: 'GET',
    path: '/console/api/rules',
    summary: 'Rules in the order in which they are tried',
    on: 'http',
    answer: z.object({ policy_set: policySetSchema.nullable(), items: z.array(ruleRowSchema) }),
  },
  followChanges: {
    method: 'GET',
    path: '/console/api/events',
    summary: 'Says when to look again, as server-sent events; at most as long as the session',
    on: 'http',
    /** The stream begins with what changed since then: the `now` of an earlier answer. */
    query: z.strictObject({ since: timestampSchema.optional() }),
    gives: 'text/event-stream',
  },
  makeStatement: {
    method: 'POST',
    path: '/console/api/requests/:id/statement',
    summary: 'The statement to sign, after what the person narrowed',
    on: 'http',
    params: requestParams,
    body: narrowedSchema,
    answer: renderedSchema,
  },
  approve: {
    method: 'POST',
    path: '/console/api/requests/:id/approve',
    summary: 'Approves with a passkey’s signature of the statement',
    on: 'http',
    params: requestParams,
    body: z.strictObject({ statement_hash: sha256Schema, assertion: sentAssertionSchema }),
    answer: approveAnswerSchema,
  },
  deny: {
    method: 'POST',
    path: '/console/api/requests/:id/deny',
    summary: 'Denies a request',
    on: 'http',
    params: requestParams,
    body: reasonBody,
    answer: z.object({ status: z.literal('denied') }),
  },
  withdraw: {
    method: 'POST',
    path: '/console/api/requests/:id/withdraw',
    summary: 'Takes an approval back; the answer means that the revocation is durable and counts',
    on: 'http',
    params: requestParams,
    body: reasonBody,
    answer: z.union([
      withdrawnGrantSchema,
      // A step-up has no grant that could be revoked.
      z.object({ status: z.literal('withdrawn'), acknowledged_at: z.string() }),
    ]),
  },
  openEmergency: {
    method: 'POST',
    path: '/console/api/emergencies',
    summary: 'Opens an emergency for the signed-in person: two people must still sign it',
    on: 'http',
    body: openedEmergencySchema,
    answer: z.object({ request_id: z.string() }),
  },
  reviewEmergency: {
    method: 'POST',
    path: '/console/api/emergencies/:id/review',
    summary: 'Records that a person who did not act read the report of an emergency',
    on: 'http',
    params: requestParams,
    answer: z.object({ status: z.literal('reviewed') }),
  },
  stop: {
    method: 'POST',
    path: '/console/api/stops',
    summary: 'Stops what was granted so far; the answer means that the revocation is durable and counts',
    on: 'http',
    body: z.strictObject({
      kind: z.enum(stoppable),
      target: z.string().min(1).max(2100),
      reason: z.string().min(1).max(2000).optional(),
    }),
    answer: z.object({
      status: z.literal('stopped'),
      revocation_id: z.string(),
      revoked_sequence: z.int(),
      acknowledged_at: z.string(),
    }),
  },
  listPeople: {
    method: 'GET',
    path: '/console/api/people',
    summary: 'The enrolled people, their groups and pending recoveries',
    on: 'http',
    answer: peopleSchema,
  },
  invite: {
    method: 'POST',
    path: '/console/api/invitations',
    summary: 'A link by which one person registers a passkey',
    on: 'http',
    body: z.strictObject({ approver_id: nameSchema, name: lineSchema, groups: z.array(nameSchema).max(32) }),
    answer: z.object({ code: z.string(), link: z.string(), expires_at: z.string() }),
  },
  retireRecovery: {
    method: 'POST',
    path: '/console/api/recoveries/:id/retire',
    summary: 'Proposes to retire a recovery',
    on: 'http',
    params: z.object({ id: nameSchema }),
    body: z.strictObject({}),
    answer: proposedSchema,
  },
  searchEvidence: {
    method: 'GET',
    path: '/console/api/evidence/events',
    summary: 'Evidence’s `searchEvents`, for signed-in people',
    on: 'http',
    query: filtersQuery,
    answer: evidenceRoutes.searchEvents.answer,
  },
  countActivity: {
    method: 'GET',
    path: '/console/api/evidence/activity',
    summary: 'Evidence’s `countActivity`, for signed-in people',
    on: 'http',
    query: filtersQuery,
    answer: evidenceRoutes.countActivity.answer,
  },
  countTouched: {
    method: 'GET',
    path: '/console/api/evidence/touched',
    summary: 'Evidence’s `countTouched`, for signed-in people',
    on: 'http',
    query: filtersQuery,
    answer: evidenceRoutes.countTouched.answer,
  },
  countDenied: {
    method: 'GET',
    path: '/console/api/evidence/denied',
    summary: 'Evidence’s `countDenied`, for signed-in people',
    on: 'http',
    query: filtersQuery,
    answer: evidenceRoutes.countDenied.answer,
  },
  traceEvidence: {
    method: 'GET',
    path: '/console/api/evidence/trace/*',
    summary: 'Evidence’s `trace`, for signed-in people',
    on: 'http',
    params: z.strictObject({ '*': z.string().min(1).max(2100) }),
    query: filtersQuery,
    answer: evidenceRoutes.trace.answer,
  },
  proveAction: {
    method: 'GET',
    path: '/console/api/evidence/bundle/*',
    summary: 'Evidence’s `proveAction`, for signed-in people; the words behind salted hashes are withheld',
    on: 'http',
    params: z.strictObject({ '*': z.string().min(1).max(2100) }),
    answer: evidenceRoutes.proveAction.answer,
  },
  makeReport: {
    method: 'GET',
    path: '/console/api/evidence/report',
    summary: 'Evidence’s `makeReport`, for signed-in people, where evidence is on the same machine',
    on: 'http',
    query: evidenceRoutes.makeReport.query,
    answer: evidenceRoutes.makeReport.answer,
  },
  readValues: {
    method: 'GET',
    path: '/console/api/evidence/values/:eventId',
    summary: 'The words and the kept call of one event, for signed-in people, where evidence is on the same machine',
    on: 'http',
    params: z.strictObject({ eventId: z.string().regex(/^evt_[0-9A-Za-z_-]{8,120}$/, 'not an event id') }),
    answer: evidenceRoutes.showValues.answer,
  },
  readReceipt: {
    method: 'GET',
    path: '/console/api/evidence/events/:eventId',
    summary: 'Evidence’s `readEvent`, and the key that must have signed it',
    on: 'http',
    params: eventIdParamsSchema,
    // The key is from approval's own configuration: a receipt that brought its own key would prove nothing.
    answer: evidenceRoutes.readEvent.answer.extend({ vkey: z.string() }).meta({ id: 'receipt' }),
  },
} as const satisfies Routes
