/** What is known of a reason, beside its name. */
interface DenialReasonRow {
  /** The step of DESIGN §7.4 that refuses. */
  step: 1 | 2 | 3 | 4 | 5 | 7 | 8
  /** What the agent can do about it. */
  remedy: string
  /** An agent may answer the denial with an access request (AuthZEN access request profile). */
  requestable?: true
  /**
   * The reason passes by itself, or once the same call is made again with a newer proof, credential or call id: how long to wait before
   * that.
   */
  retrySeconds?: number
  /** Calls without an outcome hold what is left, and may give some back: nothing was done, and the very same call may succeed. */
  reserved?: true
  /** The call took effect earlier, or may have. */
  mayHaveActed?: true
}

/**
 * Why a decision is DENY, in the order of DESIGN §7.4 (the first refusal wins), with what follows from it.
 * Stable: policies, dashboards and tests name them. docs/reference/decision-reasons.md is generated from here.
 */
export const denialReasons = {
  // 1 caller and credential
  pep_out_of_scope: {
    step: 1,
    remedy: 'The enforcement point is not registered for this resource: its operator must register it.',
  },
  credential_missing: {
    step: 1,
    requestable: true,
    remedy: 'Ask for a task: submit an access request, then call with the credential.',
  },
  credential_malformed: { step: 1, remedy: 'Obtain a new credential.' },
  credential_invalid: { step: 1, remedy: 'The credential does not verify: obtain a new one.' },
  credential_expired: { step: 1, retrySeconds: 1, remedy: 'Obtain a new credential for the same grant.' },
  credential_audience_wrong: { step: 1, remedy: 'Obtain a credential for this resource server.' },
  proof_missing: {
    step: 1,
    remedy: 'Send a DPoP proof with the credential: a bound credential is never a bearer token.',
  },
  proof_invalid: { step: 1, remedy: 'Sign the DPoP proof for exactly this call.' },
  proof_key_mismatch: { step: 1, remedy: 'Sign the proof with the key that the credential confirms.' },
  proof_replayed: { step: 1, retrySeconds: 1, remedy: 'Make a new proof for each call.' },
  proof_nonce_required: { step: 1, retrySeconds: 1, remedy: 'Repeat with the nonce of the answer.' },
  proof_action_mismatch: {
    step: 1,
    remedy: 'The proof signs another action than the one that was sent: sign what you send.',
  },
  action_digest_mismatch: {
    step: 1,
    remedy: 'The enforcement point sent another digest than its own arguments give: its operator must look.',
  },
  // 2 freshness
  state_stale: { step: 2, retrySeconds: 1, remedy: 'Wait: the decision point cannot prove that its state is fresh.' },
  // 3 life
  credential_unrecorded: {
    step: 3,
    retrySeconds: 1,
    remedy: 'The credential has no recorded intent: obtain a new one.',
  },
  credential_revoked: { step: 3, retrySeconds: 1, remedy: 'Obtain a new credential, if the grant still lives.' },
  grant_unknown: { step: 3, requestable: true, remedy: 'Ask for a task.' },
  grant_not_active: { step: 3, requestable: true, remedy: 'The grant is completed, suspended or expired: ask again.' },
  grant_not_started: { step: 3, retrySeconds: 1, remedy: 'Wait: the grant is not valid yet.' },
  grant_expired: { step: 3, requestable: true, remedy: 'Ask again.' },
  grant_revoked: { step: 3, requestable: true, remedy: 'A human withdrew the task: ask again if it is still needed.' },
  grant_agent_mismatch: {
    step: 3,
    remedy: 'The grant belongs to another agent or another instance: use your own, or ask for one.',
  },
  approval_unverified: { step: 3, remedy: 'The approval behind this grant does not verify here: report it.' },
  delegation_invalid: {
    step: 3,
    remedy: 'The delegation chain does not verify, or a rebound grant ended it: ask the delegating agent.',
  },
  delegation_expired: {
    step: 3,
    remedy: 'A delegation of the chain has expired: ask the delegating agent for another.',
  },
  delegation_revoked: { step: 3, remedy: 'A delegation of the chain was revoked: ask the delegating agent.' },
  agent_revoked: {
    step: 3,
    remedy:
      'All that the agent was granted before is revoked: ask again, since a new approval counts. An agent that the registry no longer has must be registered first.',
  },
  approver_revoked: { step: 3, requestable: true, remedy: 'What this approver approved was revoked: ask again.' },
  tool_server_revoked: {
    step: 3,
    remedy:
      'All that was granted of this tool server before is revoked: do without it, or ask again, since a new approval counts.',
  },
  everything_revoked: { step: 3, requestable: true, remedy: 'Everything granted earlier was revoked: ask again.' },
  manifest_changed: { step: 3, requestable: true, remedy: 'The tool changed since it was approved: ask again.' },
  // 4 authority
  authority_not_understood: {
    step: 4,
    remedy: 'The authority has a member that this decision point does not know: ask without it.',
  },
  action_not_granted: { step: 4, requestable: true, remedy: 'Ask for this action.' },
  argument_out_of_bounds: {
    step: 4,
    requestable: true,
    remedy: 'Stay within the limits of the grant, or ask for more.',
  },
  mapped_not_granted: {
    step: 4,
    remedy:
      'The tool’s declared mapping makes another action of the call, which was not granted beside it, or only with limits: ask for a task that has both.',
  },
  // 5 policy
  policy_denied: { step: 5, remedy: 'Policy forbids this now: do something else, or ask the owner of the agent.' },
  policy_error: { step: 5, remedy: 'A policy could not be evaluated: report it.' },
  request_invalid: { step: 5, remedy: 'The request does not fit the policy schema: correct it, or report it.' },
  step_up_required: {
    step: 5,
    requestable: true,
    remedy: 'A human must say yes to this very action: ask with the binding token, then repeat it.',
  },
  obligation_unsupported: {
    step: 5,
    remedy: 'The enforcement point cannot do what policy asks of this action: its operator must see to it.',
  },
  // 7 budget
  round_invalid: {
    step: 7,
    remedy: 'This does not go on with the call that it names, or with other arguments: make it as a call of its own.',
  },
  round_open: {
    step: 7,
    retrySeconds: 1,
    remedy: 'Repeat in a second: the outcome of the round before is not here yet.',
  },
  round_used: {
    step: 7,
    remedy: 'The call went on from this round once: make it as a call of its own.',
  },
  rounds_exhausted: {
    step: 7,
    remedy:
      'The call has had all rounds that one call may have, or began too long ago: make it as a new call, without answers.',
  },
  uses_exhausted: { step: 7, requestable: true, remedy: 'The number of uses that was approved is spent: ask again.' },
  uses_reserved: {
    step: 7,
    retrySeconds: 1,
    reserved: true,
    remedy: 'Repeat in a second: calls without an outcome hold the last uses, and may give some back.',
  },
  budget_exhausted: { step: 7, requestable: true, remedy: 'The budget of the task is spent: ask again.' },
  budget_reserved: {
    step: 7,
    retrySeconds: 1,
    reserved: true,
    remedy: 'Repeat in a second: calls without an outcome hold the rest of the budget, and may give some back.',
  },
  budget_held: {
    step: 7,
    retrySeconds: 1,
    remedy: 'Repeat when outcomes of the calls before have come: what these sent out is counted first.',
  },
  cost_invalid: {
    step: 7,
    remedy: 'The amount or currency is not one that the budget counts: use one that was approved.',
  },
  // 8 evidence and deadlines
  call_elsewhere: {
    step: 8,
    retrySeconds: 1,
    mayHaveActed: true,
    remedy:
      'This call id belongs to another replica, which may have done it, or was decided by another decision point: see what happened before you use a new id.',
  },
  call_abandoned: {
    step: 8,
    retrySeconds: 1,
    remedy: 'This call was given up before an answer left, and nothing was done: use a new id.',
  },
  call_conflict: { step: 8, mayHaveActed: true, remedy: 'This call id was used for another action: use a new id.' },
  request_too_large: {
    step: 8,
    remedy: 'What the evidence must hold of this action has no room in one event: send smaller arguments.',
  },
  state_contended: { step: 8, retrySeconds: 1, remedy: 'Repeat: the task changed three times meanwhile.' },
  evidence_unavailable: { step: 8, retrySeconds: 1, remedy: 'Wait: decisions cannot be recorded now.' },
  deadline_exceeded: { step: 8, retrySeconds: 1, remedy: 'Repeat later.' },
  internal: { step: 8, remedy: 'Report it.' },
} as const satisfies Record<string, DenialReasonRow>

export type DenialReason = keyof typeof denialReasons

const rows: Record<DenialReason, DenialReasonRow> = denialReasons

/** Whether an agent may answer the denial with an access request. */
export const isRequestable = (reason: DenialReason): boolean => rows[reason].requestable === true

/** In how many seconds the same call may be made again; undefined if that would be of no use. */
export const retrySecondsOf = (reason: DenialReason): number | undefined => rows[reason].retrySeconds

/** Whether calls without an outcome hold what is left. */
export const isReserved = (reason: DenialReason): boolean => rows[reason].reserved === true

/** Whether the call took effect earlier, or may have. */
export const mayHaveActed = (reason: DenialReason): boolean => rows[reason].mayHaveActed === true

/** Narrows a code that another process gave. */
export const isDenialReason = (code: string): code is DenialReason => Object.hasOwn(denialReasons, code)
