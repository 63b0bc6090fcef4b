import type { Grant } from '../grants.ts'
import type { ExamplesOf } from './shape.ts'
import { approvalStatement, assertion } from './statements.ts'
import {
  agent,
  at,
  authority,
  credentialId,
  delegationId,
  grantId,
  id,
  instance,
  instanceKey,
  jws,
  requestId,
  sha256,
  subAgent,
} from './values.ts'

const grant: Grant = {
  id: grantId,
  request_id: requestId,
  agent: instance,
  instance_key: instanceKey,
  authority,
  mode: approvalStatement.mode,
  not_before: approvalStatement.not_before,
  not_after: approvalStatement.not_after,
  as_of: approvalStatement.as_of,
  statement: approvalStatement,
  statement_hash: sha256('statement-hash'),
  assertions: [assertion('finance-fiona')],
}

const intended = {
  credential_id: credentialId,
  grant_id: grantId,
  agent: instance,
  jkt: instanceKey,
  audience: ['https://erp.example/'],
  issued_at: at(3),
  expires_at: at(8),
  kid: sha256('credential-key'),
}

const delegation = {
  delegation_id: delegationId,
  grant_id: grantId,
  delegation: jws('delegation'),
  agent: subAgent,
  instance_key: sha256('child-key'),
  authority: { ...authority, permissions: authority.permissions.slice(0, 1) },
  not_after: at(30),
}

export const grants: ExamplesOf<'grants.v1'> = {
  'grant.created': { 'from an approval': { grant } },
  'grant.completed': { 'by the agent': { grant, cause: 'completed by the agent' } },
  'grant.expired': { 'at its end': { grant } },
  'grant.suspended': { 'for missing evidence': { grant, cause: 'attestation overdue' } },
  'grant.resumed': { 'after a step-up': { grant } },
  'grant.rebound': { 'to the key of a restarted pod': { grant: { ...grant, instance_key: sha256('new-key') } } },
  'delegation.redeemed': {
    'the first link': delegation,
    'the second link': { ...delegation, delegation_id: id('dlg', 'read-one-invoice'), parent: delegationId },
  },
  'credential.intended': {
    'for the grant': intended,
    'for a delegation': { ...intended, delegation_id: delegationId, agent: delegation.agent },
  },
  'credential.issued': {
    'after its intent': { credential_id: credentialId, grant_id: grantId, token_hash: sha256('token') },
  },
  'credential.refused': {
    'before its intent': { grant_id: grantId, agent: instance, reason: 'grant_not_active' },
    'after its intent': { credential_id: credentialId, grant_id: grantId, agent: instance, reason: 'state_stale' },
  },
}

export const revocations: ExamplesOf<'revocations.v1'> = {
  'revocation.declared': {
    'a grant, withdrawn by a human': {
      revocation_id: id('rev', 'withdrawn'),
      kind: 'grant',
      target: grantId,
      reason: 'withdrawn',
      by: { kind: 'approver', id: 'finance-fiona' },
      cause: id('evt', 'request-withdrawn'),
    },
    'an agent, by an operator': {
      revocation_id: id('rev', 'agent-compromised'),
      kind: 'agent',
      target: agent,
      reason: { salted_sha256: sha256('operator-reason') },
      by: { kind: 'operator', id: 'operator-olga' },
    },
    'a credential, by its own agent': {
      revocation_id: id('rev', 'credential'),
      kind: 'credential',
      target: credentialId,
      reason: 'no longer needed',
      by: { kind: 'agent', id: instance },
    },
    'a grant, by an operator, before words were salted hashes': {
      revocation_id: id('rev', 'in-the-clear'),
      kind: 'grant',
      target: grantId,
      reason: 'laptop lost',
      by: { kind: 'operator', id: 'operator-olga' },
    },
    everything: {
      revocation_id: id('rev', 'everything'),
      kind: 'all',
      target: '*',
      reason: 'emergency stop',
      by: { kind: 'approver', id: 'finance-fiona' },
    },
  },
  'revocation.acknowledged': { 'once it was read back': { sequence: 7, max_staleness_ms: 2000 } },
}
