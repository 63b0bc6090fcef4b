import { failure, type Http } from './http.ts'

/** Gives a grant back, by its own id or that of its request, at the issuer, with a DPoP proof of this very call. */
export async function completeGrant({ http, issuer }: { http: Http; issuer: string }, id: string): Promise<void> {
  const url = new URL(`${issuer}/oauth/grants/${encodeURIComponent(id)}/complete`)
  const answer = await http.ask(url, 'POST', (proof) => ({ headers: { accept: 'application/json', dpop: proof } }))
  if (answer.status !== 200) throw failure(answer)
}
