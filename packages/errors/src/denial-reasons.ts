/**
 * Why a decision is DENY, in the order of DESIGN §7.4 (the first refusal wins), with what the agent can do about it.
 * Stable: policies, dashboards and tests name them. docs/decision-reasons.md is generated from here.
 */
export const denialReasons = {
  // 1 caller and credential
  pep_out_of_scope: 'The enforcement point is not registered for this resource: its operator must register it.',
  credential_missing: 'Ask for a task: submit an access request, then call with the credential.',
  credential_malformed: 'Obtain a new credential.',
  credential_invalid: 'The credential does not verify: obtain a new one.',
  credential_expired: 'Obtain a new credential for the same grant.',
  credential_audience_wrong: 'Obtain a credential for this resource server.',
  proof_missing: 'Send a DPoP proof with the credential: a bound credential is never a bearer token.',
  proof_invalid: 'Sign the DPoP proof for exactly this call.',
  proof_key_mismatch: 'Sign the proof with the key that the credential confirms.',
  proof_replayed: 'Make a new proof for each call.',
  proof_nonce_required: 'Repeat with the nonce of the answer.',
  proof_action_mismatch: 'The proof signs another action than the one that was sent: sign what you send.',
  action_digest_mismatch:
    'The enforcement point sent another digest than its own arguments give: its operator must look.',
  // 2 freshness
  state_stale: 'Wait: the decision point cannot prove that its state is fresh.',
  // 3 life
  credential_unrecorded: 'The credential has no recorded intent: obtain a new one.',
  credential_revoked: 'Obtain a new credential, if the grant still lives.',
  grant_unknown: 'Ask for a task.',
  grant_not_active: 'The grant is completed, suspended or expired: ask again.',
  grant_not_started: 'Wait: the grant is not valid yet.',
  grant_expired: 'Ask again.',
  grant_revoked: 'A human withdrew the task: ask again if it is still needed.',
  grant_agent_mismatch: 'The grant belongs to another agent or another instance: use your own, or ask for one.',
  approval_unverified: 'The approval behind this grant does not verify here: report it.',
  delegation_invalid: 'The delegation chain does not verify, or a rebound grant ended it: ask the delegating agent.',
  delegation_expired: 'A delegation of the chain has expired: ask the delegating agent for another.',
  delegation_revoked: 'A delegation of the chain was revoked: ask the delegating agent.',
  agent_revoked:
    'All that the agent was granted before is revoked: ask again, since a new approval counts. An agent that the registry no longer has must be registered first.',
  approver_revoked: 'What this approver approved was revoked: ask again.',
  tool_server_revoked:
    'All that was granted of this tool server before is revoked: do without it, or ask again, since a new approval counts.',
  everything_revoked: 'Everything granted earlier was revoked: ask again.',
  manifest_changed: 'The tool changed since it was approved: ask again.',
  // 4 authority
  authority_not_understood: 'The authority has a member that this decision point does not know: ask without it.',
  action_not_granted: 'Ask for this action.',
  argument_out_of_bounds: 'Stay within the limits of the grant, or ask for more.',
  // 5 policy
  policy_denied: 'Policy forbids this now: do something else, or ask the owner of the agent.',
  policy_error: 'A policy could not be evaluated: report it.',
  request_invalid: 'The request does not fit the policy schema: correct it, or report it.',
  step_up_required: 'A human must say yes to this very action: ask with the binding token, then repeat it.',
  obligation_unsupported:
    'The enforcement point cannot do what policy asks of this action: its operator must see to it.',
  // 7 budget
  uses_exhausted: 'The number of uses that was approved is spent: ask again.',
  uses_reserved: 'Repeat in a second: calls without an outcome hold the last uses, and may give some back.',
  budget_exhausted: 'The budget of the task is spent: ask again.',
  budget_reserved: 'Repeat in a second: calls without an outcome hold the rest of the budget, and may give some back.',
  budget_held: 'Repeat when outcomes of the calls before have come: what these sent out is counted first.',
  cost_invalid: 'The amount or currency is not one that the budget counts: use one that was approved.',
  // 8 evidence and deadlines
  call_elsewhere:
    'This call id belongs to another replica, which may have done it, or was decided by another decision point: see what happened before you use a new id.',
  call_abandoned: 'This call was given up before an answer left, and nothing was done: use a new id.',
  call_conflict: 'This call id was used for another action: use a new id.',
  request_too_large: 'What the evidence must hold of this action has no room in one event: send smaller arguments.',
  state_contended: 'Repeat: the task changed three times meanwhile.',
  evidence_unavailable: 'Wait: decisions cannot be recorded now.',
  deadline_exceeded: 'Repeat later.',
  internal: 'Report it.',
} as const satisfies Record<string, string>

export type DenialReason = keyof typeof denialReasons

const transient: ReadonlySet<DenialReason> = new Set<DenialReason>([
  'credential_expired',
  'proof_replayed',
  'proof_nonce_required',
  'state_stale',
  'credential_unrecorded',
  'credential_revoked',
  'grant_not_started',
  'uses_reserved',
  'budget_reserved',
  'budget_held',
  'call_elsewhere',
  'call_abandoned',
  'state_contended',
  'evidence_unavailable',
  'deadline_exceeded',
])

/** Whether the reason passes by itself, or once the same call is made again with a newer proof, credential or call id. */
export const isTransient = (reason: DenialReason): boolean => transient.has(reason)

/** How long to wait before the call is made again after a transient denial. */
export const denialRetrySeconds = 1
