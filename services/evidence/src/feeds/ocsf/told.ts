import type { DecodedEvent, OcsfClassName, OcsfEvents, OcsfExtension, TopicName } from '@bailiwick/contracts'

/** The topics whose events are leaves. */
export type LeafTopic = Exclude<
  TopicName,
  | 'access-requests.v1'
  | 'heads.v1'
  | 'evidence.v1'
  | 'checkpoints.v1'
  | 'attachments.approval.v1'
  | 'attachments.policy-decision.v1'
>
export type LeafEvent = DecodedEvent<LeafTopic>
export type LeafEventOf<T extends LeafEvent['type']> = Extract<LeafEvent, { type: T }>

/** The members that every class has, and that a teller does not set. */
type Common =
  | 'class_uid'
  | 'class_name'
  | 'category_uid'
  | 'category_name'
  | 'activity_id'
  | 'activity_name'
  | 'type_uid'
  | 'type_name'
  | 'time'
  | 'severity_id'
  | 'severity'
  | 'status_id'
  | 'status'
  | 'status_code'
  | 'message'
  | 'metadata'
  | 'attestation_list'
  | 'bailiwick'

export type Severity = 1 | 2 | 3 | 4 | 5

/** A leaf as an event of one OCSF class, before its place in the log and its story are added. */
export type Told<N extends OcsfClassName = OcsfClassName> = N extends OcsfClassName
  ? {
      class: N
      activity: OcsfEvents[N]['activity_id']
      /** For activity 99. */
      activityName?: string
      severity: Severity
      status?: { id: 0 | 1 | 2 | 99; caption: string; code?: string }
      message: string
      body: Omit<OcsfEvents[N], Common>
      /** The members of our extension that the event itself states. */
      says: Partial<Omit<OcsfExtension, 'log' | 'topic' | 'producer'>>
    }
  : never

export const success = { id: 1, caption: 'Success' } as const
export const failure = (code?: string) =>
  ({ id: 2, caption: 'Failure', ...(code === undefined ? {} : { code }) }) as const
