import { installationSchema, sha256Schema, timestampSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { parsePublicJwk, thumbprint } from './jwk.ts'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { refused, type Verified } from './verified.ts'

/** The service that may hold a key of each purpose (DESIGN §3). The root certifies only these. */
export const serviceOfPurpose = {
  credential: 'issuer',
  'issuer-event': 'issuer',
  'approval-event': 'approval',
  notification: 'approval',
  'pdp-event': 'policy-decision',
  permit: 'policy-decision',
  'binding-token': 'policy-decision',
  'evidence-event': 'evidence',
} as const

export type ServicePurpose = keyof typeof serviceOfPurpose

const purposeSchema = z.enum(Object.keys(serviceOfPurpose) as [ServicePurpose, ...ServicePurpose[]])

const publicJwkSchema = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: sha256Schema,
  y: sha256Schema,
})

const certificateSchema = z
  .strictObject({
    installation: installationSchema,
    kid: sha256Schema,
    jwk: publicJwkSchema,
    purpose: purposeSchema,
    service: z.enum(['approval', 'issuer', 'policy-decision', 'evidence']),
    topics: z.array(z.string().regex(/^[a-z0-9][a-z0-9.-]{0,200}$/)).max(32),
    not_before: timestampSchema,
    not_after: timestampSchema,
  })
  .refine((c) => serviceOfPurpose[c.purpose] === c.service, { path: ['service'] })
  .refine((c) => c.purpose.endsWith('-event') === c.topics.length > 0, { path: ['topics'] })
  .refine((c) => Date.parse(c.not_before) < Date.parse(c.not_after), { path: ['not_after'] })
  .refine((c) => namesItsKey(c.kid, c.jwk), { path: ['kid'] })

/**
 * The root key's statement about a service's key: its service, its purpose, the topics on which its events count (none for a key that signs
 * no events), and its validity (end exclusive).
 */
export type ServiceKeyCertificate = z.infer<typeof certificateSchema>

/** Throws `invariant_broken` if the claims contradict each other: another service's purpose, a `kid` of another key. */
export function signServiceKeyCertificate(certificate: ServiceKeyCertificate, root: SigningKey<'root'>): string {
  return signCompact('serviceKey', certificateSchema, certificate, root)
}

/** Verifies a certificate by the root key of the trust anchor. Its validity is checked where the certified key is used. */
export function verifyServiceKeyCertificate(options: {
  certificate: string
  key: VerifyingKey<'root'>
  installation: string
}): Verified<ServiceKeyCertificate> {
  const verified = verifyCompact('serviceKey', certificateSchema, options.certificate, options.key)
  if (verified.ok && verified.value.installation !== options.installation)
    return refused('token_audience_wrong', 'serviceKey: another installation')
  return verified
}

function namesItsKey(kid: string, jwk: unknown): boolean {
  const parsed = parsePublicJwk(jwk)
  return parsed !== undefined && thumbprint(parsed) === kid
}
