import { existsSync, globSync } from 'node:fs'
import { type IncomingMessage, request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { join } from 'node:path'
import { type ErrorCode, errorKinds, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'

/**
 * Reads from the evidence service for people at the console. Its answers are shown, but no code here relies on them: the signed parts
 * can be verified in the page.
 */
export interface EvidenceReader {
  /** The JSON at this path. Throws evidence's refusal, or `service_unreachable` if nothing answers. */
  get(path: string): Promise<Buffer>
  /** For work that takes long: the whole log is read again. Only evidence on this machine does it. */
  reread(path: string, body?: object): Promise<Buffer>
}

const answerMs = 10_000
/** As long as evidence may take for a person's turn, and the one before. */
export const rereadMs = 150_000
const largestAnswer = 16 * 1024 * 1024

/** Returns the `Authorization` by which evidence recognises this service. If undefined, evidence treats it as a stranger. */
export type EvidenceAuthorization = () => string | undefined

/**
 * Evidence at its address, or on this machine: over the 0600 socket that evidence or standalone has in the data directory.
 * A user who may open that socket may read the log's files, too.
 */
export function evidenceReader(
  data: string,
  url: string | undefined,
  authorization: EvidenceAuthorization = () => undefined,
): EvidenceReader {
  const here = (): Place[] => socketsIn(data).map((socketPath) => ({ socketPath }))
  const answered = async (places: readonly Place[], asked: Asked): Promise<Buffer> => {
    let refusal: ServiceError | undefined
    for (const place of places) {
      const answer = await ask(place, asked).catch((cause) => {
        refusal ??= new ServiceError('service_unreachable', 'evidence does not answer', { cause })
      })
      if (answer === undefined) continue
      if (answer.status === 200) return answer.body
      refusal = refusalOf(answer)
      // A standby; another instance may be the active one.
      if (answer.status !== 503) break
    }
    throw refusal ?? new ServiceError('service_unreachable', 'evidence is not on this machine: BAILIWICK_EVIDENCE_URL')
  }
  return {
    get: (path) =>
      answered(url === undefined ? here() : [{ url, authorization: authorization() }], { path, ms: answerMs }),
    async reread(path, body) {
      if (url !== undefined)
        throw new ServiceError(
          'service_unreachable',
          'evidence is on another machine, where the command line does this',
        )
      return answered(here(), { path, body, ms: rereadMs })
    },
  }
}

interface Asked {
  path: string
  /** Sent with POST. */
  body?: object | undefined
  ms: number
}

type Place = { socketPath: string } | { url: string; authorization: string | undefined }

function socketsIn(data: string): string[] {
  const { operatorSocket } = paths(data)
  if (existsSync(operatorSocket)) return [operatorSocket]
  return globSync('evidence-*.sock', { cwd: data })
    .toSorted()
    .map((name) => join(data, name))
}

interface Answer {
  status: number
  body: Buffer
}

function ask(place: Place, { path, body, ms }: Asked): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  // Each read has its own connection: a kept one may lead to a process that is gone.
  const sent = body === undefined ? {} : { 'content-type': 'application/json' }
  const method = body === undefined ? 'GET' : 'POST'
  const options = { agent: false, method, signal: AbortSignal.timeout(ms) } as const
  const take = (response: IncomingMessage) => {
    const parts: Buffer[] = []
    let length = 0
    response.on('data', (part: Buffer) => {
      parts.push(part)
      length += part.length
      if (length > largestAnswer) response.destroy(new Error('the answer is too long'))
    })
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }))
    response.on('error', reject)
  }
  const call =
    'socketPath' in place
      ? plain({ socketPath: place.socketPath, path, ...options, headers: sent }, take)
      : (place.url.startsWith('https:') ? secure : plain)(
          place.url + path,
          {
            ...options,
            headers: place.authorization === undefined ? sent : { ...sent, authorization: place.authorization },
          },
          take,
        )
  call.on('error', reject)
  call.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}

/** A problem document (RFC 9457) as the error that it describes. */
function refusalOf({ status, body }: Answer): ServiceError {
  let problem: { code?: unknown; detail?: unknown } = {}
  try {
    problem = Object(JSON.parse(body.toString()))
  } catch {}
  const { code, detail } = problem
  if (typeof code !== 'string' || !Object.hasOwn(errorKinds, code))
    return new ServiceError('answer_malformed', `evidence answers ${status} without saying why`)
  // Evidence does not know this service. The person at the console is signed in.
  if (code === 'caller_unauthenticated')
    return new ServiceError('caller_forbidden', 'evidence knows no auditor by the key of this console: keys auditor')
  return new ServiceError(code as ErrorCode, typeof detail === 'string' ? detail : undefined)
}
