import type { AccessToken } from '@bailiwick/credentials'
import type { Holders } from './delegation-chain.ts'
import type { Tree } from './grant-state.ts'

/** Who acts by a credential: the outermost `act` (RFC 8693 §4.1), else its subject. */
export const actingAgent = ({ sub, act }: Pick<AccessToken, 'sub' | 'act'>): string => act?.sub ?? sub

/** Whether a credential says what was recorded before it was signed, and what its grant is (V4). A stolen credential key is not enough. */
export function matchesIntent({ id, grant, credentials }: Tree, token: AccessToken): boolean {
  const intent = credentials.get(token.jti)
  return (
    intent !== undefined &&
    intent.grant_id === grant.id &&
    token.grant.id === grant.id &&
    id === token.grant.root &&
    intent.jkt === token.cnf.jkt &&
    intent.agent === actingAgent(token) &&
    intent.agent === token.client_id &&
    intent.delegation_id === token.grant.delegation &&
    JSON.stringify(intent.audience) === JSON.stringify([token.aud].flat()) &&
    Date.parse(intent.expires_at) === token.exp * 1000 &&
    token.grant.statement_hash === grant.statement_hash &&
    token.grant.as_of === grant.as_of
  )
}

/** Whether the credential names exactly these, in their order, and is for nothing that one of them may not pass on. */
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
