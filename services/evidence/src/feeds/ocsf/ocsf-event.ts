import {
  type OcsfEvent,
  type OcsfExtension,
  ocsfActivities,
  ocsfCategories,
  ocsfClasses,
  type TopicName,
} from '@bailiwick/contracts'
import { encodeBase64url } from '@bailiwick/credentials'
import type { Published } from '../../log/log.ts'
import { inEmergency } from './emergency.ts'
import type { Story, YesFacts } from './story.ts'
import { tellAcknowledged, tellEnrolment, tellRequest, tellRevocation } from './tell-approvals.ts'
import { tellCandidate, tellDecision, tellDenials, tellOutcome } from './tell-decisions.ts'
import { isFinding, tellFinding } from './tell-findings.ts'
import { tellCredential, tellDelegation, tellGrant } from './tell-grants.ts'
import { tellRegistry } from './tell-registry.ts'
import { isUnread, tellUnread, type UnreadEvent } from './tell-unread.ts'
import type { LeafEvent, Told } from './told.ts'
import { withoutEffect } from './without-effect.ts'
import { fitted, printable, stated } from './words.ts'

/** A leaf and its place in the log. */
export interface OcsfLeaf {
  index: number
  /** base64url. */
  hash: string
  topic: TopicName | 'unknown'
  /** `UnreadEvent` if this version does not know the event's type or form. */
  event: LeafEvent | UnreadEvent
  /** Another writer's event took its place (DESIGN §5). */
  isVoid?: boolean
}

/** The leaf's log, as far as events name it. */
export interface OcsfLog {
  installation: string
  origin: string
  vkey: string
}

/** Room for the envelope and its signature around it (DESIGN §4: an event has at most 65,535 bytes). */
const longestBytes = 60_000
const version = '0.1.0'
const severities = ['', 'Informational', 'Low', 'Medium', 'High', 'Critical'] as const

/** `metadata.uid`, and the id of the event on evidence.v1. A leaf that is sent twice has the same id. */
export const ocsfId = (hash: string): string => `evt_${hash}`

/** The leaf in OCSF 1.9. Pure: the same leaf, story and checkpoint give the same event. */
export function ocsfEvent(leaf: OcsfLeaf, story: Story, log: OcsfLog, checkpoint: Published): OcsfEvent {
  const { event, index, hash } = leaf
  const read = isUnread(event) ? tellUnread(event) : inEmergency(tell(event, story), event, story)
  const told = stated(leaf.isVoid ? withoutEffect(read) : read)
  const { uid, name, category } = ocsfClasses[told.class]
  const caption: string = (ocsfActivities[told.class] as Record<number, string>)[told.activity] ?? 'Other'
  const { status } = told
  const extension = stated({ ...leadingTo(story), ...told.says })
  const correlation = extension.grant_id ?? extension.request_id
  const fingerprint = {
    algorithm_id: 3,
    algorithm: 'SHA-256',
    encoding_id: 3,
    encoding: 'Base64URL',
  } as const
  const root = encodeBase64url(checkpoint.root)
  return fitted(
    {
      class_uid: uid,
      class_name: name,
      category_uid: category,
      category_name: ocsfCategories[category],
      activity_id: told.activity,
      activity_name: told.activity === 99 ? (told.activityName ?? caption) : caption,
      type_uid: uid * 100 + told.activity,
      type_name: `${name}: ${caption}`,
      time: Date.parse(event.time),
      severity_id: told.severity,
      severity: severities[told.severity],
      ...(status === undefined ? {} : { status_id: status.id, status: status.caption }),
      ...(status?.code === undefined ? {} : { status_code: status.code }),
      message: printable(told.message),
      ...told.body,
      metadata: {
        uid: ocsfId(hash),
        version: '1.9.0',
        product: { uid: 'bailiwick-evidence', name: 'Bailiwick', vendor_name: 'Bailiwick', version },
        profiles: profilesOf(told),
        extensions: [{ name: 'bailiwick', uid: 'bailiwick', version: '1.0.0' }],
        sequence: index,
        log_name: log.origin,
        log_provider: 'Bailiwick',
        tenant_uid: log.installation,
        event_code: event.type,
        original_event_uid: event.id,
        ...(correlation === undefined ? {} : { correlation_uid: correlation }),
      },
      attestation_list: [
        {
          uid: String(index),
          chain_uid: log.origin,
          authority_uid: log.vkey,
          fingerprint: {
            ...fingerprint,
            serialization_id: 99,
            serialization: 'C2SP tlog-tiles leaf: SHA-256(0x00 || entry)',
            value: hash,
          },
          signatures: [
            {
              algorithm_id: 99,
              algorithm: 'Ed25519',
              serialization_id: 99,
              serialization: 'C2SP signed-note',
              digest: { ...fingerprint, value: root },
            },
          ],
        },
      ],
      bailiwick: {
        log: {
          origin: log.origin,
          index,
          leaf_hash: hash,
          checkpoint: { size: checkpoint.size, root, note: checkpoint.note },
        },
        topic: leaf.topic,
        producer: event.source,
        ...extension,
      },
    } as OcsfEvent,
    longestBytes,
  )
}

function profilesOf(told: Told): OcsfEvent['metadata']['profiles'] {
  if (told.class === 'detection_finding') return ['record_integrity', 'security_control']
  return told.class === 'api_activity'
    ? ['ai_operation', 'record_integrity', 'security_control']
    : ['ai_operation', 'record_integrity']
}

function leadingTo({ grant, lineage, owner, request, yes }: Story): Partial<OcsfExtension> {
  return {
    ...(request?.kind === 'access' ? { task: request.authority.task } : {}),
    ...(grant === undefined
      ? {}
      : {
          agent: lineage?.at(-1)?.agent ?? grant.agent,
          task: grant.task,
          request_id: grant.requestId,
          grant_id: grant.grantId,
          mode: grant.mode,
          rule: grant.rule,
          approvers: [...grant.approvers],
          ...(grant.problem === undefined ? {} : { approval_problem: grant.problem }),
        }),
    ...(yes === undefined ? {} : { step_up: stepUpOf(yes) }),
    ...(lineage === undefined ? {} : { lineage: [...lineage] }),
    ...(owner === undefined ? {} : { owner }),
  }
}

const stepUpOf = ({ requestId, approvers, problem }: YesFacts): OcsfExtension['step_up'] => ({
  request_id: requestId,
  approvers: [...approvers],
  ...(problem === undefined ? {} : { problem }),
})

function tell(event: LeafEvent, story: Story): Told {
  if (isFinding(event)) return tellFinding(event, story)
  switch (event.type) {
    case 'request.received':
    case 'request.endorsed':
    case 'request.approved':
    case 'request.denied':
    case 'request.expired':
    case 'request.cancelled':
    case 'request.withdrawn':
    case 'request.reviewed':
      return tellRequest(event, story)
    case 'enrolment.offered':
      return tellEnrolment(event)
    case 'revocation.requested':
    case 'revocation.declared':
      return tellRevocation(event, story)
    case 'revocation.acknowledged':
      return tellAcknowledged(event)
    case 'grant.created':
    case 'grant.completed':
    case 'grant.expired':
    case 'grant.suspended':
    case 'grant.resumed':
    case 'grant.rebound':
      return tellGrant(event, story)
    case 'delegation.redeemed':
      return tellDelegation(event, story)
    case 'credential.intended':
    case 'credential.issued':
    case 'credential.refused':
      return tellCredential(event, story)
    case 'decision.allowed':
    case 'decision.denied':
    case 'decision.abandoned':
      return tellDecision(event, story)
    case 'outcome.reported':
      return tellOutcome(event, story)
    case 'denials.summarised':
      return tellDenials(event)
    case 'candidate.answered':
      return tellCandidate(event)
    default:
      return tellRegistry(event)
  }
}
