import { failure, type Http } from './http.ts'

/** Gives a grant back to the issuer, by its own id or that of its request, with a DPoP proof of exactly this call. */
export async function completeGrant({ http, issuer }: { http: Http; issuer: string }, id: string): Promise<void> {
  const url = new URL(`${issuer}/oauth/grants/${encodeURIComponent(id)}/complete`)
  const answer = await http.ask(url, 'POST', (proof) => ({ headers: { accept: 'application/json', dpop: proof } }))
  if (answer.status !== 200) throw failure(answer)
}
