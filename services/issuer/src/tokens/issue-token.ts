import { parseStrictJson } from '@bailiwick/contracts'
import { clientCredentialsFormSchema } from '@bailiwick/contracts/api'
import { type RequestRecord, type Tree, voidedBy } from '@bailiwick/projection'
import { z } from 'zod'
import type { Issuer } from '../context.ts'
import { audienceOf } from './audience.ts'
import type { Client } from './authenticate-client.ts'
import { type FormCall, type OAuthEndpoint, parameters } from './client-call.ts'
import { type Minted, mint } from './mint.ts'
import { OAuthError } from './oauth-error.ts'

const detailsSchema = z.tuple([
  z.union([
    z.strictObject({ type: z.literal('bailiwick_grant'), grant_id: z.string().max(256) }),
    z.strictObject({ type: z.literal('bailiwick_grant'), request_id: z.string().max(256) }),
  ]),
])

/** `client_credentials` (RFC 6749 §4.4) with RFC 9396: a credential for one grant of this client, named by its id or by its request. */
export async function issueToken(endpoint: OAuthEndpoint, given: FormCall['form'], client: Client): Promise<Minted> {
  const form = parameters(clientCredentialsFormSchema, given)
  // Ignoring `scope` would require a `scope` in the answer that says which is granted (RFC 6749 §3.3), and scopes do not exist here.
  if (form.scope !== undefined)
    throw new OAuthError('invalid_scope', 'There are no scopes here: leave the parameter out.')
  // Other servers' clients use `audience`. A client that means to narrow by it must not get a credential that is good everywhere.
  if (form.audience !== undefined)
    throw new OAuthError('invalid_request', 'Name the API by resource (RFC 8707), not by audience.')
  const details = parseDetails(form.authorization_details)
  await endpoint.issuer.projection.until(() => isFolded(endpoint, details) || undefined, foldedWithinMs)
  const tree = findGrant(endpoint, details, client)
  const audience = [audienceOf(endpoint.issuer, form.resource)]
  return mint(endpoint.issuer, { tree, client, audience })
}

/** Each reader folds at its own pace: the service that tells the agent of its request or grant may be ahead of this one (DESIGN §5). */
function isFolded({ issuer }: OAuthEndpoint, details: GrantDetails): boolean {
  const { grants, requests } = issuer.projection.ledger
  return 'grant_id' in details ? grants.trees.has(details.grant_id) : requests.requests.has(details.request_id)
}
const foldedWithinMs = 1000

/**
 * Another instance's grant looks like one that does not exist, unless the humans signed that it may move to a newly attested
 * instance of the same agent.
 */
function findGrant({ issuer, polls }: OAuthEndpoint, details: GrantDetails, client: Client): Tree {
  const { grants, requests } = issuer.projection.ledger
  const tree = 'grant_id' in details ? grants.trees.get(details.grant_id) : grants.byRequest(details.request_id)
  if (tree) {
    if (tree.grant.agent !== client.instance && !mayMove(tree.grant.statement.rebind, tree.grant.agent, client))
      throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
    return tree
  }
  const request = 'request_id' in details ? requests.requests.get(details.request_id) : undefined
  const received = request?.received
  const isOwn = received?.kind === 'access' && received.agent === client.instance
  if (!isOwn && !(received?.kind === 'access' && mayMove(received.rebind, received.agent, client)))
    throw new OAuthError('invalid_authorization_details', 'This agent has no such grant and no such request.')
  if (request?.state === 'pending') throw polls.answer(client.instance, request.id, issuer.clock.monotonic())
  // An approved request becomes a grant in a moment.
  if (request?.state === 'approved' && !refusedToCreate(issuer, request))
    throw new OAuthError('authorization_pending', 'The request is approved, and its grant is about to be there.')
  if (request?.state === 'approved')
    throw new OAuthError('access_denied', 'The request was approved, and no grant could be made of it: ask anew.')
  throw new OAuthError('access_denied', `The request is ${request?.state}.`)
}

function mayMove(rebind: 'none' | 'attested', instance: string, client: Client): boolean {
  return rebind === 'attested' && instance.slice(0, instance.lastIndexOf('/')) === client.agent
}

/** An approved request whose grant was refused, and that is about to be asked again, still counts as waiting. */
function refusedToCreate({ projection, clock }: Issuer, request: RequestRecord): boolean {
  const { grants } = projection.ledger
  const isRefused = grants.refused.has(`grt_${request.approved?.statement_hash}`)
  return isRefused && voidedBy(request, grants, clock.now()) === undefined
}

type GrantDetails = z.infer<typeof detailsSchema>[0]

function parseDetails(text: string): GrantDetails {
  try {
    return detailsSchema.parse(parseStrictJson(text))[0]
  } catch {
    throw new OAuthError(
      'invalid_authorization_details',
      'One object of type bailiwick_grant is needed, with a grant_id or a request_id.',
    )
  }
}
