import { entities } from './entities.ts'
import type { ExamplesOf } from './shape.ts'
import {
  approvalStatement,
  assertion,
  continuousStatement,
  perActionStatement,
  registryStatement,
  stepUpStatement,
  taskStepUpStatement,
} from './statements.ts'
import {
  actionDigest,
  agent,
  at,
  authority,
  base64url,
  decisionId,
  grantId,
  id,
  instance,
  instanceKey,
  jwk,
  jws,
  registryRequestId,
  requestId,
  salted,
  sha256,
} from './values.ts'

export const accessRequests: ExamplesOf<'access-requests.v1'> = {
  'access-request.submitted': {
    'with its prose': {
      request: jws('request'),
      purpose: { salt: 'salt-of-sixteen-bytes0', text: 'Reconcile the invoices of the third quarter.' },
    },
    'without prose': { request: jws('request') },
  },
}

const accessRequest = {
  kind: 'access' as const,
  request_id: requestId,
  request: jws('request'),
  request_hash: sha256('request-hash'),
  agent: instance,
  instance_key: instanceKey,
  authority,
  mode: 'window' as const,
  rebind: 'none' as const,
  not_before: at(0),
  not_after: '2026-07-01T17:00:00.000Z',
  received_by: 'topic' as const,
  expires_at: at(30),
}

export const approvals: ExamplesOf<'approvals.v1'> = {
  'request.received': {
    'a task, asked on the topic': { ...accessRequest, purpose: salted('purpose') },
    'one exact action, asked over HTTP': {
      ...accessRequest,
      mode: 'per_action',
      action_digest: actionDigest,
      arguments: salted('action-with-arguments'),
      rebind: 'attested',
      received_by: 'http',
    },
    'a change of the registry': {
      kind: 'registry',
      request_id: registryRequestId,
      proposer: 'operator-olga',
      entities: [
        { type: 'agent', id: agent, version: 1, after: sha256('agent'), value: entities.agent },
        {
          type: 'rule',
          id: 'finance-writes',
          version: 2,
          before: sha256('rule-old'),
          after: sha256('rule-new'),
          value: entities.rule,
        },
        { type: 'tool-server', id: 'crm-tools', version: 3, before: sha256('tool-server') },
      ],
      expires_at: at(30),
    },
    'one more action of a living grant': {
      kind: 'step_up',
      request_id: requestId,
      request: jws('request'),
      request_hash: sha256('request-hash'),
      agent: instance,
      instance_key: instanceKey,
      grant_id: grantId,
      action: {
        name: 'tools/call',
        resource: { type: 'tool', id: 'adjustments.post' },
        action_digest: actionDigest,
        arguments: { '/amount': '450.00' },
      },
      arguments: salted('action-with-arguments'),
      denial: { decision_id: decisionId, reason: 'step_up_required' },
      needs: 'task',
      received_by: 'http',
      expires_at: at(30),
    },
    'a part of what was asked, by a workload that was attested': {
      ...accessRequest,
      item: { task: registryRequestId, index: 1, count: 2 },
      attestation: { kind: 'jwt_svid', token_hash: sha256('jwt-svid'), jwk: jwk('instance-key'), attested_at: at(0) },
      denial: { decision_id: decisionId },
      callback: 'https://agents.example/bailiwick',
    },
  },
  'request.endorsed': {
    'one of two approvers': {
      request_id: requestId,
      statement: { ...approvalStatement, rule: { ...approvalStatement.rule, quorum: 2 } },
      statement_hash: sha256('statement-hash'),
      assertion: assertion('finance-fiona'),
    },
    'a step-up': {
      request_id: requestId,
      statement: stepUpStatement,
      statement_hash: sha256('step-up-statement-hash'),
      assertion: assertion('finance-fiona'),
    },
  },
  'request.approved': {
    'a task': {
      request_id: requestId,
      statement: approvalStatement,
      statement_hash: sha256('statement-hash'),
      assertions: [assertion('finance-fiona')],
    },
    'one exact action, by two approvers': {
      request_id: requestId,
      statement: { ...perActionStatement, rule: { ...perActionStatement.rule, quorum: 2 } },
      statement_hash: sha256('statement-hash'),
      assertions: [assertion('finance-fiona'), assertion('finance-frank')],
    },
    'a window that fresh evidence keeps open': {
      request_id: requestId,
      statement: continuousStatement,
      statement_hash: sha256('statement-hash'),
      assertions: [assertion('finance-fiona')],
    },
    'a step-up': {
      request_id: requestId,
      statement: stepUpStatement,
      statement_hash: sha256('step-up-statement-hash'),
      assertions: [assertion('finance-fiona')],
    },
    'a step-up after which the task goes on': {
      request_id: requestId,
      statement: taskStepUpStatement,
      statement_hash: sha256('task-step-up-statement-hash'),
      assertions: [assertion('finance-fiona')],
    },
    'a change of the registry': {
      request_id: registryRequestId,
      statement: registryStatement,
      statement_hash: sha256('registry-statement-hash'),
      assertions: [assertion('operator-olga')],
    },
  },
  'request.denied': {
    'with a reason': { request_id: requestId, by: 'finance-fiona', reason: salted('reason') },
    'without a reason': { request_id: requestId, by: 'finance-fiona' },
  },
  'request.expired': { 'nobody answered': { request_id: requestId } },
  'request.cancelled': { 'by the agent itself': { request_id: requestId, by: instance } },
  'request.reviewed': { 'by an approver': { request_id: requestId, by: 'finance-fiona' } },
  'request.withdrawn': {
    'with the grant that it became': {
      request_id: requestId,
      by: 'finance-fiona',
      grant_id: grantId,
      reason: salted('reason'),
    },
    'before there was a grant': { request_id: requestId, by: 'finance-fiona' },
  },
  'enrolment.offered': {
    'the first approver': {
      enrolment_id: id('enr', 'finance-fiona'),
      approver_id: 'finance-fiona',
      name: 'Fiona Finance',
      groups: ['finance'],
      credential_id: base64url('passkey-of-finance-fiona'),
      public_key: base64url('cose-key-of-finance-fiona'),
      sign_count: 0,
      invitation: jws('invitation'),
    },
  },
  'revocation.requested': {
    'everything that an agent may do': {
      revocation_id: id('rev', 'all-of-the-reconciler'),
      kind: 'agent',
      target: agent,
      by: 'finance-fiona',
      reason: salted('reason'),
    },
  },
}
