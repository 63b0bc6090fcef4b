import { request } from 'node:http'
import { type ErrorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'

/**
 * What runs on this machine, as its operator sees it: the 0600 Unix socket in the data directory, so whoever may open that
 * is the operator. Each call throws the service's own error when it refuses, and `service_unready` when nothing answers.
 */
export interface Operator {
  /** The answer's JSON. */
  get(path: string): Promise<unknown>
  text(path: string): Promise<string>
  /** Once an answer is missing it is not known whether it happened: `outcome_unknown`. */
  post(path: string, body: unknown): Promise<unknown>
  /** The readiness checks that fail, with the reason of each; none: ready. */
  failing(): Promise<string[]>
}

interface Answer {
  status: number
  body: Buffer
}

const ANSWER_MS = 30_000
const LARGEST_ANSWER = 64 * 1024 * 1024

export function operatorOf(data: string): Operator {
  const socketPath = paths(data).operatorSocket
  const call = async (method: string, path: string, body?: string) => {
    const answer = await exchange(socketPath, method, path, body)
    if (answer.status >= 200 && answer.status < 300) return answer.body.toString('utf8')
    throw refusalOf(answer)
  }
  return {
    get: async (path) => jsonOf(await call('GET', path)),
    text: (path) => call('GET', path),
    post: async (path, body) => jsonOf(await call('POST', path, JSON.stringify(body))),
    async failing() {
      const answer = await exchange(socketPath, 'GET', '/readyz')
      if (answer.status === 200) return []
      const refusal = refusalOf(answer)
      if (refusal.code !== 'service_unready') throw refusal
      return refusal.message.replace('service_unready: ', '').split('; ')
    },
  }
}

function exchange(socketPath: string, method: string, path: string, body?: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  let sent = false
  const fail = (cause: NodeJS.ErrnoException) => reject(failureOf(cause, socketPath, sent && body !== undefined))
  const call = request({ socketPath, method, path, headers, signal: AbortSignal.timeout(ANSWER_MS) }, (response) => {
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
    socket.on('connect', () => {
      sent = true
    })
  })
  call.on('error', fail)
  call.end(body)
  return promise
}

function failureOf(cause: NodeJS.ErrnoException, socketPath: string, mayHaveHappened: boolean): ServiceError {
  if (mayHaveHappened)
    return new ServiceError('outcome_unknown', 'no answer came: look whether it happened before you repeat it', {
      cause,
    })
  switch (cause.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new ServiceError('service_unready', `nothing answers on ${socketPath}: is bailiwick serve running?`, {
        cause,
      })
    case 'EACCES':
    case 'EPERM':
      return new ServiceError('caller_forbidden', `${socketPath} is open to its owner alone`, { cause })
    default:
      return new ServiceError('service_unready', `${socketPath}: ${cause.code ?? cause.message}`, { cause })
  }
}

/** A problem document (RFC 9457) as the error it tells of. */
function refusalOf({ status, body }: Answer): ServiceError {
  const problem = problemIn(body)
  const code = problem?.code
  if (typeof code === 'string' && Object.hasOwn(errorKinds, code))
    return new ServiceError(code as ErrorCode, typeof problem?.detail === 'string' ? problem.detail : undefined)
  return new ServiceError('service_unready', `it answers ${status} without saying why`)
}

function problemIn(body: Buffer): { code?: unknown; detail?: unknown } | undefined {
  try {
    const problem: unknown = JSON.parse(body.toString('utf8'))
    return typeof problem === 'object' && problem !== null ? problem : undefined
  } catch {
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ServiceError('answer_malformed', 'the answer is not JSON')
  }
}
