import type { z } from 'zod'
import type { eventParked } from '../system.ts'
import type { ExamplesOf } from './shape.ts'
import { at, decisionId, id, origin, pointInstance, requestId, sha256 } from './values.ts'

export const heads: ExamplesOf<'heads.v1'> = {
  'head.published': {
    'by the active issuer': {
      service: 'issuer',
      producer: '/issuer/01EXAMPLE',
      active: true,
      sequence: 12,
      hash: sha256('newest-event'),
      counted: {
        'registry.v1': { '0': { offset: 6, id: id('evt', 'rule-changed') } },
        'grants.v1': {
          '0': { offset: 3, id: id('evt', 'credential-issued') },
          '2': { offset: 0, id: id('evt', 'other') },
        },
        'revocations.v1': { '0': { offset: -1, id: '' } },
      },
      read: { 'approvals.v1': { '0': 4, '1': -1, '2': 17 } },
      stopping: false,
    },
    'before its first event': {
      service: 'policy-decision',
      producer: '/policy-decision/01EXAMPLE',
      active: true,
      sequence: 0,
      hash: 'none',
      counted: {},
      read: {},
      stopping: false,
    },
    'at stop': {
      service: 'evidence',
      producer: '/evidence/01EXAMPLE',
      active: false,
      sequence: 0,
      hash: `/evidence/00EXAMPLE#0000000000000031:${sha256('predecessor')}`,
      counted: {},
      read: { 'grants.v1': { '0': 3 } },
      stopping: true,
    },
  },
}

export const checkpoints: ExamplesOf<'checkpoints.v1'> = {
  'checkpoint.published': {
    'a signed note': {
      origin,
      size: 4712,
      root: sha256('root'),
      checkpoint: `${origin}\n4712\ncm9vdC1oYXNo\n\n— ${origin} c2lnbmF0dXJl\n`,
    },
  },
}

export const findings: ExamplesOf<'findings.v1'> = {
  'gap.detected': {
    'two events missing': {
      producer: '/issuer/01EXAMPLE',
      service: 'issuer',
      from: 8,
      to: 9,
      head_time: at(6),
    },
  },
  'outcome.unrelayed': {
    'a minute later': { decision_id: decisionId, enforcement_point: 'erp-gateway', sequence: 42 },
  },
  'outcome.skipped': {
    'two of an instance': { enforcement_point: 'erp-gateway', instance: pointInstance, from: 3, to: 4 },
  },
  'outcome.contradicted': {
    'a second one of a decision': {
      decision_id: decisionId,
      enforcement_point: 'erp-gateway',
      instance: pointInstance,
      sequence: 42,
      of: 'decision',
      signed_sha256: sha256('another-outcome'),
    },
    'of a point that states no instance': {
      decision_id: decisionId,
      enforcement_point: 'erp-gateway',
      sequence: 42,
      of: 'decision',
      signed_sha256: sha256('another-outcome'),
    },
  },
  'event.refused': {
    'signed with a key for another topic': {
      topic: 'grants.v1',
      event_id: id('evt', 'forged'),
      sha256: sha256('forged-event'),
      code: 'key_purpose_wrong',
    },
  },
  'policy-files.changed': {
    'a line more': { policy_set: sha256('policies'), found: sha256('edited-policies') },
    'the folder is empty': { policy_set: sha256('policies') },
  },
  'leaves.dropped': {
    'a collector that was away for too long': { sink: 'otlp', reason: 'backlog', from: 4711, to: 9710, count: 5000 },
    'a collector that refuses some': { sink: 'otlp', reason: 'refused', from: 4711, to: 4838, count: 2 },
  },
  'value.erased': {
    'at the wish of a person': {
      topic: 'attachments.approval.v1',
      attachment_id: `att_${sha256('purpose')}`,
      salted_sha256: sha256('purpose'),
      about: requestId,
      by: 'operator',
      reason: 'data_subject_request',
    },
  },
}

export const parked: { readonly 'event.parked': Readonly<Record<string, z.infer<typeof eventParked>>> } = {
  'event.parked': {
    'a duplicate key': {
      topic: 'grants.v1',
      partition: 2,
      offset: 17,
      sha256: sha256('unreadable'),
      size: 812,
      code: 'json_malformed',
    },
  },
}
