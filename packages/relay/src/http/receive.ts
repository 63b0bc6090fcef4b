import type { IncomingMessage } from 'node:http'
import { ServiceError } from '@bailiwick/errors'
import { GatheredBytes, unlessAborted } from '@bailiwick/kit'
import { type Refusal, refusal } from '@bailiwick/pep'
import { checkHead, requestOf } from '../gate/gate.ts'
import { refuse } from '../gate/refuse.ts'
import type { Caller } from '../relay.ts'
import type { Refused, RelayRequest } from '../upstream.ts'

export interface ReceiveOptions {
  /** The address that callers use, as they sign it in proofs. Configured, never taken from a Host field. */
  baseUrl: string
  /** The longest body, in bytes; default 1 MiB. */
  mostBytes?: number
  /** The time for the whole body, in ms; default 30 s. */
  bodyMs?: number
}

/** A request that the gate let through, and the caller that it comes from. */
export interface Received {
  readonly request: RelayRequest
  readonly caller: Caller
}

const defaults = { mostBytes: 1_048_576, bodyMs: 30_000 }

/**
 * Reads a request from a server of Node.js through the canonical gate. The server must not have read its body. After a refusal, nothing of
 * the request is sent on; its body may be unread, so close the connection after the answer (`sendRefused` does).
 */
export async function receive(
  incoming: IncomingMessage,
  options: ReceiveOptions,
): Promise<Received | Refused | Refusal> {
  const { baseUrl, mostBytes, bodyMs } = { ...defaults, ...options }
  const { method = '', url: target = '', rawHeaders } = incoming
  // In HTTP/1.0, the end of the connection can be the end of the answer, so a cut answer would pass for a whole one.
  if (incoming.httpVersion !== '1.1') return refuse('http_version_forbidden', 'the version')
  const head = checkHead({ method, target, rawHeaders }, baseUrl)
  if ('refused' in head) return head
  if ('ok' in head) return refusal(head.reason)
  const body = await readBody(incoming, mostBytes, bodyMs)
  if ('refused' in body) return body
  if (incoming.rawTrailers.length > 0) return refuse('trailers_forbidden', 'the body')
  return { request: requestOf(head, body), caller: head.caller }
}

async function readBody(incoming: IncomingMessage, mostBytes: number, bodyMs: number): Promise<Uint8Array | Refused> {
  const announced = Number(incoming.headers['content-length'] ?? 0)
  if (announced > mostBytes) return refuse('body_too_large', `more than ${mostBytes} bytes`)
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new ServiceError('request_timed_out')), bodyMs)
  try {
    return await unlessAborted(collect(incoming, mostBytes), late.signal)
  } catch {
    return refuse('request_timed_out', 'the body did not arrive')
  } finally {
    clearTimeout(timer)
  }
}

async function collect(incoming: IncomingMessage, mostBytes: number): Promise<Uint8Array | Refused> {
  const gathered = new GatheredBytes()
  // Not by iteration: leaving the loop early would destroy the connection, and with it the answer that says why.
  return new Promise((resolve, reject) => {
    incoming.on('data', (chunk: Buffer) => {
      if (gathered.length + chunk.length <= mostBytes) gathered.push(chunk)
      else resolve(refuse('body_too_large', `more than ${mostBytes} bytes`))
    })
    incoming.on('end', () => (incoming.complete ? resolve(gathered.bytes()) : reject(new Error('cut off'))))
    incoming.on('error', reject)
    incoming.on('close', () => reject(new Error('closed')))
  })
}
