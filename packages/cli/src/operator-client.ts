import { existsSync, globSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { type ErrorCode, errorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { services } from './repository.ts'

type Service = (typeof services)[number]

/**
 * What runs on this machine, as its operator sees it: the 0600 Unix sockets in the data directory, so whoever may open them
 * is the operator; standalone's, or those of the services that run by themselves. Each call throws the service's own error when it refuses, and `service_unready` when nothing answers.
 */
export interface Operator {
  /** The answer's JSON. */
  get(path: string): Promise<unknown>
  text(path: string): Promise<string>
  bytes(path: string): Promise<Uint8Array>
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

/** Who has a route, where services run by themselves; the first that fits. */
const owners: readonly [prefix: string, service: Service][] = [
  ['/operator/revocations', 'issuer'],
  ['/operator/recoveries', 'issuer'],
  ['/operator/keys', 'issuer'],
  ['/operator/join-tokens/issuer', 'issuer'],
  ['/operator/calls/', 'policy-decision'],
  ['/operator/points', 'policy-decision'],
  ['/operator/', 'approval'],
  ['/log/', 'evidence'],
  ['/v1/', 'evidence'],
]

export function operatorOf(data: string): Operator {
  const call = async (method: string, path: string, body?: string) => {
    const owner = owners.find(([prefix]) => path.startsWith(prefix))?.[1]
    const answer = await firstThatServes(socketsOf(data, owner), (socket) => exchange(socket, method, path, body))
    if (answer.status >= 200 && answer.status < 300) return answer.body
    throw refusalOf(answer)
  }
  return {
    get: async (path) => jsonOf(await call('GET', path)),
    text: async (path) => (await call('GET', path)).toString('utf8'),
    bytes: (path) => call('GET', path),
    post: async (path, body) => jsonOf(await call('POST', path, JSON.stringify(body))),
    async failing() {
      if (!servicesRunByThemselves(data)) return failingAt(socketsOf(data, undefined))
      const found = await Promise.all(
        services.map(async (service) => {
          const failing = await failingAt(socketsOf(data, service)).catch((error) => [errorCode(error)])
          return failing.map((reason) => `${service}: ${reason}`)
        }),
      )
      return found.flat()
    },
  }
}

/** Of standalone, or of every instance of the service that runs by itself on this machine. */
function socketsOf(data: string, service: Service | undefined): [string, ...string[]] {
  const { operatorSocket } = paths(data)
  if (service === undefined || !servicesRunByThemselves(data)) return [operatorSocket]
  const own = globSync(`${service}-*.sock`, { cwd: data }).map((name) => join(data, name))
  const [first = paths(data).serviceSocket(service, 0), ...others] = own.toSorted()
  return [first, ...others]
}

const servicesRunByThemselves = (data: string): boolean =>
  !existsSync(paths(data).operatorSocket) && services.some((service) => globSync(`${service}-*.sock`, { cwd: data })[0])

/** The answer of the first instance that is active and answers; else what the last one said. */
async function firstThatServes(
  [socket, ...others]: [string, ...string[]],
  ask: (socket: string) => Promise<Answer>,
): Promise<Answer> {
  const [next, ...rest] = others
  if (next === undefined) return ask(socket)
  const answer = await ask(socket).catch((error) => {
    if (errorCode(error) !== 'service_unready') throw error
    return undefined
  })
  return answer && answer.status !== 503 ? answer : firstThatServes([next, ...rest], ask)
}

async function failingAt(sockets: [string, ...string[]]): Promise<string[]> {
  const answer = await firstThatServes(sockets, (socket) => exchange(socket, 'GET', '/readyz'))
  if (answer.status === 200) return []
  const refusal = refusalOf(answer)
  if (refusal.code !== 'service_unready') throw refusal
  return refusal.message.replace('service_unready: ', '').split('; ')
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
    // One that was used before is connected, and says so no more.
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

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new ServiceError('answer_malformed', 'the answer is not JSON')
  }
}
