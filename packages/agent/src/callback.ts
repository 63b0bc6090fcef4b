import { parseStrictJson } from '@bailiwick/contracts'
import { sha256, type VerifyingKey, verifyNotification } from '@bailiwick/credentials'
import { z } from 'zod'

/** The content of a callback: news about a task. It allows nothing; ask for the status, and for a credential. */
export interface CallbackNews {
  requestId: string
  status: string
  state?: string
  /** The id of the delivery: the same when it is sent again. */
  deliveryId: string
}

const bodySchema = z.object({
  state: z.string().optional(),
  task: z.object({ id: z.string().max(100), status: z.string().max(40) }),
})

/**
 * Verifies a callback (access request profile, "Callback Completion"): that approval, by its `notification` key, sent this body to this
 * URL, at most `maxAgeMs` ago (default 5 min). Returns undefined for everything else. The caller must remember `deliveryId`s.
 */
export function verifyCallback(options: {
  /** The header `bailiwick-signature`. */
  signature: string
  /** The body, byte for byte. */
  body: Uint8Array
  /** The callback URL, as it was signed in the request. */
  url: string
  key: VerifyingKey<'notification'>
  installation: string
  now: number
  maxAgeMs?: number
}): CallbackNews | undefined {
  const { signature, body, url, key, installation, now, maxAgeMs = 300_000 } = options
  const verified = verifyNotification({ notification: signature, key, installation, url, bodySha256: sha256(body) })
  if (!verified.ok || !(Math.abs(now - verified.value.iat * 1000) <= maxAgeMs)) return undefined
  const read = bodySchema.safeParse(parsed(body))
  if (!read.success) return undefined
  const { state, task } = read.data
  const news = { requestId: task.id, status: task.status, deliveryId: verified.value.jti }
  return state === undefined ? news : { ...news, state }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes)
  } catch {
    return undefined
  }
}
