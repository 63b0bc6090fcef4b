import type { EntityType } from '../entities.ts'
import type { SourceTopicName } from '../topics.ts'
import type { Fault, FaultsOf } from './shape.ts'
import { jwk, sha256 } from './values.ts'

const privateJwk = { ...jwk('key'), d: sha256('private') }

/** Faults for one entity of each type: a hole here would be a hole in every decision that relies on the entity. */
const entityFault: { readonly [T in EntityType]: readonly [Fault, ...Fault[]] } = {
  'service-key': [
    ['a private key', '/data/value/jwk', privateJwk],
    ['an unknown purpose', '/data/value/purpose', 'any'],
    ['no certificate', '/data/value/certificate'],
  ],
  agent: [
    ['an agent that is no SPIFFE ID', '/data/value/id', 'https://example.org/agent/reconciler'],
    ['an agent with a path out of its trust domain', '/data/value/id', 'spiffe://example.org/agent/../admin'],
    ['an attestor of an unknown kind', '/data/value/attestor/kind', 'trust_me'],
    ['an attestor with an unknown member', '/data/value/attestor/keys/0/expires', false],
  ],
  approver: [
    ['an approver without a passkey', '/data/value/credentials', []],
    ['a name with a line break', '/data/value/name', 'Fiona\nApproved by: Frank'],
  ],
  rule: [
    ['a quorum of nobody', '/data/value/approvers/quorum', 0],
    ['a window over eight hours', '/data/value/max_window_seconds', 28_801],
    ['an unknown condition', '/data/value/match/unless', []],
    ['a resource with both an id and a prefix', '/data/value/match/resources/0/id_prefix', 'https://erp.example/'],
  ],
  'tool-server': [
    ['a server without a manifest', '/data/value/manifest'],
    ['a label in capitals', '/data/value/tools/invoices.read/labels/0', 'Private'],
  ],
  'enforcement-point': [
    ['a point for no resource', '/data/value/resources', []],
    ['a secret where its hash should be', '/data/value/bearer_sha256', 'a secret'],
    ['a symmetric key', '/data/value/outcome_jwk', { kty: 'oct', k: sha256('secret') }],
  ],
  auditor: [
    ['a private key', '/data/value/jwk', privateJwk],
    ['groups, which only people have', '/data/value/groups', ['finance']],
  ],
  recovery: [
    ['a private key', '/data/value/jwk', privateJwk],
    ['nobody to be enrolled', '/data/value/approver_id'],
  ],
  'policy-set': [
    ['a second active set', '/data/value/id', 'other'],
    ['a file outside its folder', '/data/value/files/..~1evil.cedar', sha256('evil')],
  ],
}

const registered = (type: EntityType): readonly [Fault, ...Fault[]] => [
  ...entityFault[type],
  ['nobody who authorised it', '/data/authorization'],
  ['an authorization of an unknown kind', '/data/authorization/kind', 'operator'],
]
const changed = (type: EntityType): readonly [Fault, ...Fault[]] => [
  ['the entity of another type', '/data/entity/type', type === 'rule' ? 'agent' : 'rule'],
  ['a statement without assertions', '/data/authorization/assertions', []],
  ['an unknown member in the statement', '/data/authorization/statement/force', true],
]
const retired: readonly [Fault, ...Fault[]] = [
  ['a value, though it is retired', '/data/value', {}],
  ['no version', '/version'],
]

const grantFaults: readonly [Fault, ...Fault[]] = [
  ['an unknown member in the grant', '/data/grant/scope', 'all'],
  ['an unknown member in the statement', '/data/grant/statement/admin', true],
  ['no assertion', '/data/grant/assertions', []],
  ['a thirteenth month', '/data/grant/not_after', '2026-13-01T00:00:00.000Z'],
  ['an authority of another type', '/data/grant/authority/type', 'anything'],
  ['no version', '/version'],
]

const attachmentFaults: FaultsOf<'attachments.approval.v1'> & FaultsOf<'attachments.policy-decision.v1'> = {
  'attachment.stored': [
    ['no hash to be compared with', '/data/salted_sha256'],
    ['a place in the chain', '/sequence', '0000000000000001'],
  ],
  'attachment.erased': [
    ['the text once more', '/data/text', 'Reconcile the invoices.'],
    ['a reason in words', '/data/reason', 'Fiona asked for it'],
  ],
}

/** For every event type, the faults that its schema must refuse. */
export const faults: { readonly [N in SourceTopicName]: FaultsOf<N> } = {
  'access-requests.v1': {
    'access-request.submitted': [
      ['no JWS', '/data/request'],
      ['a JWS in JSON serialization', '/data/request', { payload: 'e30', signatures: [] }],
      ['a salt of another length', '/data/purpose/salt', 'short'],
      ['an unknown member beside salt and text', '/data/purpose/html', '<b>'],
      ['a version, which only a certified writer gives', '/version', 1],
      ['a jws, which only a certified writer signs', '/jws', 'eyJhbGciOiJFUzI1NiJ9..c2ln'],
    ],
  },
  'approvals.v1': {
    'request.received': [
      ['an unknown kind', '/data/kind', 'root'],
      ['an unknown member', '/data/approved', true],
      ['an unknown mode', '/data/mode', 'forever'],
      ['a hash in another spelling (unused bits set)', '/data/request_hash', `${sha256('').slice(0, 42)}B`],
      ['a time without milliseconds', '/data/expires_at', '2026-07-01T09:00:00Z'],
      ['a time with an offset', '/data/expires_at', '2026-07-01T09:00:00.000+02:00'],
    ],
    'request.endorsed': [
      ['an unknown member in the statement', '/data/statement/then', 'approve'],
      ['an unknown member in the assertion', '/data/assertion/verified', true],
    ],
    'request.approved': [
      ['nobody who approved', '/data/assertions', []],
      ['an approval that nobody can revoke', '/data/statement/as_of', -1],
      ['a statement of an unknown version', '/data/statement/v', 2],
      ['a quorum of nobody', '/data/statement/rule/quorum', 0],
      ['padded base64url', '/data/assertions/0/signature', 'c2ln=='],
      ['a statement of an unknown kind', '/data/statement/kind', 'anything'],
    ],
    'request.denied': [['a reason in clear', '/data/reason', 'I do not trust this agent']],
    'request.expired': [
      ['an id with another prefix', '/data/request_id', 'grt_reconcile-q3-invoices'],
      ['no version', '/version'],
      ['version 0', '/version', 0],
      ['a version beyond 32 bits', '/version', 2 ** 31],
      ['a version with a fraction', '/version', 1.5],
      ['a version in text', '/version', '1'],
      ['no sequence', '/sequence'],
      ['a sequence without padding', '/sequence', '12'],
      ['no previous', '/previous'],
      ['a previous that is no hash', '/previous', 'unknown'],
      ['no jws', '/jws'],
      ['another specversion', '/specversion', '0.3'],
      ['no id', '/id'],
      ['an id with a slash', '/id', '../../../etc'],
      ['no source', '/source'],
      ['a source with a space', '/source', '/issuer/01 EXAMPLE'],
      ['a subject with a control character', '/subject', 'req\u0000'],
      ['a subject with a noncharacter', '/subject', 'req\uffff'],
      ['an empty partitionkey', '/partitionkey', ''],
      ['a dataschema that is no URI', '/dataschema', 'request.expired'],
      ['another content type', '/datacontenttype', 'text/plain'],
      ['the thirtieth of February', '/time', '2026-02-30T00:00:00.000Z'],
      ['a traceparent of zeros', '/traceparent', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`],
      ['an attribute that is null', '/traceparent', null],
      ['no data', '/data'],
      ['data in text', '/data', '{"request_id":"req_00000000000000000000"}'],
    ],
    'request.cancelled': [['somebody who is no agent', '/data/by', 'finance-fiona']],
    'request.withdrawn': [['a name with a blank', '/data/by', 'Fiona Finance']],
    'request.reviewed': [['no reader', '/data/by']],
    'revocation.requested': [
      ['a grant, which is withdrawn', '/data/kind', 'grant'],
      ['nobody who asked', '/data/by'],
    ],
    'enrolment.offered': [
      ['no invitation', '/data/invitation'],
      ['an unknown member', '/data/role', 'admin'],
    ],
  },
  'registry.v1': {
    'service-key.registered': registered('service-key'),
    'service-key.changed': changed('service-key'),
    'service-key.retired': retired,
    'agent.registered': registered('agent'),
    'agent.changed': changed('agent'),
    'agent.retired': retired,
    'approver.registered': registered('approver'),
    'approver.changed': changed('approver'),
    'approver.retired': retired,
    'rule.registered': registered('rule'),
    'rule.changed': changed('rule'),
    'rule.retired': retired,
    'tool-server.registered': registered('tool-server'),
    'tool-server.changed': changed('tool-server'),
    'tool-server.retired': retired,
    'enforcement-point.registered': registered('enforcement-point'),
    'enforcement-point.changed': changed('enforcement-point'),
    'enforcement-point.retired': retired,
    'auditor.registered': registered('auditor'),
    'auditor.changed': changed('auditor'),
    'auditor.retired': retired,
    'recovery.registered': registered('recovery'),
    'recovery.changed': changed('recovery'),
    'recovery.retired': retired,
    'policy-set.registered': registered('policy-set'),
    'policy-set.changed': changed('policy-set'),
    'policy-set.retired': retired,
  },
  'grants.v1': {
    'grant.created': grantFaults,
    'grant.completed': grantFaults,
    'grant.expired': grantFaults,
    'grant.suspended': grantFaults,
    'grant.resumed': grantFaults,
    'grant.rebound': grantFaults,
    'delegation.redeemed': [
      ['no signed delegation', '/data/delegation'],
      ['an unknown member', '/data/max_depth', 9],
    ],
    'credential.intended': [
      ['a credential for nobody', '/data/audience', []],
      ['a bearer credential', '/data/jkt'],
    ],
    'credential.issued': [['the token itself', '/data/token', 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln']],
    'credential.refused': [
      ['a version, though it advances nothing', '/version', 1],
      ['no reason', '/data/reason'],
    ],
  },
  'revocations.v1': {
    'revocation.declared': [
      ['an unknown kind', '/data/kind', 'pause'],
      ['no target', '/data/target', ''],
      ['the words beside their hash', '/data/reason', { salted_sha256: 'A'.repeat(43), text: 'laptop lost' }],
      ['nobody who declared it', '/data/by'],
      ['no version, hence no place in the order', '/version'],
    ],
    'revocation.acknowledged': [
      ['a version, though it advances nothing', '/version', 1],
      ['of no revocation', '/data/sequence', 0],
    ],
  },
  'decisions.v1': {
    'decision.allowed': [
      ['an empty chain', '/data/chain', []],
      ['an amount as a float', '/data/reserved/cost/EUR', 120.5],
      ['a currency in small letters', '/data/reserved/cost/eur', '1'],
      ['a reservation below zero', '/data/reserved/calls', -1],
      ['an argument that is an object', '/data/action/arguments/~1address', { street: '…' }],
      ['an unknown kind of proof', '/data/proof', 'none'],
      ['an action that nothing names', '/data/action/call'],
      ['an action that two things name', '/data/action/action_digest', sha256('action-digest')],
      ['a mapping to nothing', '/data/mapped', []],
      ['a round that nothing asked for', '/data/continues', { decision_id: `dec_${'1'.repeat(20)}` }],
      ['an instance of 15 bytes', '/data/instance', 'instance0erp0gateway'],
      ['no version', '/version'],
    ],
    'decision.denied': [
      ['a reason in prose', '/data/reason', 'Because.'],
      ['a version, though it advances nothing', '/version', 4],
    ],
    'decision.abandoned': [['no call', '/data/call_id']],
    'outcome.reported': [
      ['an unknown status', '/data/status', 'probably'],
      ['no signed outcome', '/data/outcome'],
      ['an unknown member in what is released', '/data/released/points', 1],
    ],
    'outcome.missing': [['a due time that is a number', '/data/due', 1_782_896_700_000]],
    'outcome.refused': [
      ['a code for something else', '/data/code', 'decision_unknown'],
      ['a version, though it advances nothing', '/version', 4],
    ],
    'denials.summarised': [['a count of none', '/data/denials/0/count', 0]],
    'candidate.answered': [
      ['no answer of the candidate', '/data/answers/0/candidate'],
      ['an active set that did not answer', '/data/answers/0/active', 'unanswered'],
    ],
    'engines.differed': [
      ['no answer of Cedar', '/data/cedar'],
      ['why a request is invalid', '/data/cedar/why', 'context.secret'],
      ['a version, though it advances nothing', '/version', 4],
    ],
  },
  'heads.v1': {
    'head.published': [
      ['an unknown service', '/data/service', 'gateway'],
      ['an offset below -1', '/data/read/approvals.v1/0', -2],
      ['a partition that is no number', '/data/read/approvals.v1/first', 1],
      ['a place in the chain, which heads have no part in', '/sequence', '0000000000000001'],
    ],
  },
  'evidence.v1': {
    'leaf.appended': [
      ['no leaf', '/data/bailiwick/log'],
      ['an index below zero', '/data/bailiwick/log/index', -1],
      ['an activity that the class does not have', '/data/activity_id', 5],
      ['another class than its members', '/data/class_uid', 3003],
      ['an unknown member', '/data/raw_data', 'eyJ'],
      ['nobody who proves it', '/data/attestation_list', []],
      ['an id of its own', '/data/metadata/uid', 'evt_00000000000000000000'],
    ],
  },
  'checkpoints.v1': {
    'checkpoint.published': [
      ['a size with a fraction', '/data/size', 0.5],
      ['a root in standard base64', '/data/root', `${sha256('').slice(0, 42)}=`],
    ],
  },
  'findings.v1': {
    'gap.detected': [['a gap before the first event', '/data/from', 0]],
    'outcome.unrelayed': [['an unknown member', '/data/severity', 'low']],
    'outcome.skipped': [['no instance', '/data/instance']],
    'outcome.contradicted': [['one of something else', '/data/of', 'day']],
    'event.refused': [['no hash', '/data/sha256']],
    'policy-files.changed': [['no set', '/data/policy_set']],
    'value.erased': [['the text once more', '/data/text', 'Reconcile the invoices.']],
    'leaves.dropped': [
      ['an unknown sink', '/data/sink', 'syslog'],
      ['none of them', '/data/count', 0],
    ],
  },
  'attachments.approval.v1': attachmentFaults,
  'attachments.policy-decision.v1': attachmentFaults,
}

export const parkedFaults: Readonly<Record<string, readonly [Fault, ...Fault[]]>> = {
  'event.parked': [
    ['the bytes themselves', '/data/bytes', 'eyJwYXNzd29yZCI6'],
    ['an offset below zero', '/data/offset', -1],
  ],
}
