import type { AccessToken } from '@bailiwick/credentials'

/** If a sub-agent acts: its name and its delegation. */
export function actedAs({ act, grant }: AccessToken): { delegation_id?: string; sub_agent?: string } {
  return act === undefined || grant.delegation === undefined
    ? {}
    : { delegation_id: grant.delegation, sub_agent: act.sub }
}

/** The agents between the grant's agent and the acting agent. In the credential the acting agent is outermost (RFC 8693 §4.1). */
export function actedBetween({ act }: AccessToken): { between?: string[] } {
  const between: string[] = []
  for (let above = act?.act; above !== undefined; above = above.act) between.unshift(above.sub)
  return between.length === 0 ? {} : { between }
}
