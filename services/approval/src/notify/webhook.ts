import { createHash } from 'node:crypto'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { type SigningKey, signNotification } from '@bailiwick/credentials'
import type { NotificationFormat } from '@bailiwick/host'
import { answerTo, type Clock } from '@bailiwick/kit'
import { bodyOf } from './bodies.ts'
import type { NotificationSink, Sent } from './sink.ts'

export interface WebhookOptions {
  /** An https address, or http on this machine. */
  url: string
  format: NotificationFormat
  installation: string
  key: SigningKey<'notification'>
  clock: Clock
  /** For the whole attempt. The default is 5 s. */
  deadlineMs?: number
}

/**
 * Posts to the operator's address, which may well be an internal one. The post goes nowhere else: no redirect is followed, no proxy is
 * used, and a certificate that does not verify ends the attempt. No environment variable changes that. Only the answer's status is read.
 * The signature in `bailiwick-signature` covers the body and this URL.
 */
export function webhookSink(options: WebhookOptions): NotificationSink {
  const { url, format, installation, key, clock, deadlineMs = 5000 } = options
  return {
    async send(notice, signal) {
      const body = bodyOf(notice, format, installation)
      const notification = signNotification(
        {
          iss: installation,
          aud: url,
          iat: Math.floor(clock.now() / 1000),
          jti: notice.id,
          body_sha256: createHash('sha256').update(body).digest('base64url'),
        },
        key,
      )
      try {
        return outcomeOf(
          await post(url, body, notification, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])),
        )
      } catch {
        return 'later'
      }
    },
  }
}

/** Returns the status without waiting for the rest of the answer. */
async function post(url: string, body: string, signature: string, signal: AbortSignal): Promise<number> {
  const send = url.startsWith('https:') ? requestHttps : requestHttp
  const sent = send(url, {
    method: 'POST',
    agent: false,
    rejectUnauthorized: true,
    maxHeaderSize: 16_384,
    signal,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'bailiwick-signature': signature,
      'user-agent': 'bailiwick',
      connection: 'close',
    },
  })
  const answer = await answerTo(sent, body, signal)
  answer.destroy()
  return answer.statusCode ?? 0
}

/** A redirect leads where the operator did not point. A client error would be the same on every retry. */
function outcomeOf(status: number): Sent {
  if (status >= 200 && status < 300) return 'sent'
  return status >= 500 || [408, 425, 429].includes(status) ? 'later' : 'never'
}
