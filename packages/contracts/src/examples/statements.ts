import type { ApprovalStatement, Assertion, RegistryStatement, StepUpStatement } from '../statements.ts'
import {
  actionDigest,
  agent,
  at,
  authority,
  base64url,
  grantId,
  installation,
  instance,
  instanceKey,
  registryRequestId,
  requestId,
  sha256,
} from './values.ts'

export const approvalStatement: ApprovalStatement = {
  v: 1,
  kind: 'approval',
  installation,
  request_id: requestId,
  request_hash: sha256('request-hash'),
  agent: instance,
  instance_key: instanceKey,
  rebind: 'none',
  authority,
  mode: 'window',
  not_before: at(0),
  not_after: '2026-07-01T17:00:00.000Z',
  rule: { id: 'finance-writes', quorum: 1, group: 'finance', group_hash: sha256('group-hash') },
  policy_set: sha256('policy-set'),
  manifests: { 'erp-tools': sha256('manifest') },
  as_of: 7,
  nonce: base64url('nonce-of-the-approval-stmt'),
  issued_at: at(2),
}

export const perActionStatement: ApprovalStatement = {
  ...approvalStatement,
  rebind: 'attested',
  mode: 'per_action',
  action_digest: actionDigest,
  arguments: 'shown',
}

export const continuousStatement: ApprovalStatement = {
  ...approvalStatement,
  mode: 'continuous',
  continuous: { reattest_seconds: 300, outcome_seconds: 30 },
}

export const registryStatement: RegistryStatement = {
  v: 2,
  kind: 'registry',
  installation,
  change_id: registryRequestId,
  proposer: 'operator-olga',
  entities: [
    { type: 'agent', id: agent, version: 1, after: sha256('agent') },
    { type: 'rule', id: 'finance-writes', version: 2, before: sha256('rule-old'), after: sha256('rule-new') },
    { type: 'tool-server', id: 'crm-tools', version: 3, before: sha256('tool-server') },
  ],
  not_after: at(30),
  nonce: base64url('nonce-of-the-registry-stmt'),
  issued_at: at(2),
}

export const stepUpStatement: StepUpStatement = {
  v: 1,
  kind: 'step_up',
  installation,
  request_id: requestId,
  grant_id: grantId,
  action_digest: actionDigest,
  arguments: 'shown',
  effect: { kind: 'action' },
  not_after: at(30),
  nonce: base64url('nonce-of-the-step-up-stmt'),
  issued_at: at(10),
}

export const taskStepUpStatement: StepUpStatement = { ...stepUpStatement, effect: { kind: 'task', until: at(50) } }

export const assertion = (approver: string): Assertion => ({
  credential_id: base64url(`passkey-of-${approver}`),
  authenticator_data: base64url('authenticator-data'),
  client_data_json: base64url('client-data-json'),
  signature: base64url('assertion-signature'),
})
