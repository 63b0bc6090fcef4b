import { z } from 'zod'
import { type EntityType, entitySchemas } from './entities.ts'
import { compactJwsSchema, nameSchema, sha256Schema } from './primitives.ts'
import { assertionSchema, registryStatementSchema } from './statements.ts'

/**
 * Why a registry event counts, traced back to the trust anchor (DESIGN §3). It is authorised by one of these signatures: the root key's
 * (genesis); the invitation key's (the first approver, once); approvers' passkeys over a registry statement that names exactly this change;
 * or, when all passkeys are lost, a recovery's key over exactly this passkey. The issuer alone states where a service key certified by the
 * root is between prepared and revoked.
 */
export const authorizationSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('root'), jws: compactJwsSchema }),
    z.strictObject({ kind: z.literal('invitation'), jws: compactJwsSchema }),
    z.strictObject({
      kind: z.literal('approvers'),
      statement: registryStatementSchema,
      assertions: z.array(assertionSchema).min(1).max(16),
    }),
    z.strictObject({ kind: z.literal('recovery'), recovery: nameSchema, jws: compactJwsSchema }),
    z.strictObject({ kind: z.literal('issuer') }),
  ])
  .meta({ id: 'registry-authorization' })
export type Authorization = z.infer<typeof authorizationSchema>

const put = <T extends EntityType>(type: T) =>
  z.strictObject({
    entity: z.strictObject({ type: z.literal(type), id: z.string().min(1).max(2100) }),
    value: entitySchemas[type],
    /** SHA-256 of JCS(value). */
    hash: sha256Schema,
    authorization: authorizationSchema,
  })
const retired = <T extends EntityType>(type: T) =>
  z.strictObject({
    entity: z.strictObject({ type: z.literal(type), id: z.string().min(1).max(2100) }),
    authorization: authorizationSchema,
  })

export const registryEvents = {
  'service-key.registered': put('service-key'),
  'service-key.changed': put('service-key'),
  'service-key.retired': retired('service-key'),
  'agent.registered': put('agent'),
  'agent.changed': put('agent'),
  'agent.retired': retired('agent'),
  'approver.registered': put('approver'),
  'approver.changed': put('approver'),
  'approver.retired': retired('approver'),
  'rule.registered': put('rule'),
  'rule.changed': put('rule'),
  'rule.retired': retired('rule'),
  'tool-server.registered': put('tool-server'),
  'tool-server.changed': put('tool-server'),
  'tool-server.retired': retired('tool-server'),
  'enforcement-point.registered': put('enforcement-point'),
  'enforcement-point.changed': put('enforcement-point'),
  'enforcement-point.retired': retired('enforcement-point'),
  'auditor.registered': put('auditor'),
  'auditor.changed': put('auditor'),
  'auditor.retired': retired('auditor'),
  'recovery.registered': put('recovery'),
  'recovery.changed': put('recovery'),
  'recovery.retired': retired('recovery'),
  'policy-set.registered': put('policy-set'),
  'policy-set.changed': put('policy-set'),
  'policy-set.retired': retired('policy-set'),
} as const
