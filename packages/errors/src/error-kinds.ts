/**
 * Every error code that may leave a process, with the HTTP status of its problem document (RFC 9457), whether repeating
 * the same call can succeed, and its title. Codes are stable: `<noun>_<condition>`. docs/errors.md is generated from here.
 */
export const errorKinds = {
  // What a caller sent
  request_malformed: { status: 400, retryable: false, title: 'The request does not match its schema' },
  json_malformed: { status: 400, retryable: false, title: 'The body is not strict JSON' },
  content_type_unsupported: { status: 415, retryable: false, title: 'The content type is not accepted here' },
  body_too_large: { status: 413, retryable: false, title: 'The body is over the limit' },
  route_unknown: { status: 404, retryable: false, title: 'There is nothing at this path' },
  method_not_allowed: { status: 405, retryable: false, title: 'The path does not take this method' },
  request_timed_out: { status: 408, retryable: true, title: 'The request did not arrive in time' },
  headers_too_large: { status: 431, retryable: false, title: 'The header fields are over the limit' },
  event_malformed: { status: 400, retryable: false, title: 'The event does not match its schema' },
  event_too_large: { status: 413, retryable: false, title: 'The event is over 65,535 bytes' },
  event_type_unknown: { status: 400, retryable: false, title: 'The event type does not belong to its topic' },
  authority_malformed: { status: 400, retryable: false, title: 'The authority does not match its schema' },
  authority_not_understood: {
    status: 400,
    retryable: false,
    title: 'The authority has a member that is not understood',
  },

  // Who called
  caller_unauthenticated: { status: 401, retryable: false, title: 'The caller did not prove who it is' },
  caller_forbidden: { status: 403, retryable: false, title: 'The caller may not do this' },
  origin_forbidden: { status: 403, retryable: false, title: 'The request does not come from an allowed origin' },
  signature_invalid: { status: 401, retryable: false, title: 'The signature does not verify' },
  key_unknown: { status: 401, retryable: false, title: 'The key is not certified here' },
  key_purpose_wrong: { status: 401, retryable: false, title: 'The key is not certified for this purpose' },
  token_malformed: { status: 401, retryable: false, title: 'The token is not well formed' },
  token_expired: { status: 401, retryable: false, title: 'The token is not valid at this time' },
  token_audience_wrong: { status: 401, retryable: false, title: 'The token is meant for somebody else' },
  attestation_unavailable: {
    status: 503,
    retryable: true,
    title: 'The keys of the authority that vouches for the workload cannot be had',
  },
  token_replayed: { status: 401, retryable: false, title: 'The token was used before' },

  // Asking and approving
  agent_unknown: { status: 403, retryable: false, title: 'The agent is not registered' },
  access_request_unknown: { status: 404, retryable: false, title: 'There is no such access request' },
  access_request_not_pending: { status: 409, retryable: false, title: 'The access request is no longer pending' },
  access_request_expired: { status: 409, retryable: false, title: 'The access request expired before it was answered' },
  access_request_pending: { status: 409, retryable: true, title: 'Nobody has answered the access request yet' },
  access_request_refused: { status: 403, retryable: false, title: 'The access request was not approved' },
  access_request_conflict: { status: 409, retryable: false, title: 'The id was used before with another content' },
  task_expired: { status: 410, retryable: false, title: 'The task handle has expired' },
  denial_not_requestable: { status: 400, retryable: false, title: 'The denial is not one that can be asked about' },
  denial_expired: { status: 410, retryable: false, title: 'The denial can no longer be answered by a request' },
  denial_binding_invalid: {
    status: 400,
    retryable: false,
    title: 'The request cannot be bound to the denial that it says it answers',
  },
  idempotency_key_reused: {
    status: 409,
    retryable: false,
    title: 'The Idempotency-Key was used before with another body',
  },
  submission_contradicted: {
    status: 400,
    retryable: false,
    title: 'What is written around the signed ask contradicts it',
  },
  callback_forbidden: { status: 400, retryable: false, title: 'The agent is not registered for this callback' },
  invitation_invalid: { status: 403, retryable: false, title: 'The invitation does not verify, or was used' },
  approver_unknown: { status: 403, retryable: false, title: 'The approver is not enrolled' },
  approver_not_in_group: { status: 403, retryable: false, title: 'The approver is not in the group that must answer' },
  approval_rule_missing: { status: 403, retryable: false, title: 'No rule says who may approve this' },
  approval_rule_mismatch: { status: 403, retryable: false, title: 'The approval is not one that its rule allows' },
  approval_quorum_missing: { status: 403, retryable: false, title: 'Fewer people approved than the rule asks for' },
  approver_is_owner: { status: 403, retryable: false, title: 'The owner of the agent may not approve it here' },
  approver_group_changed: {
    status: 409,
    retryable: false,
    title: 'The group of approvers changed since the statement was shown',
  },
  request_not_inspectable: {
    status: 422,
    retryable: false,
    title: 'The request says something that the console cannot explain, so nobody may sign it',
  },
  approval_not_narrower: { status: 422, retryable: false, title: 'The approval asks for more than the request' },
  assertion_invalid: {
    status: 403,
    retryable: false,
    title: 'The passkey assertion does not verify over the statement',
  },
  registration_invalid: { status: 403, retryable: false, title: 'The passkey registration does not verify' },
  statement_unknown: {
    status: 409,
    retryable: false,
    title: 'The statement is unknown, used or expired: render it again',
  },
  policy_changed: {
    status: 409,
    retryable: false,
    title: 'The active policy set changed since the statement was shown',
  },
  manifest_changed: { status: 409, retryable: false, title: 'A tool manifest changed since the statement was shown' },
  registry_change_conflict: {
    status: 409,
    retryable: true,
    title: 'The registry changed since the change was proposed',
  },
  registry_change_refused: { status: 403, retryable: false, title: 'The registry change is not authorised' },

  // Grants and credentials
  grant_unknown: { status: 404, retryable: false, title: 'There is no such grant' },
  grant_not_active: { status: 409, retryable: false, title: 'The grant is not active' },
  delegation_invalid: {
    status: 400,
    retryable: false,
    title: 'The delegation does not verify, or passes on more than its parent has',
  },
  grant_version_conflict: { status: 409, retryable: true, title: 'The grant changed since it was read' },
  decision_unknown: { status: 404, retryable: true, title: 'There is no such decision' },
  outcome_mismatch: { status: 409, retryable: false, title: 'The outcome does not belong to the decision' },
  permit_invalid: { status: 403, retryable: false, title: 'The permit does not verify for this action, here and now' },
  permit_used: { status: 409, retryable: false, title: 'The permit was used before' },
  permit_action_mismatch: {
    status: 409,
    retryable: false,
    title: 'The arguments changed after the permit was given',
  },
  obligation_unknown: {
    status: 403,
    retryable: false,
    title: 'The decision has a condition that is not understood here',
  },
  call_in_progress: { status: 409, retryable: true, title: 'A call with this id is being decided' },
  entity_unknown: { status: 404, retryable: false, title: 'There is no such entity' },

  // The system itself
  state_stale: { status: 503, retryable: true, title: 'The state is not proved fresh' },
  state_contended: { status: 503, retryable: true, title: 'The state changed three times while the answer was made' },
  service_standby: { status: 503, retryable: true, title: 'This instance stands by' },
  service_unready: { status: 503, retryable: true, title: 'The service is not ready' },
  service_unreachable: { status: 503, retryable: true, title: 'The service does not answer' },
  pdp_unavailable: { status: 503, retryable: true, title: 'The policy decision point does not answer as it should' },
  answer_malformed: { status: 502, retryable: false, title: 'The service answered in a way that is not understood' },
  deadline_exceeded: { status: 503, retryable: true, title: 'The answer was not ready in time' },
  outcome_unknown: { status: 503, retryable: true, title: 'The write may or may not have happened' },
  bus_unavailable: { status: 503, retryable: true, title: 'The bus does not answer' },
  bus_locked: { status: 503, retryable: false, title: 'Another process holds the embedded bus' },
  log_locked: { status: 503, retryable: false, title: 'Another process writes this log' },
  log_inconsistent: { status: 500, retryable: false, title: 'The log does not agree with itself' },
  queue_full: { status: 429, retryable: true, title: 'Too much is waiting: try again later' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests: try again later' },
  trust_invalid: { status: 500, retryable: false, title: 'The trust anchor is missing or does not verify' },
  policies_invalid: {
    status: 422,
    retryable: false,
    title: 'The policy directory does not load: the set before stays active',
  },
  config_invalid: { status: 500, retryable: false, title: 'A setting is missing or wrong' },
  invariant_broken: { status: 500, retryable: false, title: 'What must always hold did not: nothing of it leaves' },
  internal: { status: 500, retryable: false, title: 'Something went wrong inside' },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>

export type ErrorCode = keyof typeof errorKinds
