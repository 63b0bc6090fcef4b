import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { type ErrorCode, errorCode, errorKinds, ServiceError } from '@bailiwick/errors'

/** How to reach a process: the 0600 socket in its data directory, or its address, where it gives the answers for anonymous callers. */
export type Place = { socketPath: string } | { url: string }

export interface Answer {
  status: number
  body: Buffer
}

const ANSWER_MS = 30_000
/** For another machine, which may drop what it is sent. */
const FAR_ANSWER_MS = 5_000
const LARGEST_ANSWER = 64 * 1024 * 1024

export const nameOf = (place: Place): string => ('url' in place ? place.url : place.socketPath)

/**
 * Sends one request and reads the whole answer, with any status. Rejects with `service_unready` if nothing answers, and with
 * `outcome_unknown` if a change was sent and its answer is missing.
 */
export function exchange(place: Place, method: string, path: string, body?: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const far = 'url' in place
  const options = { method, headers, signal: AbortSignal.timeout(far ? FAR_ANSWER_MS : ANSWER_MS) }
  const send = far && place.url.startsWith('https:') ? secure : plain
  const call = far ? send(new URL(path, place.url), options) : plain({ ...place, ...options, path })
  let sent = false
  const fail = (cause: NodeJS.ErrnoException) => reject(failureOf(cause, place, sent && body !== undefined))
  call.on('response', (response) => {
    const parts: Buffer[] = []
    let length = 0
    response.on('data', (part: Buffer) => {
      parts.push(part)
      length += part.length
      if (length > LARGEST_ANSWER) response.destroy(new Error('the answer is too long'))
    })
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }))
    response.on('error', fail)
  })
  call.on('socket', (socket) => {
    // A reused socket is already connected, and emits no connect event.
    if (!socket.connecting) sent = true
    else
      socket.once('connect', () => {
        sent = true
      })
  })
  call.on('error', fail)
  call.end(body)
  return promise
}

/** The failing readiness checks of this process, with the reason of each; none: ready. Rejects if nothing answers. */
export async function failingAt(place: Place): Promise<string[]> {
  return failingIn(await exchange(place, 'GET', '/readyz'))
}

/** The failing checks in an answer of `/readyz`. */
export function failingIn(answer: Answer): string[] {
  if (answer.status === 200) return []
  const refusal = refusalOf(answer)
  if (refusal.code !== 'service_unready') throw refusal
  return refusal.message.replace('service_unready: ', '').split('; ')
}

function failureOf(cause: NodeJS.ErrnoException, place: Place, mayHaveHappened: boolean): ServiceError {
  if (mayHaveHappened)
    return new ServiceError('outcome_unknown', 'no answer came: look whether it happened before you repeat it', {
      cause,
    })
  switch (cause.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new ServiceError('service_unready', `nothing answers on ${nameOf(place)}: is bailiwick serve running?`, {
        cause,
      })
    case 'EACCES':
    case 'EPERM':
      return new ServiceError('caller_forbidden', `${nameOf(place)} is open to its owner alone`, { cause })
    default:
      return new ServiceError('service_unready', `${nameOf(place)}: ${cause.code ?? cause.message}`, { cause })
  }
}

/** Converts a problem document (RFC 9457) to the error that it describes. */
export function refusalOf({ status, body }: Answer): ServiceError {
  const problem = problemIn(body)
  const code = problem?.code
  if (typeof code === 'string' && Object.hasOwn(errorKinds, code))
    return new ServiceError(code as ErrorCode, typeof problem?.detail === 'string' ? problem.detail : undefined)
  return new ServiceError('service_unready', `it answers ${status} without saying why`)
}

/** An error's message for a person: its detail if it has one. */
export function reasonOf(error: unknown): string {
  const detail = typeof error === 'object' && error !== null && 'detail' in error ? error.detail : undefined
  return typeof detail === 'string' ? detail : errorCode(error)
}

function problemIn(body: Buffer): { code?: unknown; detail?: unknown } | undefined {
  try {
    const problem: unknown = JSON.parse(body.toString('utf8'))
    return typeof problem === 'object' && problem !== null ? problem : undefined
  } catch {
    return undefined
  }
}
