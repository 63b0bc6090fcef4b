import { accessTokenType, tokenExchangeFormSchema } from '@bailiwick/contracts/api'
import { claimedPlace } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { Holder } from '@bailiwick/projection'
import { refuseUnlessAlive } from '../grants/alive.ts'
import { redeemDelegation } from '../grants/redeem-delegation.ts'
import { audienceOf } from './audience.ts'
import type { Client } from './authenticate-client.ts'
import { type FormCall, type OAuthEndpoint, parameters } from './client-call.ts'
import { type Minted, mint } from './mint.ts'
import { OAuthError } from './oauth-error.ts'

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** Standard parameters that would change what is asked for, and that are not supported here: they are refused, never ignored. */
const foreign = ['actor_token', 'actor_token_type', 'audience', 'scope', 'authorization_details']

/**
 * Token exchange (RFC 8693): a sub-agent redeems what another agent passed on to it. It gets a credential whose subject is the agent of the
 * grant and whose actor is the sub-agent itself. Its own client assertion and proof identify it: there is no actor token. Making the same
 * call again renews the credential.
 */
export async function exchangeToken(endpoint: OAuthEndpoint, given: FormCall['form'], client: Client): Promise<Minted> {
  const { issuer } = endpoint
  const form = parameters(tokenExchangeFormSchema, given)
  const unknown = foreign.find((name) => Object.hasOwn(given, name))
  if (unknown !== undefined) throw new OAuthError('invalid_request', `The parameter ${unknown} has no meaning here.`)
  const delegation = form.subject_token
  const tree = issuer.projection.ledger.grants.trees.get(claimedPlace(delegation)?.grant ?? '')
  // RFC 8693 §2.2.2. A grant that does not exist looks like one that this delegation is not of.
  if (!tree) throw new ServiceError('delegation_invalid', 'signature')
  const { resource } = form
  const audienceFor = ({ resources }: Pick<Holder, 'resources'>) => {
    if (resource !== undefined && resources?.includes(resource) === false)
      throw new OAuthError('invalid_target', 'The delegation is not for this API.')
    const asked = resource === undefined ? resources : [resource]
    return (asked ?? [undefined]).map((each) => audienceOf(issuer, each))
  }
  // A refused delegation must not be redeemed: it would count among its maker's children.
  const delegationId = await redeemDelegation(issuer, { tree, delegation, client, judge: audienceFor })
  const holders = refuseUnlessAlive(issuer, tree, delegationId)
  const audience = audienceFor(holders.at(-1) ?? holders[0])
  return { ...(await mint(issuer, { tree, client, audience, delegationId })), issuedTokenType: accessTokenType }
}
