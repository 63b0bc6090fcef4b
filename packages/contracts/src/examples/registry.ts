import type { EntityType } from '../entities.ts'
import type { Authorization } from '../registry.ts'
import { entities } from './entities.ts'
import type { ExamplesOf } from './shape.ts'
import { assertion, registryStatement } from './statements.ts'
import { jws, sha256 } from './values.ts'

const root: Authorization = { kind: 'root', jws: jws('genesis') }
const issuer: Authorization = { kind: 'issuer' }
const invitation: Authorization = { kind: 'invitation', jws: jws('invitation') }
const approvers: Authorization = {
  kind: 'approvers',
  statement: registryStatement,
  assertions: [assertion('operator-olga')],
}

const put = <T extends EntityType>(type: T, authorization: Authorization) => ({
  entity: { type, id: entities[type].id },
  value: entities[type],
  hash: sha256(type),
  authorization,
})
const retired = <T extends EntityType>(type: T) => ({
  entity: { type, id: entities[type].id },
  authorization: approvers,
})

export const registry: ExamplesOf<'registry.v1'> = {
  'service-key.registered': { 'at genesis': put('service-key', root) },
  'service-key.changed': { 'by approvers': put('service-key', approvers), activated: put('service-key', issuer) },
  'service-key.retired': {
    'by approvers': retired('service-key'),
    revoked: { ...retired('service-key'), authorization: issuer },
  },
  'agent.registered': { 'at genesis': put('agent', root), 'by approvers': put('agent', approvers) },
  'agent.changed': { 'by approvers': put('agent', approvers) },
  'agent.retired': { 'by approvers': retired('agent') },
  'approver.registered': {
    'the first, by invitation': put('approver', invitation),
    'by approvers': put('approver', approvers),
    'by a recovery': put('approver', { kind: 'recovery', recovery: 'recovery-2026-07', jws: jws('invitation') }),
  },
  'approver.changed': { 'by approvers': put('approver', approvers) },
  'approver.retired': { 'by approvers': retired('approver') },
  'rule.registered': { 'at genesis': put('rule', root) },
  'rule.changed': { 'by approvers': put('rule', approvers) },
  'rule.retired': { 'by approvers': retired('rule') },
  'tool-server.registered': { 'at genesis': put('tool-server', root) },
  'tool-server.changed': { 'by approvers': put('tool-server', approvers) },
  'tool-server.retired': { 'by approvers': retired('tool-server') },
  'enforcement-point.registered': { 'at genesis': put('enforcement-point', root) },
  'enforcement-point.changed': { 'by approvers': put('enforcement-point', approvers) },
  'enforcement-point.retired': { 'by approvers': retired('enforcement-point') },
  'auditor.registered': { 'by approvers': put('auditor', approvers) },
  'auditor.changed': { 'by approvers': put('auditor', approvers) },
  'auditor.retired': { 'by approvers': retired('auditor') },
  'recovery.registered': { 'by the root key': put('recovery', root) },
  'recovery.changed': { 'by approvers': put('recovery', approvers) },
  'recovery.retired': { 'by approvers who still have their passkeys': retired('recovery') },
  'policy-set.registered': { 'at genesis': put('policy-set', root) },
  'policy-set.changed': { 'by approvers': put('policy-set', approvers) },
  'policy-set.retired': { 'by approvers': retired('policy-set') },
}
