import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { errorKinds, toProblem } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import { headersOfRefusal, problemOfRefusal, type Refusal } from '@bailiwick/pep'
import type { Relayed } from '../relay.ts'
import type { Executed, Refused } from '../upstream.ts'

/** Aborted when the client has gone before its answer was whole. Take it before the call is decided. */
export function clientGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return gone.signal
}

/**
 * Sends an answer as it arrives. If it breaks off, the connection is destroyed, so that the part does not pass for the whole. Never rejects;
 * resolves when nothing more is sent.
 */
export async function sendExecuted(
  response: ServerResponse,
  { decisionId, executed, over }: Pick<Relayed, 'decisionId' | 'executed' | 'over'>,
): Promise<void> {
  const { status, headers, body } = executed
  try {
    response.writeHead(status, [...headers, 'bailiwick-decision-id', decisionId])
    response.flushHeaders()
    await pour(response, body, over)
    response.end()
  } catch {
    response.destroy()
  }
}

/**
 * Writes a body as fast as its reader takes it, part by part: the body ends for its source once its last part has left. Throws what the body
 * throws. `over`: the call has ended, whether or not the reader reads.
 */
export async function pour(response: Writable, body: Executed['body'], over: Promise<unknown>): Promise<void> {
  let goOn: () => void = () => undefined
  response.on('close', () => goOn())
  // A client that does not read must not keep a call that was cut.
  void over.then(() => goOn())
  for await (const chunk of body) {
    if (response.destroyed) return
    const { promise, resolve } = withResolvers<void>()
    goOn = resolve
    response.write(chunk, () => resolve())
    await promise
  }
}

/** Sends the refusal of the gate or of an adapter as a problem document (RFC 9457). Closes the connection: a body may be unread. */
export function sendRefused(response: ServerResponse, { refused, detail }: Refused): void {
  const { status, title } = errorKinds[refused]
  response.setHeader('connection', 'close')
  sendProblem(response, status, { type: `urn:bailiwick:error:${refused}`, title, status, code: refused, detail })
}

/** Sends a denial, with a challenge where the credential is the reason (RFC 9449 §7.1). */
export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  const { status, ...problem } = problemOfRefusal(refusal)
  for (const [name, value] of Object.entries(headersOfRefusal(refusal))) response.setHeader(name, value)
  sendProblem(response, status, { ...problem, status })
}

/** Sends an error that occurred after the permit. */
export function sendError(response: ServerResponse, error: unknown): void {
  const problem = toProblem(error)
  sendProblem(response, problem.status, problem)
}

function sendProblem(response: ServerResponse, status: number, problem: object): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const bytes = Buffer.from(JSON.stringify(problem))
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'content-length': String(bytes.length),
  })
  response.end(bytes)
}
