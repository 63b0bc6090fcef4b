import { claimedTokens } from '@bailiwick/credentials'
import { moneySpent } from '@bailiwick/verify'
import type { Decision, Story } from './story.ts'
import { agentUser, aiAgent, unknownUser } from './tell-approvals.ts'
import { failure, type LeafEventOf, type Severity, success, type Told } from './told.ts'
import { printable } from './words.ts'

type Action = NonNullable<Decision['action']>
type Activity = Told<'api_activity'>

/** The activities of HTTP methods (RFC 9110 §9). Tools are only called; their activity is unknown. */
const activities: Readonly<Record<string, Activity['activity']>> = {
  GET: 2,
  HEAD: 2,
  POST: 1,
  PUT: 3,
  PATCH: 3,
  DELETE: 4,
}

const verdicts = {
  ALLOW: { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed' },
  DENY: { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked' },
  OBSERVED: { action_id: 3, action: 'Observed', disposition_id: 17, disposition: 'Logged' },
} as const

/** The PDP allowed an action, denied it, or took an ALLOW back. */
export function tellDecision(
  event: LeafEventOf<'decision.allowed'> | LeafEventOf<'decision.denied'> | LeafEventOf<'decision.abandoned'>,
  story: Story,
): Activity {
  if (event.type === 'decision.abandoned') {
    const { decision_id } = event.data
    return {
      ...activity(story.decision, story, { verdict: 'OBSERVED', requestUid: decision_id }),
      severity: 1,
      status: { id: 99, caption: 'Abandoned' },
      message: `Taken back: the decision ${decision_id} was never answered`,
      says: { ...saysOf(story.decision), decision_id, grant_id: event.data.grant_id, decision: 'ABANDONED' },
    }
  }
  const { data } = event
  const allowed = event.type === 'decision.allowed'
  const reason = allowed ? 'allowed' : event.data.reason
  return {
    ...activity(data, story, { verdict: allowed ? 'ALLOW' : 'DENY', requestUid: data.call_id ?? data.decision_id }),
    severity: allowed ? 1 : 2,
    status: allowed ? success : failure(reason),
    message: `${allowed ? 'Allowed' : `Denied (${reason})`}: ${actionText(data.action)}, by ${printable(who(data) ?? 'an unknown caller')}`,
    says: {
      ...saysOf(data),
      decision: allowed ? 'ALLOW' : 'DENY',
      reason,
      ...some('reserved', allowed ? moneyOf(event.data.reserved.cost) : undefined),
    },
  }
}

const outcomes: Record<LeafEventOf<'outcome.reported'>['data']['status'], [Severity, Activity['status']]> = {
  succeeded: [1, success],
  failed: [2, failure('failed')],
  continued: [1, { id: 99, caption: 'Continued', code: 'continued' }],
  not_executed: [1, failure('not_executed')],
  not_observed: [1, { id: 0, caption: 'Unknown', code: 'not_observed' }],
  unknown: [3, { id: 0, caption: 'Unknown', code: 'unknown' }],
}

/** An enforcement point's signed report of what happened. */
export function tellOutcome({ data }: LeafEventOf<'outcome.reported'>, story: Story): Activity {
  const { decision_id, enforcement_point, grant_id, status: outcome } = data
  const { decision } = story
  const model = modelOf(decision?.action)
  const tokens = claimedTokens(data.outcome)
  const [severity, status] = outcomes[outcome]
  const told = activity(story.decision, story, {
    verdict: 'OBSERVED',
    requestUid: decision_id,
    point: enforcement_point,
  })
  return {
    ...told,
    severity,
    ...(status === undefined ? {} : { status }),
    message: `Outcome ${outcome}: ${actionText(story.decision?.action)}, says ${enforcement_point}`,
    body: {
      ...told.body,
      api: { ...told.body.api, response: { message: outcome } },
      ...some(
        'message_context',
        model === undefined || tokens === undefined
          ? undefined
          : {
              service: { name: model.ai_provider },
              prompt_tokens: tokens.input,
              completion_tokens: tokens.output,
              total_tokens: tokens.input + tokens.output,
            },
      ),
    },
    says: {
      ...saysOf(decision),
      ...{ decision_id, grant_id, enforcement_point, outcome },
      ...some(
        'spent',
        decision && 'reserved' in decision
          ? moneyOf(moneySpent(decision.reserved.cost, data.released.cost))
          : undefined,
      ),
    },
  }
}

/** The denials of one minute that were counted instead of reported one by one. */
export function tellDenials({ data }: LeafEventOf<'denials.summarised'>): Activity {
  const told = activity(undefined, {}, { verdict: 'DENY', requestUid: data.from })
  const count = data.denials.reduce((sum, denial) => sum + denial.count, 0)
  return {
    ...told,
    activityName: 'Denials Summarised',
    severity: 2,
    status: failure('denials_summarised'),
    message: `Denied: ${count} calls of one minute, counted`,
    body: {
      ...told.body,
      ...(count > 0 ? { count } : {}),
      start_time: Date.parse(data.from),
      end_time: Date.parse(data.to),
    },
    says: { decision: 'DENY', details: { denials: data.denials } },
  }
}

/** The answers that a candidate policy set would have given. They had no effect on decisions. */
export function tellCandidate({ data: { candidate, answers } }: LeafEventOf<'candidate.answered'>): Activity {
  const told = activity(undefined, {}, { verdict: 'OBSERVED', requestUid: candidate })
  const otherwise = answers.filter((answer) => answer.candidate !== answer.active).length
  return {
    ...told,
    activityName: 'Candidate Answered',
    status: success,
    message: `A candidate policy set answered beside the active one, ${answers.length} decisions, ${otherwise} of them otherwise`,
    body: { ...told.body, count: answers.length },
    says: { details: { candidate, answers } },
  }
}

function activity(
  decision: Decision | undefined,
  story: Story,
  { verdict, requestUid, point }: { verdict: keyof typeof verdicts; requestUid: string; point?: string },
): Activity {
  const { action, actor } = decision ?? {}
  const agent = decision === undefined ? story.grant?.agent : who(decision)
  const user = agent === undefined ? unknownUser : agentUser(agent)
  const service = point ?? decision?.enforcement_point
  const policySet = decision?.policy_set
  return {
    class: 'api_activity',
    activity: activities[action?.name ?? ''] ?? 99,
    activityName: action?.name ?? 'Unknown',
    severity: 1,
    message: '',
    body: {
      actor: {
        user,
        ...(actor?.grant_id === undefined
          ? {}
          : {
              session: {
                uid: actor.grant_id,
                issuer: 'bailiwick',
                ...(actor.credential_id === undefined ? {} : { credential_uid: actor.credential_id }),
              },
            }),
      },
      ...(agent === undefined ? {} : { ai_agent: aiAgent(agent, story.agentName) }),
      ...some('ai_model', modelOf(action)),
      api: {
        operation: action?.name ?? 'unknown',
        request: { uid: requestUid, ...(action?.arguments === undefined ? {} : { data: action.arguments }) },
        ...(service === undefined ? {} : { service: { name: service } }),
      },
      ...(action === undefined ? {} : { resources: [resourceOf(action, decision)] }),
      src_endpoint: { name: agent ?? 'unknown' },
      ...(service === undefined ? {} : { dst_endpoint: { svc_name: service } }),
      ...verdicts[verdict],
      ...(verdict === 'OBSERVED'
        ? {}
        : {
            authorizations: [
              {
                decision: verdict,
                ...(policySet === undefined
                  ? {}
                  : { policy: { uid: policySet, name: 'active policy set', is_applied: true } }),
              },
            ],
          }),
    },
    says: {},
  }
}

/** The model of an action on one, by the server of the registry and the name that the provider has for it. */
function modelOf(action: Action | undefined): { ai_provider: string; name: string } | undefined {
  const [, ai_provider, name] = (action?.resource.type === 'model' && /^([^/]+)\/(.+)$/s.exec(action.resource.id)) || []
  return ai_provider === undefined || name === undefined ? undefined : { ai_provider, name }
}

type Money = Record<string, string>

const moneyOf = (cost: Money): Money | undefined => (Object.keys(cost).length === 0 ? undefined : cost)

const some = <K extends string, V>(name: K, value: V | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { [name in K]?: V }

const who = ({ actor }: Decision) => actor?.sub_agent ?? actor?.agent

const resourceOf = ({ resource }: Action, decision: Decision | undefined) => ({
  uid: resource.id,
  type: resource.type,
  ...(decision !== undefined && 'labels' in decision && decision.labels.length > 0 ? { labels: decision.labels } : {}),
})

const actionText = (action: Action | undefined) =>
  action === undefined ? 'an action' : printable(`${action.name} on ${action.resource.type}:${action.resource.id}`)

function saysOf(decision: Decision | undefined): Activity['says'] {
  if (decision === undefined) return {}
  const { actor, action, policies } = decision
  const agent = who(decision)
  return {
    decision_id: decision.decision_id,
    ...some('agent', agent),
    ...some('task', actor?.task),
    ...some('request_id', actor?.request_id),
    ...some('grant_id', actor?.grant_id),
    ...some('credential_id', actor?.credential_id),
    ...some('enforcement_point', decision.enforcement_point),
    ...some('action_digest', action && 'action_digest' in action ? action.action_digest : undefined),
    ...some('policy_set', decision.policy_set),
    ...some('policies', policies),
  }
}
