import type { ExamplesOf } from './shape.ts'
import {
  actionDigest,
  at,
  callId,
  credentialId,
  decisionId,
  delegationId,
  grantId,
  id,
  instance,
  jws,
  pointInstance,
  requestId,
  salted,
  sha256,
  subAgent,
} from './values.ts'

const actor = {
  agent: instance,
  credential_id: credentialId,
  grant_id: grantId,
  request_id: requestId,
  task: 'reconcile-q3-invoices',
}
const action = {
  name: 'tools/call',
  resource: { type: 'tool', id: 'adjustments.post' },
  call: salted('call'),
  arguments: { '/amount': '120.50', '/currency': 'EUR' },
}
/** The form of an action whose digest a human signed. */
const { call: _, ...named } = action
const digested = { ...named, action_digest: actionDigest }
const reserved = { calls: 1, cost: { EUR: '120.50' }, egress_bytes: 0 }
const nothing = { calls: 0, cost: {}, egress_bytes: 0 }
const outcome = {
  decision_id: decisionId,
  grant_id: grantId,
  enforcement_point: 'erp-gateway',
  sequence: 42,
  status: 'succeeded' as const,
  released: nothing,
  outcome: jws('outcome'),
}

const allowed = {
  decision_id: decisionId,
  call_id: callId,
  enforcement_point: 'erp-gateway',
  instance: pointInstance,
  actor,
  action,
  permission: 1,
  proof: 'agent_signed' as const,
  proof_id: sha256('proof'),
  reserved,
  labels: ['external'],
  policy_set: sha256('policy-set'),
  policies: ['allow-approved-tools'],
  obligations: [
    { id: 'redact', type: 'custom', properties: { vendor: 'bailiwick', action: 'redact', fields: ['iban'] } },
  ],
  outcome_due: at(5),
  as_of: 7,
}

const { instance: __, ...withoutInstance } = allowed

export const decisions: ExamplesOf<'decisions.v1'> = {
  'decision.allowed': {
    'an adjustment': allowed,
    'at a point that states no instance': withoutInstance,
    'of the action that a human signed': { ...allowed, action: digested },
    'a call of a model': {
      ...allowed,
      action: { ...action, name: 'model/invoke', resource: { type: 'model', id: 'acme/small' }, arguments: {} },
      reserved: { calls: 1, cost: { USD: '0.0421' }, egress_bytes: 0 },
    },
    'of a tool that declares a mapping': {
      ...allowed,
      mapped: [{ name: 'read_customer', resource: { type: 'customer', id: 'customer-7' } }],
    },
    'a further round of a call': {
      ...allowed,
      reserved: { calls: 0, cost: {}, egress_bytes: 0 },
      continues: { decision_id: decisionId, asked: jws('continuation') },
    },
    'by a sub-agent': {
      ...allowed,
      actor: { ...actor, delegation_id: delegationId, sub_agent: subAgent },
      chain: [{ delegation_id: delegationId, agent: subAgent, permission: 0 }],
    },
  },
  'decision.denied': {
    'an amount over the limit': {
      decision_id: decisionId,
      call_id: callId,
      reason: 'argument_out_of_bounds',
      enforcement_point: 'erp-gateway',
      actor,
      action: { ...named, arguments: { '/amount': 900, '/currency': 'EUR' } },
      policy_set: sha256('policy-set'),
      policies: [],
      requestable: true,
    },
    'a call by a sub-agent of a sub-agent': {
      decision_id: decisionId,
      reason: 'policy_denied',
      actor: { ...actor, delegation_id: delegationId, sub_agent: subAgent },
      between: [`${subAgent}x`],
      requestable: false,
    },
    'a call without a credential': {
      decision_id: decisionId,
      reason: 'credential_missing',
      actor: { agent: instance },
      requestable: true,
    },
  },
  'decision.abandoned': {
    'not durable in time': { decision_id: decisionId, grant_id: grantId, call_id: callId },
  },
  'outcome.reported': {
    succeeded: outcome,
    'not executed, by a point that may release': { ...outcome, status: 'not_executed', released: reserved },
    'of a call that its server answered with questions': { ...outcome, status: 'continued' },
    'of a proxy that another point decided for': { ...outcome, status: 'not_observed' },
  },
  'outcome.missing': { 'past its due time': { decision_id: decisionId, grant_id: grantId, due: at(5) } },
  'outcome.refused': {
    'a second one of the decision': {
      decision_id: decisionId,
      grant_id: grantId,
      enforcement_point: 'erp-gateway',
      code: 'outcome_mismatch',
      outcome: jws('another-outcome'),
    },
  },
  'denials.summarised': {
    'of one minute': {
      from: at(4),
      to: at(5),
      denials: [{ subject: instance, reason: 'rate_limited', count: 731 }],
    },
  },
  'candidate.answered': {
    'of two decisions': {
      candidate: sha256('candidate'),
      answers: [
        { decision_id: decisionId, policy_set: sha256('policy-set'), active: 'allow', candidate: 'allow' },
        {
          decision_id: id('dec', 'another'),
          policy_set: sha256('policy-set'),
          active: 'allow',
          candidate: 'deny',
          policies: ['no-payments-at-night'],
        },
      ],
    },
  },
  'engines.differed': {
    'about one policy': {
      policy_set: sha256('policy-set'),
      compiled: { outcome: 'allow', policies: ['payments-by-day'] },
      cedar: { outcome: 'deny', policies: ['no-payments-at-night'] },
    },
  },
}

const attachmentId = id('att', 'purpose')
const stored = {
  attachment_id: attachmentId,
  about: requestId,
  salt: 'salt-of-sixteen-bytes0',
  text: 'Reconcile the invoices of the third quarter.',
  ...salted('purpose'),
}

export const attachmentExamples: ExamplesOf<'attachments.approval.v1'> & ExamplesOf<'attachments.policy-decision.v1'> =
  {
    'attachment.stored': { prose: stored },
    'attachment.erased': {
      'at the wish of a person': {
        attachment_id: attachmentId,
        about: requestId,
        by: 'operator',
        reason: 'data_subject_request',
      },
    },
  }
