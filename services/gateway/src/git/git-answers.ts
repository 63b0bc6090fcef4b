import { errorKinds, type ServiceError, toProblem } from '@bailiwick/errors'
import { headersOfRefusal, problemOfRefusal, type Refusal, remedyOf, retryAfterOf } from '@bailiwick/pep'
import type { Refused } from '@bailiwick/relay'
import type { GitCall } from './git-action.ts'
import { flushPacket, packetOf } from './pkt-line.ts'
import { readCommandList } from './push-commands.ts'

/** An answer of the gateway itself, as git shows it to the person who uses it. */
export interface GitAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What the request was, as far as it was read. The body is the list of commands of a push. */
export interface Asked {
  readonly call: GitCall | undefined
  readonly body: Buffer
}

/** For a request that was refused before any decision. It names the rule, and never a value of the request. */
export function refusedAnswer({ refused, detail }: Refused, asked: Asked): GitAnswer {
  const { status, title } = errorKinds[refused]
  return answerOf(asked, { status, text: `${title}: ${detail} (${refused})`, headers: { 'bailiwick-denied': refused } })
}

/** For a failure after the permit, or where nothing could be decided. It repeats nothing that the git server said. */
export function failedAnswer(error: ServiceError): GitAnswer {
  const { code, detail } = error
  const { status, title, retryable } = errorKinds[code]
  if (retryable) return problemAnswer(status, toProblem(error), {})
  // The detail of any other error may repeat words of the server.
  const why = code === 'body_too_large' && detail !== undefined ? `: ${detail}` : ''
  return answerOf(undefined, { status, text: `${title}${why} (${code})`, headers: {} })
}

/**
 * Nothing was executed. What may succeed a moment later, or with another proof, is a problem document, so that the agent's side repeats it.
 * Any other denial is for the person who uses git: as text before a fetch or push, and as an answer of git during one, because git does not
 * show the text of an error of HTTP then.
 */
export function deniedAnswer(refusal: Refusal, asked: Asked, metadataUrl: string): GitAnswer {
  const { reason, decisionId, accessRequest } = refusal
  const { status, ...problem } = problemOfRefusal(refusal)
  const headers = {
    'bailiwick-denied': reason,
    ...headersOfRefusal(refusal, metadataUrl),
    ...(decisionId === undefined ? {} : { 'bailiwick-decision-id': decisionId }),
  }
  if (status === 401 || retryAfterOf(refusal) !== undefined)
    return problemAnswer(status, { ...problem, status }, headers)
  const where = accessRequest === undefined ? '' : ` A human may allow it: ask at ${accessRequest.endpoint}`
  return answerOf(asked, { status, text: `Denied (${reason}). ${remedyOf(refusal)}${where}`, headers })
}

const problemAnswer = (status: number, problem: object, headers: GitAnswer['headers']): GitAnswer => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: Buffer.from(JSON.stringify(problem)),
})

interface Said {
  status: number
  text: string
  headers: Readonly<Record<string, string>>
}

/** `asked`: what the answer is for, if it may be an answer of git. */
function answerOf(asked: Asked | undefined, { status, text, headers }: Said): GitAnswer {
  const call = asked?.call
  const said =
    asked === undefined || call === undefined || call.isAdvertisement ? undefined : inGit(call, asked.body, text)
  const type = said === undefined ? 'text/plain; charset=utf-8' : `application/x-${call?.service}-result`
  return {
    status: said === undefined ? status : 200,
    headers: { 'content-type': type, ...headers },
    body: said ?? Buffer.from(`${text}\n`),
  }
}

/** Undefined if the client did not say how it wants to hear of a push. */
function inGit({ service }: GitCall, body: Buffer, text: string): Buffer | undefined {
  if (service === 'git-upload-pack') return packetOf(`ERR ${text}\n`)
  const push = readCommandList(body)
  if ('refused' in push || !push.capabilities.some((each) => each.startsWith('report-status'))) return undefined
  const lines = push.commands.map(({ ref }) => packetOf(`ng ${ref} denied by Bailiwick\n`))
  const report = Buffer.concat([packetOf('unpack ok\n'), ...lines, flushPacket])
  if (!push.capabilities.includes('side-band-64k')) return report
  return Buffer.concat([packetOf(`\x02${text}\n`), ...banded(report), flushPacket])
}

/** As many packets as the report takes on the first band. */
function banded(report: Buffer): Buffer[] {
  const most = 60_000
  const count = Math.ceil(report.length / most)
  return Array.from({ length: count }, (_, n) =>
    packetOf(Buffer.concat([Buffer.from([1]), report.subarray(n * most, (n + 1) * most)])),
  )
}
