import { installationSchema } from '@bailiwick/contracts'
import { z } from 'zod'
import { signCompact, verifyCompact } from './jws.ts'
import type { SigningKey, VerifyingKey } from './keys.ts'
import { jtiSchema, numericDateSchema } from './lifetime.ts'
import { refused, type Verified } from './verified.ts'

const notificationSchema = z.strictObject({
  /** The installation. */
  iss: installationSchema,
  /** The URL to which it is sent. */
  aud: z.string().min(1).max(2048),
  iat: numericDateSchema,
  /** The id of the delivery; the same at each retry, so that a receiver recognises a repetition. */
  jti: jtiSchema,
  /** base64url SHA-256 of the body. */
  body_sha256: z.string().min(43).max(43),
})

/** The signature of a webhook's or a callback's body: detached, in a header next to it. It is news, never a grant. */
export type Notification = z.infer<typeof notificationSchema>

/** Throws `invariant_broken` if it does not match its schema. */
export function signNotification(notification: Notification, key: SigningKey<'notification'>): string {
  return signCompact('notification', notificationSchema, notification, key)
}

/** Verifies that this installation sent this body to this URL. The caller must limit its age, and must accept it only once. */
export function verifyNotification(options: {
  notification: string
  key: VerifyingKey<'notification'>
  installation: string
  url: string
  bodySha256: string
}): Verified<Notification> {
  const verified = verifyCompact('notification', notificationSchema, options.notification, options.key)
  if (!verified.ok) return verified
  const { iss, aud, body_sha256 } = verified.value
  if (iss !== options.installation || aud !== options.url) return refused('token_audience_wrong', 'notification')
  if (body_sha256 !== options.bodySha256) return refused('signature_invalid', 'notification: another body')
  return verified
}
