import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { answerTo, type Clock } from '@bailiwick/kit'
import { z } from 'zod'
import type { Delivered, Destination } from './feed.ts'
import { readOtlpHeaders } from './otlp-headers.ts'
import { logsRequest } from './otlp-records.ts'
import type { FeedRecord } from './records.ts'

export interface OtlpSinkOptions {
  /** Https, or http to this machine. */
  url: string
  headersFile: string | undefined
  installation: string
  bound: number
  clock: Clock
  /** For one request, including the last byte of the answer; 10 s by default. */
  deadlineMs?: number
}

const batch = 128
/** The approximate bytes of one request: a fifth of the server limit that OTLP recommends (20 MiB), since some servers have less. */
const longestRequest = 4 * 1024 * 1024
const longestAnswer = 65_536
/** A server that asks for a longer pause is still contacted again after this time. */
const longestRetryAfterMs = 300_000
/** "All other 4xx or 5xx response status codes MUST NOT be retried" (OTLP/HTTP, Retryable Response Codes). */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504])

const answerSchema = z.object({
  partialSuccess: z.object({ rejectedLogRecords: z.union([z.string(), z.number()]).optional() }).nullish(),
})

type Answer =
  | { kind: 'accepted'; rejected: number }
  | { kind: 'refused' }
  | { kind: 'too large' }
  | { kind: 'later'; ms: number }

/**
 * OTLP/HTTP logs in JSON, one request at a time, sent only to the operator's address: it follows no redirect, uses no proxy, and fails on a
 * certificate that does not verify. Nothing that the other side answers is used except a count.
 */
export function otlpSink(options: OtlpSinkOptions): Destination {
  const { url, headersFile, installation, bound, clock, deadlineMs = 10_000 } = options
  const secure = url.startsWith('https:')
  const keep = { keepAlive: true, maxSockets: 1 }
  const agent = secure ? new HttpsAgent(keep) : new HttpAgent(keep)
  let most = batch

  async function post(body: string, stop: AbortSignal): Promise<Answer> {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(deadlineMs)])
    const headers = headersFile === undefined ? {} : await readOtlpHeaders(headersFile)
    const sent = (secure ? requestHttps : requestHttp)(url, {
      method: 'POST',
      agent,
      rejectUnauthorized: true,
      maxHeaderSize: 16_384,
      signal,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'bailiwick',
      },
    })
    try {
      const answer = await answerTo(sent, body, signal)
      return judge(answer, await bodyOf(answer), clock.now())
    } catch (error) {
      sent.destroy()
      throw error
    }
  }

  return {
    name: 'otlp',
    batch,
    bound,
    async deliver(records, stop): Promise<Delivered> {
      for (;;) {
        const chunk = fitting(records.slice(0, most))
        const answer = await post(logsRequest(chunk, { installation, now: clock.now() }), stop)
        switch (answer.kind) {
          case 'later':
            return { again: answer.ms }
          case 'accepted':
            most = Math.min(batch, most * 2)
            return { taken: chunk.length, refused: answer.rejected }
          case 'refused':
            return { taken: chunk.length, refused: chunk.length }
          case 'too large':
            // Do not send the same request again, but a smaller one.
            if (chunk.length === 1) return { taken: 1, refused: 1 }
            most = Math.ceil(chunk.length / 2)
        }
      }
    },
  }
}

/** As many records as one request may hold, at least one. OTLP's own encoding takes about twice as much. */
function fitting(records: readonly FeedRecord[]): readonly FeedRecord[] {
  let length = 0
  const beyond = records.findIndex(({ json }) => {
    length += json.length * 2
    return length > longestRequest
  })
  return beyond < 0 ? records : records.slice(0, Math.max(1, beyond))
}

/** Undefined: the body is longer than any OTLP answer. */
async function bodyOf(answer: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer) {
    length += (chunk as Buffer).length
    if (length > longestAnswer) {
      answer.destroy()
      return undefined
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

function judge(answer: IncomingMessage, body: string | undefined, now: number): Answer {
  const status = answer.statusCode ?? 0
  if (status === 413) return { kind: 'too large' }
  if (retryable.has(status)) return { kind: 'later', ms: retryAfter(answer.headers['retry-after'], now) }
  if (status >= 400) return { kind: 'refused' }
  // A web page that answers every request with 200, or redirects, is not a collector: records sent to it would be lost unnoticed.
  const rejected = status >= 200 && status < 300 ? rejectedOf(body) : undefined
  return rejected === undefined ? { kind: 'later', ms: 0 } : { kind: 'accepted', rejected }
}

/** How many of the records an answer rejects; undefined if it is not an OTLP answer. */
function rejectedOf(body: string | undefined): number | undefined {
  if (body === '') return 0
  let json: unknown
  try {
    json = JSON.parse(body ?? 'too long')
  } catch {
    return undefined
  }
  const read = answerSchema.safeParse(json)
  if (!read.success) return undefined
  const count = Number(read.data.partialSuccess?.rejectedLogRecords ?? 0)
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfter(header: string | undefined, now: number): number {
  if (header === undefined) return 0
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(ms) ? 0 : Math.min(longestRetryAfterMs, Math.max(0, ms))
}
