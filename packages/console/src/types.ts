// The answers of `/console/api/…`, as far as this app reads them (services/approval/src/console).

export type RiskLevel = 'high' | 'medium' | 'low'
export type Mode = 'per_action' | 'window' | 'continuous'
export type RequestState = 'absent' | 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'withdrawn'

export interface Risk {
  level: RiskLevel
  score: number
  reasons: { level: RiskLevel; text: string }[]
}

export interface AgentView {
  id: string
  instance: string
  name: string | null
  owner: string | null
  owner_name: string | null
  labels: string[]
  attestor: string | null
}

export interface RuleView {
  id: string | null
  group: string | null
  quorum: number
  narrowing: boolean
  continuous: Continuous | null
}

/** The freshness conditions; if one lapses, the next action waits for a person. */
export interface Continuous {
  reattest_seconds: number
  outcome_seconds: number
}

export interface Part {
  number: number
  of: number
}

export interface RequestRow {
  id: string
  kind: 'access' | 'registry' | 'step_up'
  state: RequestState
  received_at: string
  changed_at: string
  expires_at: string
  closed_by: string | null
  from: AgentView | null
  proposer: string | null
  subject: string
  task: string | null
  mode: Mode | null
  lines: string[]
  limits: RowLimits | null
  risk: Risk
  part: Part | null
  reopened: string | null
  signed_by: string[]
  quorum: number | null
  why_not: string | null
}

export interface RowLimits extends Pick<Authority, 'budget' | 'max_depth' | 'max_children'> {
  /** The number of lines, counted from the first, that are permissions. */
  permissions: number
  not_before: string
  not_after: string
}

export interface Page<T> {
  items: T[]
  next?: string
}

export interface Budget {
  calls?: number
  cost?: Record<string, string>
  egress_bytes?: number
}

/** Spent and reserved together. */
export interface Taken {
  calls: number
  egress_bytes: number
  cost: Record<string, string>
  /** Calls without a report of the bytes they sent: they count as all that was left. */
  unmeasured: number
}

export interface Permission {
  actions: string[]
  resource: { type: string; id?: string; id_prefix?: string }
  /** Bounds of arguments, by JSON pointer. */
  where?: Record<string, { max?: string; [member: string]: unknown }>
  /** No argument may be present that `where` and the cost do not name. */
  arguments?: 'closed'
  max_uses?: number
}

export interface Authority {
  task: string
  permissions: Permission[]
  budget: Budget
  max_depth: number
  max_children: number
  /** The only agents to which it may be delegated; undefined: any. */
  delegates?: string[]
}

export interface Answer {
  id: string
  state: RequestState
  at: string
  by: string[]
  narrowed: boolean
  grant_id: string | null
}

interface Detail {
  id: string
  open: boolean
  state: RequestState
  received_at: string
  changed_at: string
  expires_at: string
  closed_by: string | null
  subject: string
  lines: string[]
  risk: Risk
  rule: RuleView | null
  signed_by: string[]
  may_approve: boolean
  may_deny: boolean
  why_not: string | null
}

/** A person's or an agent's own words, or why they cannot be shown. */
export type Prose = { text: string; cut: boolean } | { gone: 'erased' | 'not_kept' }

/** The text of one exact action, or why it cannot be shown. */
export type Arguments = { text: string } | { gone: 'erased' | 'not_kept' }

interface Asked extends Detail {
  from: AgentView
  instance_key: string
  attestation: { kind: string; attested_at: string | null }
  received_by: 'topic' | 'http'
  callback: string | null
  denial: { decision_id: string; reason?: string } | null
  prose: Prose | null
  /** null: the agent sent only its digest. */
  arguments: Arguments | null
  unexplained: string[]
}

export interface TaskPart {
  id: string
  number: number
  state: RequestState
  lines: string[]
  group: string | null
  quorum: number | null
  signed_by: string[]
}

export interface AccessDetail extends Asked {
  kind: 'access'
  mode: Mode
  action_digest: string | null
  rebind: 'none' | 'attested'
  not_before: string
  not_after: string
  authority: Authority | null
  labels: (string[] | null)[]
  part: Part | null
  /** All parts of the task that rules split, this one included. */
  parts: TaskPart[]
  reopened: string | null
  earlier: {
    id: string
    state: RequestState
    received_at: string
    /** Approved for less than was asked. */
    narrowed: boolean
    relation: 'same' | 'narrower' | 'wider' | 'different'
    added: string[]
    removed: string[]
  } | null
  similar: Answer[]
  answer: Answer | null
}

export interface StepUpDetail extends Asked {
  kind: 'step_up'
  /** The freshness condition that the decision point found missing; the statement says what an approval does. */
  needs: 'action' | 'task'
  action: { action_digest: string }
  /** It was approved, and this person may take the approval back. */
  may_take_back: boolean
  grant: { id: string; state: string; mode: Mode | null; not_after: string | null; lines: string[] }
}

export interface EntityDiff {
  type: string
  id: string
  verb: 'register' | 'change' | 'retire'
  before: unknown
  after: unknown
  /** What the change does, in one line. */
  effect?: string
  /** For a policy set. */
  text?: PolicyChange
}

/** The text of the policies, by file; null: there is none, or it is not stored here. */
export interface PolicyChange {
  before: Record<string, string> | null
  after: Record<string, string> | null
}

export interface RegistryDetail extends Detail {
  kind: 'registry'
  proposer: string
  /** The reason for the number of people that `rule` requires. */
  why_people: 'objection' | 'second' | 'single_operator' | 'rule' | 'two'
  diff: EntityDiff[]
  /** Rules under which nothing could be approved any more, because their group would have too few people. */
  starved: { rule: string; group: string; quorum: number; members: string[] }[]
  unexplained: string[]
}

export type RequestDetail = AccessDetail | StepUpDetail | RegistryDetail

export interface Statement {
  kind: 'approval' | 'registry' | 'step_up'
  [member: string]: unknown
}

export interface Rendered {
  statement: Statement
  statement_hash: string
  rp_id: string
  allow_credentials: { id: string; type: 'public-key' }[]
  lines: string[]
  /** The text of one exact action; null: the agent sent only its digest. */
  arguments: string | null
}

export interface Narrowed {
  authority?: unknown
  not_after?: string
  continuous?: Continuous
  /** For a step-up: approve only this action, although the task lapsed. */
  effect?: 'action'
}

export interface ApproveAnswer {
  status: 'endorsed' | 'approved'
  endorsements?: number
  grant?: 'active' | 'refused' | 'awaited'
  applied?: boolean
}

export interface Link {
  id: string
  from: AgentView
  not_after: string
  state: 'active' | 'revoked' | 'expired' | 'broken'
  lines: string[]
  budget: Budget
  taken: Taken
  may_stop: boolean
  children: Link[]
}

export interface Grant {
  id: string
  request_id: string
  state: 'active' | 'suspended' | 'completed' | 'expired' | 'revoked'
  from: AgentView
  task: string
  mode: Mode
  lines: string[]
  created_at: string
  not_after: string
  approved_by: string[]
  budget: Budget
  taken: Taken
  last_used_at: string | null
  chain: Link[]
  credentials: number
  revoked: { sequence: number; reason: string; by: string; kind: string } | null
  may_withdraw: boolean
}

export interface Agent {
  id: string
  name: string
  owner: string
  owner_name: string | null
  labels: string[]
  attestor: string
  instances: string[] | null
  proactive_requests: boolean
  pending: number
  active: number
}

export interface Rule {
  id: string
  order: number
  match: Record<string, unknown>
  approvers: { group: string; quorum: number }
  owner_may_approve: boolean
  modes: Mode[]
  max_window_seconds: number
  narrowing: boolean
  continuous?: Continuous
  closed_permissions?: boolean
  listed_delegates?: boolean
  arguments?: 'required' | 'digest_only'
  members: { id: string; name: string }[]
}

export interface RegistryEntry {
  type: string
  id: string
  version: number
  hash: string | null
  changed_at: string
  name: string | null
}

export interface Recovery {
  id: string
  approver_id: string
  name: string
  usable_from: string
}

export interface Group {
  id: string
  members: { id: string; name: string }[]
  /** The rules that this group answers. */
  rules: { id: string; quorum: number }[]
}

export interface People {
  approvers: { id: string; name: string; groups: string[]; passkeys: number }[]
  groups: Group[]
  my_passkeys: { credential_id: string; registered_at: string }[]
}

export interface Hello {
  enrolled: boolean
  installation: string
  single_operator: boolean
  /** A program approves here, and no person. */
  software_approver: boolean
}

export interface Me {
  me: { id: string; name: string; groups: string[] }
  now: string
  installation: string
  single_operator: boolean
  /** A program approves here, and no person. */
  software_approver: boolean
  people: number
  fresh: boolean
  pending: number
  recoveries: Recovery[]
}

/** One line of `/evidence/events` (services/evidence/src/index/event-view.ts). */
export interface EventRow {
  leaf_index: number
  event_id: string
  kind: string
  type: string
  time: string
  subject: string
  agent?: string
  task?: string
  approvers?: string[]
  resource?: string
  reason?: string
  status?: string
  /** Another writer's event took its place: it has no effect. */
  void?: true
}

export interface Events {
  events: EventRow[]
  next?: string
  size: number
}

/** One step of a story, with the steps that followed from it below; `data` is the event's own. */
export interface TraceStep {
  kind: string
  leaf_index: number
  event_id: string
  type: string
  time: string
  subject: string
  verified: boolean
  problem?: string
  signed_by?: string[]
  void?: true
  data: Record<string, unknown>
  steps: TraceStep[]
}

export interface Trace {
  id: string
  verified: boolean
  truncated: boolean
  next?: string
  trees: TraceStep[]
  steps: Omit<TraceStep, 'steps'>[]
  size: number
}

/** How often agents got ALLOW and DENY, for each hour from `from` on. `agent` null: all the other agents. */
export interface Activity {
  from: string
  hours: number
  agents: { agent: string | null; allowed: number[]; denied: number[] }[]
}

/** The exact text of a leaf, and its C2SP tlog-proof. `vkey` comes from approval's own configuration, not from evidence. */
export interface Receipt {
  event_id: string
  leaf_index: number
  entry: string
  receipt: string
  vkey: string
}
