import { type Authority, narrows, parseAuthority } from '@bailiwick/authority'
import type { EventData, Grant } from '@bailiwick/contracts'
import { authorityOf, grantAt, type Meaning, thumbprintOf } from './approvals.ts'
import { canonical } from './canonical.ts'
import type { Fact, Tree } from './facts.ts'
import { openCompact, verifiedClaims } from './jws.ts'
import { type Finding, type Rule, sha256 } from './leaf.ts'

/**
 * The agents that may act under a grant, derived again from what each agent signed. The first is the agent that has the
 * grant.
 */
export interface Holder {
  id: string
  hash: string
  agent: string
  jkt: string
  authority: Authority
  /** ms since the epoch */
  until: number
  resources: unknown
}

type Redeemed = Fact<EventData<'grants.v1', 'delegation.redeemed'>>
type Chain = { holders: Holder[] } | { rule: Rule; problem: string }

const deepest = 8

/** Every redeemed delegation was valid when it was redeemed (V5, V6). */
export function delegationFindings(meaning: Meaning): Finding[] {
  return [...meaning.facts.trees.values()].flatMap((tree) =>
    [...tree.delegations].flatMap(([id, { index, at, data }]) => {
      const chain = chainTo(meaning, tree, id, grantAt(tree, at))
      const bad = (rule: Rule, detail: string): Finding[] => [{ leaf: index, rule, detail: `${id}: ${detail}` }]
      if (!('holders' in chain)) return bad(chain.rule, chain.problem)
      return meaning.registry.instance(data.agent, at) ? [] : bad('V6', 'its agent is not registered')
    }),
  )
}

/** The chain from the agent of this grant to a delegation of its tree, or the fault of the first link that does not hold. */
export function chainTo(meaning: Meaning, tree: Tree, delegationId: string | undefined, grant: Grant): Chain {
  const authority = authorityOf(grant)
  if (authority === undefined) return { rule: 'V3', problem: 'a grant that cannot be read' }
  const { id, statement_hash: hash, agent, instance_key: jkt } = grant
  const links: Redeemed[] = []
  for (let at = delegationId; at !== undefined; at = links[0]?.data.parent) {
    const link = tree.delegations.get(at)
    if (link === undefined || links.length > deepest) return { rule: 'V6', problem: 'a chain that is not whole' }
    if (links[0] !== undefined && link.index > links[0].index)
      return { rule: 'V6', problem: 'redeemed before its parent was' }
    links.unshift(link)
  }
  const until = Date.parse(grant.not_after)
  const holders: Holder[] = [{ id, hash, agent, jkt, authority, until, resources: undefined }]
  for (const link of links) {
    const next = nextHolder(meaning, { tree, grant, holders, link })
    if ('problem' in next) return next
    holders.push(next)
  }
  return { holders }
}

function nextHolder(
  { trust }: Meaning,
  { tree, grant, holders, link }: { tree: Tree; grant: Grant; holders: readonly Holder[]; link: Redeemed },
): Holder | { rule: Rule; problem: string } {
  const { data, index } = link
  const maker = holders.at(-1) as Holder
  const jwk = openCompact(data.delegation)?.header.jwk
  const isMakers = typeof jwk === 'object' && jwk !== null && thumbprintOf(jwk) === maker.jkt
  if (!isMakers) return { rule: 'V6', problem: 'signed with another key than its maker has' }
  const said = verifiedClaims(data.delegation, jwk as { kty: string }, 'bailiwick-delegation+jwt')
  if (said === undefined) return { rule: 'V6', problem: 'its maker did not sign it' }
  const hash = sha256(data.delegation.slice(0, data.delegation.lastIndexOf('.')))
  const [details, ...others] = [said.authorization_details].flat()
  const child = parseAuthority(details)
  const agreed = Object(said.cnf).jkt
  // The expiry that the maker signed may be no valid time.
  const until = new Date(Number(said.exp) * 1000)
  if (Number.isNaN(until.getTime())) return { rule: 'V6', problem: 'it says no time at which it ends' }
  const made = {
    delegation_id: `dlg_${hash}`,
    grant_id: said.grant,
    ...(maker.id === grant.id ? {} : { parent: maker.id }),
    delegation: data.delegation,
    agent: said.sub,
    instance_key: agreed,
    authority: details,
    not_after: until.toISOString(),
  }
  const { authority, resources } = { authority: child.ok ? child.authority : undefined, resources: said.resources }
  const earlier = [...tree.delegations.values()].filter(
    (each) => each.data.parent === data.parent && each.index < index,
  )
  const rules: [Rule, boolean, string][] = [
    ['V6', said.iss === maker.agent && said.aud === trust.installation, 'made by another agent, or elsewhere'],
    ['V6', said.grant === grant.id && said.parent_hash === maker.hash, 'made under something else'],
    ['V6', canonical(made) === canonical(data), 'the event differs from what was signed'],
    ['V6', holders.every(({ agent, jkt }) => agent !== said.sub && jkt !== agreed), 'an agent is in it twice'],
    ['V5', said.as_of === grant.as_of, 'it knows of later revocations than its grant'],
    ['V5', others.length === 0 && authority !== undefined, 'an authority that cannot be read'],
    [
      'V5',
      authority !== undefined && narrows(authority, maker.authority).narrower,
      'it delegates more than its maker has',
    ],
    ['V5', Number(said.exp) * 1000 <= maker.until, 'it outlives its parent'],
    ['V5', isAmong(resources, maker.resources), 'it is for more APIs'],
    ['V5', holders.length <= deepest, 'deeper than any chain may be'],
    ['V5', holders.every((each, n) => each.authority.max_depth >= holders.length - n), 'deeper than a holder allowed'],
    ['V5', earlier.length < maker.authority.max_children, 'one more than its maker could make'],
    ['V5', isListed(String(said.sub), maker.authority), 'to an agent that is not listed'],
  ]
  const broken = rules.find(([, holds]) => !holds)
  if (broken || authority === undefined) return { rule: broken?.[0] ?? 'V5', problem: broken?.[2] ?? 'no authority' }
  const { agent, instance_key: jkt, delegation_id: id } = data
  return { id, hash, agent, jkt, authority, until: Number(said.exp) * 1000, resources }
}

/** Listed by its agent's id, which is the part of each instance id before the last slash. */
function isListed(instance: string, { delegates }: Authority): boolean {
  return delegates === undefined || delegates.some((agent) => agent === instance.replace(/\/[^/]*$/, ''))
}

/** No list allows any; a list must be within the list above it. */
export function isAmong(listed: unknown, above: unknown): boolean {
  if (above === undefined) return true
  return Array.isArray(listed) && listed.every((each) => (above as unknown[]).includes(each))
}
