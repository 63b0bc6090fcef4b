import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import { failure, type Http } from './http.ts'

/** `live`: a call may be allowed. `suspended`: not now, and perhaps later. `ended`: never again. */
export type GrantState = 'live' | 'suspended' | 'ended'

const answerSchema = z.object({ state: z.enum(['live', 'suspended', 'ended']) })

/** Asks the issuer for the state of a grant, named by its own id or by that of its request, with a DPoP proof of exactly this call. */
export async function grantState({ http, issuer }: { http: Http; issuer: string }, id: string): Promise<GrantState> {
  const url = new URL(`${issuer}/oauth/grants/${encodeURIComponent(id)}/state`)
  const answer = await http.ask(url, 'POST', (proof) => ({ headers: { accept: 'application/json', dpop: proof } }))
  if (answer.status !== 200) throw failure(answer)
  const read = answerSchema.safeParse(answer.body)
  if (!read.success) throw new ServiceError('answer_malformed', 'no state of a grant')
  return read.data.state
}
