import type { AccessToken, Actor } from '@bailiwick/credentials'
import type { Holders } from './delegation-chain.ts'
import type { Tree } from './grant-life.ts'

/** The agent that acts by a credential: the outermost `act` (RFC 8693 §4.1), else the subject. */
export const actingAgent = ({ sub, act }: Pick<AccessToken, 'sub' | 'act'>): string => act?.sub ?? sub

/**
 * Whether a credential matches its grant and the intent that was recorded before it was signed, and was signed by the key named in that
 * intent (V4). So a stolen credential key is not enough, nor is another certified key. `kid`: the key with which it verified.
 */
export function matchesIntent({ id, grant, credentials }: Tree, token: AccessToken, kid: string): boolean {
  const intent = credentials.get(token.jti)
  return (
    intent !== undefined &&
    intent.kid === kid &&
    intent.grant_id === grant.id &&
    token.grant.id === grant.id &&
    id === token.grant.root &&
    intent.jkt === token.cnf.jkt &&
    intent.agent === actingAgent(token) &&
    intent.agent === token.client_id &&
    intent.delegation_id === token.grant.delegation &&
    JSON.stringify(intent.audience) === JSON.stringify([token.aud].flat()) &&
    Date.parse(intent.issued_at) === token.iat * 1000 &&
    Date.parse(intent.expires_at) === token.exp * 1000 &&
    token.grant.statement_hash === grant.statement_hash &&
    token.grant.as_of === grant.as_of
  )
}

/**
 * All claims of a credential, from the recorded intent and from what people approved and agents passed on (V3, V4). The issuer signs
 * these claims and vouches for nothing else.
 */
export function claimsOnRecord(
  tree: Tree,
  credentialId: string,
  holders: Holders,
  iss: string,
): AccessToken | undefined {
  const { grant, credentials, delegations } = tree
  const intent = credentials.get(credentialId)
  if (intent === undefined) return undefined
  const { agent, jkt, audience, delegation_id, issued_at, expires_at } = intent
  const [aud = ''] = audience
  // In the maker's own spelling: a member that was left out stays left out.
  const authority = delegation_id === undefined ? grant.authority : delegations.get(delegation_id)?.authority
  if (authority === undefined) return undefined
  return {
    iss,
    aud: audience.length === 1 ? aud : [...audience],
    sub: grant.agent,
    client_id: agent,
    iat: Date.parse(issued_at) / 1000,
    exp: Date.parse(expires_at) / 1000,
    jti: credentialId,
    cnf: { jkt },
    authorization_details: [authority],
    grant: {
      id: grant.id,
      root: tree.id,
      request: grant.request_id,
      mode: grant.mode,
      statement_hash: grant.statement_hash,
      as_of: grant.as_of,
      ...(delegation_id === undefined ? {} : { delegation: delegation_id }),
    },
    ...actOf(holders),
  }
}

/** RFC 8693 §4.1: the acting agent is outermost. The first agent to whom the grant's agent delegated is innermost. */
function actOf([, ...links]: Holders): { act?: Actor } {
  let act: Actor | undefined
  for (const { agent } of links) act = { sub: agent, ...(act === undefined ? {} : { act }) }
  return act === undefined ? {} : { act }
}

/** Whether the credential names exactly these holders, in order, and no audience that one of them may not pass on. */
export function namesChain({ sub, act, aud }: AccessToken, [root, ...links]: Holders): boolean {
  if (sub !== root.agent) return false
  let named = act
  for (const { agent } of links.toReversed()) {
    if (named?.sub !== agent) return false
    named = named.act
  }
  const audience = [aud].flat()
  return (
    named === undefined && links.every(({ resources }) => audience.every((each) => resources?.includes(each) ?? true))
  )
}
