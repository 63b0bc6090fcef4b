import type { Entity, EntityType } from '../entities.ts'
import { agent, at, base64url, jwk, jws, sha256 } from './values.ts'

/** One example of each type of entity in the registry. */
export const entities: { readonly [T in EntityType]: Entity<T> } = {
  'service-key': {
    id: sha256('issuer-event-key'),
    service: 'issuer',
    purpose: 'issuer-event',
    topics: ['registry.v1', 'grants.v1', 'revocations.v1', 'heads.v1'],
    jwk: jwk('issuer-event-key'),
    not_before: at(0),
    not_after: '2027-07-01T09:00:00.000Z',
    certificate: jws('certificate-of-the-issuer-event-key'),
  },
  agent: {
    id: agent,
    name: 'Invoice reconciler',
    owner: 'finance-fiona',
    attestor: { kind: 'registered_key', keys: [{ instance: 'one', jwk: jwk('instance-key') }] },
    labels: ['finance'],
    proactive_requests: true,
  },
  approver: {
    id: 'finance-fiona',
    name: 'Fiona Finance',
    groups: ['finance'],
    credentials: [
      {
        credential_id: base64url('passkey-of-finance-fiona'),
        public_key: base64url('cose-key-of-finance-fiona'),
        sign_count: 0,
        registered_at: at(0),
      },
    ],
  },
  rule: {
    id: 'finance-writes',
    order: 10,
    match: {
      agents: ['spiffe://example.org/agent/'],
      actions: ['tools/call'],
      resources: [
        { type: 'tool', id: 'adjustments.post' },
        { type: 'api', id_prefix: 'https://erp.example/v1/invoices/' },
        { type: 'dataset' },
      ],
    },
    approvers: { group: 'finance', quorum: 1 },
    owner_may_approve: true,
    modes: ['per_action', 'window'],
    max_window_seconds: 28_800,
    narrowing: true,
  },
  'tool-server': {
    id: 'erp-tools',
    url: 'https://erp.example/mcp',
    manifest: sha256('manifest'),
    tools: { 'invoices.read': { labels: ['private'] }, 'adjustments.post': { labels: ['external'] } },
  },
  'enforcement-point': {
    id: 'erp-gateway',
    caller_jwk: jwk('caller-key'),
    bearer_sha256: sha256('bearer-secret'),
    outcome_jwk: {
      kty: 'OKP',
      crv: 'Ed25519',
      x: sha256('outcome-key-x'),
      kid: 'outcome-1',
      alg: 'Ed25519',
      use: 'sig',
    },
    resources: [
      { type: 'tool', id: 'invoices.read' },
      { type: 'tool', id: 'adjustments.post' },
    ],
    base_urls: ['https://erp.example/'],
    may_release: true,
  },
  auditor: { id: 'siem', name: 'The SIEM', jwk: jwk('auditor-key') },
  recovery: {
    id: 'recovery-2026-07',
    jwk: jwk('recovery-key'),
    approver_id: 'finance-fiona',
    name: 'Fiona Finance',
    groups: ['finance'],
  },
  'policy-set': {
    id: 'active',
    hash: sha256('policy-set'),
    files: { 'starter.cedar': sha256('starter-cedar'), 'schema.cedarschema': sha256('schema') },
  },
}
