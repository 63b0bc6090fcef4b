import { z } from 'zod'
import { ocsfExtensionSchema } from './extension.ts'
import {
  actorSchema,
  aiAgentSchema,
  aiModelSchema,
  apiSchema,
  applicationSchema,
  attestationSchema,
  endpointSchema,
  findingInfoSchema,
  managedEntitySchema,
  messageContextSchema,
  metadataSchema,
  policySchema,
  resourceSchema,
  sessionSchema,
  textSchema,
  userSchema,
} from './objects.ts'

/** The OCSF classes in which leaves are reported, by their names there. */
export const ocsfClasses = {
  authorize_session: { uid: 3003, name: 'Authorize Session', category: 3 },
  entity_management: { uid: 3004, name: 'Entity Management', category: 3 },
  user_management: { uid: 3007, name: 'User Management', category: 3 },
  api_activity: { uid: 6003, name: 'API Activity', category: 6 },
  application_lifecycle: { uid: 6002, name: 'Application Lifecycle', category: 6 },
  detection_finding: { uid: 2004, name: 'Detection Finding', category: 2 },
} as const
export type OcsfClassName = keyof typeof ocsfClasses

export const ocsfCategories = {
  2: 'Findings',
  3: 'Identity & Access Management',
  6: 'Application Activity',
} as const

/** The activities that are used in each class. 99 is named by us. */
export const ocsfActivities = {
  authorize_session: { 1: 'Assign Privileges', 99: 'Other' },
  entity_management: { 1: 'Create', 3: 'Update', 4: 'Delete', 9: 'Disable', 99: 'Other' },
  user_management: {
    1: 'Create',
    2: 'Update',
    3: 'Delete',
    12: 'Enable MFA Factors',
    14: 'Assign Privileges',
    15: 'Remove Privileges',
    19: 'Remove Programmatic Credentials',
    99: 'Other',
  },
  api_activity: { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete', 99: 'Other' },
  application_lifecycle: { 6: 'Enable', 7: 'Disable', 8: 'Update' },
  detection_finding: { 1: 'Create' },
} as const satisfies Record<OcsfClassName, Record<number, string>>

/** The members of every class: its own uid, and the activities that are reported in it. */
function common<N extends OcsfClassName>(name: N) {
  type Class = (typeof ocsfClasses)[N]
  type Activity = keyof (typeof ocsfActivities)[N] & number
  const { uid, name: caption, category } = ocsfClasses[name]
  const activities = Object.keys(ocsfActivities[name]).map(Number)
  return {
    class_uid: z.literal(uid as Class['uid']),
    class_name: z.literal(caption as Class['name']),
    category_uid: z.literal(category as Class['category']),
    category_name: z.literal(ocsfCategories[category]),
    activity_id: z.literal(activities as Activity[]),
    activity_name: textSchema,
    /** `class_uid` × 100 + `activity_id`. */
    type_uid: z.literal(activities.map((activity) => uid * 100 + activity)),
    type_name: textSchema,
    time: z.int().min(0),
    severity_id: z.literal([1, 2, 3, 4, 5]),
    severity: z.enum(['Informational', 'Low', 'Medium', 'High', 'Critical']),
    status_id: z.literal([0, 1, 2, 99]).optional(),
    status: textSchema.optional(),
    status_code: textSchema.optional(),
    message: textSchema,
    metadata: metadataSchema,
    attestation_list: z.array(attestationSchema).length(1),
    bailiwick: ocsfExtensionSchema,
  }
}

const fits = (event: { class_uid: number; activity_id: number; type_uid: number }) =>
  event.type_uid === event.class_uid * 100 + event.activity_id
const misfit = 'type_uid does not fit'

const aiOperation = { ai_agent: aiAgentSchema.optional() }

/** A grant, a delegation, a credential: what an agent may do for a while. */
const authorizeSession = z
  .strictObject({
    ...common('authorize_session'),
    ...aiOperation,
    actor: actorSchema.optional(),
    user: userSchema,
    privileges: z.array(textSchema).min(1),
    session: sessionSchema,
  })
  .refine(fits, misfit)

/** The contents of the registry; people and programs are kept apart. */
const entityManagement = z
  .strictObject({
    ...common('entity_management'),
    ...aiOperation,
    actor: actorSchema.optional(),
    entity: managedEntitySchema,
  })
  .refine(fits, misfit)

/** People, and what they let agents do: requested, approved, denied, withdrawn, revoked. */
const userManagement = z
  .strictObject({
    ...common('user_management'),
    ...aiOperation,
    actor: actorSchema.optional(),
    user: userSchema,
    privileges: z.array(textSchema).min(1).optional(),
    auth_factors: z
      .array(z.strictObject({ factor_type_id: z.literal(10), factor_type: z.literal('WebAuthn') }))
      .optional(),
  })
  .refine(fits, misfit)

/** One action of an agent: the decision, and its outcome. */
const apiActivity = z
  .strictObject({
    ...common('api_activity'),
    ...aiOperation,
    ai_model: aiModelSchema.optional(),
    message_context: messageContextSchema.optional(),
    actor: actorSchema,
    api: apiSchema,
    resources: z.array(resourceSchema).min(1).optional(),
    src_endpoint: endpointSchema,
    dst_endpoint: endpointSchema.optional(),
    count: z.int().min(1).optional(),
    start_time: z.int().optional(),
    end_time: z.int().optional(),
    /** Profile `security_control`. */
    action_id: z.literal([1, 2, 3]),
    action: z.enum(['Allowed', 'Denied', 'Observed']),
    disposition_id: z.literal([1, 2, 17]),
    disposition: z.enum(['Allowed', 'Blocked', 'Logged']),
    authorizations: z.array(z.strictObject({ decision: textSchema, policy: policySchema.optional() })).optional(),
  })
  .refine(fits, misfit)

/** A tool server or an enforcement point begins, changes, ends. */
const applicationLifecycle = z
  .strictObject({ ...common('application_lifecycle'), ...aiOperation, app: applicationSchema })
  .refine(fits, misfit)

/** Findings of evidence. The profile `ai_operation` does not belong to this class: the agent is among `evidences`. */
const detectionFinding = z
  .strictObject({
    ...common('detection_finding'),
    finding_info: findingInfoSchema,
    evidences: z
      .array(
        z.strictObject({
          ai_agent: aiAgentSchema.optional(),
          api: apiSchema.optional(),
          data: z.record(z.string(), z.unknown()),
        }),
      )
      .length(1),
    is_alert: z.literal(true),
  })
  .refine(fits, misfit)

/** An event of one class, by the class's name. */
export interface OcsfEvents {
  authorize_session: z.infer<typeof authorizeSession>
  entity_management: z.infer<typeof entityManagement>
  user_management: z.infer<typeof userManagement>
  api_activity: z.infer<typeof apiActivity>
  application_lifecycle: z.infer<typeof applicationLifecycle>
  detection_finding: z.infer<typeof detectionFinding>
}

/** One OCSF 1.9 event for one leaf (DESIGN §7.5). Strict: members that are not listed here are never written. */
export const leafAppended = z.discriminatedUnion('class_uid', [
  authorizeSession,
  entityManagement,
  userManagement,
  apiActivity,
  applicationLifecycle,
  detectionFinding,
])
export type OcsfEvent = z.infer<typeof leafAppended>
