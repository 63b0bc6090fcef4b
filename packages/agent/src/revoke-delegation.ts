import { delegationId } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { failure, type Http } from './http.ts'

/**
 * Ends a delegation and everything below it at the issuer, with a DPoP proof of exactly this call. Sends the signed delegation along,
 * because it may not have been redeemed yet.
 */
export async function revokeDelegation(
  { http, issuer }: { http: Http; issuer: string },
  delegation: string,
): Promise<void> {
  const isId = delegation.startsWith('dlg_')
  const id = isId ? delegation : delegationId(delegation)
  if (id === undefined) throw new ServiceError('request_malformed', 'not a delegation, nor the id of one')
  const url = new URL(`${issuer}/oauth/delegations/${encodeURIComponent(id)}/revoke`)
  const answer = await http.ask(url, 'POST', (proof) => ({
    headers: { accept: 'application/json', 'content-type': 'application/json', dpop: proof },
    body: JSON.stringify(isId ? {} : { delegation }),
  }))
  if (answer.status !== 200) throw failure(answer)
}
