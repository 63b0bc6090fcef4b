import type { HttpReply } from '@bailiwick/host'
import { headersOfRefusal, problemOfRefusal, type Refusal } from '@bailiwick/pep'
import { metadataUrlOf } from './resource-metadata.ts'

/** Answers a denial. `resource`: the address that was called, without a slash at its end. */
export function deny(reply: HttpReply, denial: Refusal, resource: string): HttpReply {
  const { status, ...problem } = problemOfRefusal(denial)
  // No answer of an upstream has a field with this beginning: it says that the gateway itself denied.
  reply.header('bailiwick-denied', denial.reason)
  return reply
    .code(status)
    .headers(headersOfRefusal(denial, metadataUrlOf(resource)))
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify({ ...problem, status })))
}
