import { person } from './tell-approvals.ts'
import type { LeafEvent, Told } from './told.ts'

export type RegistryEvent = Extract<LeafEvent, { data: { entity: unknown } }>

const kinds = {
  'service-key': 'Service Key',
  agent: 'AI Agent',
  rule: 'Policy',
  'policy-set': 'Policy',
  auditor: 'Auditor',
  recovery: 'Recovery',
  approver: 'Approver',
  'tool-server': 'Tool Server',
  'enforcement-point': 'Enforcement Point',
} as const

/** An entity of the registry begins, changes or ends. The value stays in the log; the OCSF event has only its hash. */
export function tellRegistry(event: RegistryEvent): Told {
  const { type, id } = event.data.entity
  const verb = event.type.slice(event.type.lastIndexOf('.') + 1) as 'registered' | 'changed' | 'retired'
  const value = 'value' in event.data ? event.data.value : undefined
  const hash = 'hash' in event.data ? { hash: event.data.hash } : {}
  const { authorization } = event.data
  const common = {
    severity: 2,
    status: { id: 1, caption: 'Success' },
    message: `${kinds[type]} ${id} was ${verb}`,
    says: { details: { entity: `${type} ${id}`, authorized_by: authorization.kind, ...hash } },
  } as const
  const which = verb === 'registered' ? 0 : verb === 'changed' ? 1 : 2
  if (type === 'approver') {
    const groups = value !== undefined && 'groups' in value ? value.groups.map((name) => ({ name })) : undefined
    const user = { ...person(id), ...(groups === undefined ? {} : { groups }) }
    return { class: 'user_management', activity: ([1, 2, 3] as const)[which], ...common, body: { user } }
  }
  if (type === 'tool-server' || type === 'enforcement-point') {
    const about = value !== undefined && 'manifest' in value ? { url_string: value.url, version: value.manifest } : {}
    const app = { uid: id, name: kinds[type], ...about }
    return { class: 'application_lifecycle', activity: ([6, 8, 7] as const)[which], ...common, body: { app } }
  }
  const policy = type === 'rule' || type === 'policy-set'
  const entity = {
    uid: id,
    type_id: policy ? 5 : 99,
    type: kinds[type],
    version: String(event.version),
    data: hash,
  } as const
  return { class: 'entity_management', activity: ([1, 3, 4] as const)[which], ...common, body: { entity } }
}
