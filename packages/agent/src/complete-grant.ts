import type { GrantName } from './credentials.ts'
import { failure, type Http } from './http.ts'

/** Gives a grant back at the issuer, with a DPoP proof of this very call. */
export async function completeGrant({ http, issuer }: { http: Http; issuer: string }, grant: GrantName): Promise<void> {
  const id = 'grantId' in grant ? grant.grantId : grant.requestId
  const url = new URL(`${issuer}/oauth/grants/${encodeURIComponent(id)}/complete`)
  const answer = await http.ask(url, 'POST', (proof) => ({ headers: { accept: 'application/json', dpop: proof } }))
  if (answer.status !== 200) throw failure(answer)
}
