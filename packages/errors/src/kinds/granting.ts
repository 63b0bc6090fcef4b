import type { ErrorKind } from './error-kind.ts'

/** Grants, credentials, calls and their outcomes. */
export const grantingErrors = {
  grant_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such grant',
    cause: 'The id is wrong, or the grant is another agent’s.',
    fix: 'Use the grant that the answered request names, or ask for a task.',
  },
  grant_not_active: {
    status: 409,
    retryable: false,
    title: 'The grant is not active',
    cause: 'The grant is completed, revoked, suspended, expired, or not valid yet.',
    fix: 'Ask again if the task is still needed.',
  },
  delegation_invalid: {
    status: 400,
    retryable: false,
    title: 'The delegation does not verify, or passes on more than its parent has',
    cause:
      'A link of the chain is wider, lives longer, goes deeper or is signed by another key than its parent allows. `detail` names the fault.',
    fix: 'Have the delegating agent sign a narrower delegation.',
  },
  decision_unknown: {
    status: 404,
    retryable: true,
    title: 'There is no such decision',
    cause: 'The id is wrong, or this decision point has not read the decision yet.',
    fix: 'Repeat in a second. If it stays so, compare the id with the permit.',
  },
  outcome_mismatch: {
    status: 409,
    retryable: false,
    title: 'The outcome does not belong to the decision',
    cause:
      'The outcome names another action or another instance, the decision was taken back, or has another outcome already.',
    fix: 'Report one outcome for each permit, over the action that the permit signs. The finding in the log names both.',
  },
  outcome_sequence_reused: {
    status: 409,
    retryable: false,
    title: 'The instance of the enforcement point gave this number to another outcome',
    cause: 'Two processes use one outcome file, or the file was put back from a copy.',
    fix: 'Give each process its own file, and never restore one. A new start is a new instance with its own numbers.',
  },
  outcomes_unverified: {
    status: 503,
    retryable: true,
    title: 'The decision point cannot verify what this enforcement point signs',
    cause: 'The registry has another outcome key for this enforcement point than the one it signs with.',
    fix: 'Start the enforcement point with the registered key, or register the one that it has. Its kept outcomes then count.',
  },
  permit_invalid: {
    status: 403,
    retryable: false,
    title: 'The permit does not verify for this action, here and now',
    cause:
      'The permit is expired, for another enforcement point or action, or signed by an unknown key. Often a clock is wrong, or the point is older than the decision point.',
    fix: 'Compare the clocks and the versions of both. Then make the call again.',
  },
  permit_used: {
    status: 409,
    retryable: false,
    title: 'The permit was used before',
    cause: 'One call came twice with one permit.',
    fix: 'Make a new call for each action.',
  },
  permit_action_mismatch: {
    status: 409,
    retryable: false,
    title: 'The arguments changed after the permit was given',
    cause: 'The handler, or code before it, changed the action after it was decided.',
    fix: 'Decide last: change arguments before the enforcement point sees them.',
  },
  obligation_unknown: {
    status: 403,
    retryable: false,
    title: 'The decision has a condition that is not understood here',
    cause: 'A policy obliges to something that this enforcement point does not know, or the permit does not sign it.',
    fix: 'Update the enforcement point, or change the policy.',
  },
  obligation_failed: {
    status: 503,
    retryable: true,
    title: 'An obligation of the decision could not be met, so nothing was done',
    cause: 'A notification could not be sent before the call, or an answer would have come too late.',
    fix: 'Check the receiver of notifications, and call again.',
  },
  answer_withheld: {
    status: 502,
    retryable: false,
    title: 'The action was done, and its answer may not leave: it is longer than allowed, or holds what must be hidden',
    cause: 'The answer is longer than the decision allows, or has no form in which fields can be hidden.',
    fix: 'Ask for less data, or change the policy. Do not repeat the call blindly: the action was done.',
  },
  call_in_progress: {
    status: 409,
    retryable: true,
    title: 'A call with this id is being decided',
    cause: 'The same call came twice at once.',
    fix: 'Wait for the first answer, or repeat as `Retry-After` says.',
  },
  entity_unknown: {
    status: 404,
    retryable: false,
    title: 'There is no such entity',
    cause: 'The name is wrong, or the part of the log is not under a checkpoint yet.',
    fix: 'Compare the name with `bailiwick registry list`. For a log, repeat after its next checkpoint.',
  },
} as const satisfies Record<string, ErrorKind>
