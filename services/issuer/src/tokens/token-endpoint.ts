import { z } from 'zod'
import type { Client } from './authenticate-client.ts'
import { authenticateCall, type FormCall, type OAuthEndpoint, parameters } from './client-call.ts'
import { exchangeToken, tokenExchange } from './exchange-token.ts'
import { issueToken } from './issue-token.ts'
import type { Minted } from './mint.ts'
import { asOAuthError, OAuthError, unavailable } from './oauth-error.ts'

/** Handles one grant type, for a client that has proved itself and its key, with state that is proved fresh. Reads its own parameters. */
export type GrantType = (endpoint: OAuthEndpoint, form: FormCall['form'], client: Client) => Promise<Minted>

/** All grant types; the metadata lists these names. To renew, make the same call again: there are no refresh tokens. */
export const grantTypes = {
  client_credentials: issueToken,
  [tokenExchange]: exchangeToken,
} as const satisfies Record<string, GrantType>

const grantTypeSchema = z.object({ grant_type: z.string() })

/** The token endpoint (RFC 6749 §3.2): authenticates the client and its key (RFC 9449 §5), then calls the grant type. */
export async function answerToken(endpoint: OAuthEndpoint, call: FormCall): Promise<Minted> {
  const { grant_type: name } = parameters(grantTypeSchema, call.form)
  if (!Object.hasOwn(grantTypes, name))
    throw new OAuthError('unsupported_grant_type', `The grant types here are ${Object.keys(grantTypes).join(', ')}.`)
  const client = await authenticateCall(endpoint, call, { url: endpoint.tokenUrl, proof: 'demanded' })
  if (!endpoint.issuer.projection.fresh()) throw unavailable('The state is not proved fresh: ask again.')
  try {
    return await grantTypes[name as keyof typeof grantTypes](endpoint, call.form, client)
  } catch (error) {
    throw asOAuthError(error)
  }
}
