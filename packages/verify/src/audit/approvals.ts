import { verifyApproval } from '@bailiwick/approval-statement'
import { type Authority, narrows, parseAuthority, together } from '@bailiwick/authority'
import type { EventData, Grant } from '@bailiwick/contracts'
import type { Trust } from '@bailiwick/credentials'
import { canonical } from './canonical.ts'
import type { Fact, Facts, Request, Tree } from './facts.ts'
import { objectIn, openCompact, verifiedClaims } from './jws.ts'
import { type Finding, type Rule, sha256 } from './leaf.ts'
import type { Registry } from './registry.ts'
import type { ServiceKeys } from './service-keys.ts'

export interface Meaning {
  trust: Trust
  facts: Facts
  registry: Registry
  keys: ServiceKeys
}

/** How far apart two services' clocks may be, and how long a reader may need to hear of something (V7), ms. */
export const slackMs = 1000

/** How far an agent's clock may be ahead when it signs, ms. */
const agentSlackMs = 5000

/** Each grant is what the humans signed and what the agent had asked for (V3), once for each approval (V10). */
export async function grantFindings(meaning: Meaning): Promise<Finding[]> {
  const findings: Finding[] = []
  const granted = new Map<string, string>()
  const byAsk = new Map<string, Grant[]>()
  for (const [id, tree] of meaning.facts.trees) {
    const [created, ...later] = tree.life
    if (created === undefined) continue
    const bad = (detail: string, leaf = created.index, rule: Rule = 'V3') =>
      void findings.push({ leaf, rule, detail: `${id}: ${detail}` })
    const { grant } = created.data
    const request = grant.request_id
    if (granted.has(request)) bad(`${request} was granted before as ${granted.get(request)}`, created.index, 'V10')
    granted.set(request, id)
    for (const problem of await problemsOf(meaning, grant, created.at)) bad(problem)
    const ask = grant.statement.request_hash
    const ofAsk = [...(byAsk.get(ask) ?? []), grant]
    byAsk.set(ask, ofAsk)
    if (ofAsk.length > 1) for (const problem of sharingProblems(request, ofAsk, meaning.facts)) bad(problem)
    for (const [n, { data, index, at }] of later.entries()) {
      if (canonical(unbound(data.grant)) !== canonical(unbound(grant))) bad('changed after it was created', index)
      const before = later[n - 1]?.data.grant ?? grant
      if (!movesToItsOwn(meaning, before, data.grant, at)) bad('moved to an unregistered key', index)
    }
  }
  return findings
}

/** Rules may split a request into several grants, which share its budget: no part of the budget is granted twice. */
function sharingProblems(request: string, grants: readonly Grant[], { requests }: Facts): string[] {
  if (grants.some(({ mode }) => mode === 'per_action')) return ['one action was granted twice']
  const asked = requests.get(request)?.received.data
  const wanted = asked?.kind === 'access' ? authorityIn(claimsOf(asked.request).authority) : undefined
  const [first, ...others] = grants.map(authorityOf)
  if (wanted === undefined || first === undefined || others.some((each) => each === undefined))
    return ['an authority that cannot be read']
  const all = together([first, ...(others as Authority[])])
  return narrows(all, wanted).narrower ? [] : ['the parts of one ask grant more than was asked']
}

/** Not verified here: each grant has its own findings. */
function claimsOf(jws: string): Record<string, unknown> {
  return objectIn(openCompact(jws)?.payload ?? new Uint8Array()) ?? {}
}

function authorityIn(value: unknown): Authority | undefined {
  const parsed = parseAuthority(value)
  return parsed.ok ? parsed.authority : undefined
}

/** A grant without the members that `rebind: attested` lets the issuer change: instance and key, of the same agent. */
function unbound(grant: Grant): object {
  const agent = grant.agent.slice(0, grant.agent.lastIndexOf('/'))
  return grant.statement.rebind === 'attested' ? { ...grant, agent, instance_key: '' } : grant
}

/** A moved grant is at a registered instance of its agent, with the registered key where the registry has one. */
function movesToItsOwn({ registry }: Meaning, before: Grant, after: Grant, at: number): boolean {
  if (before.agent === after.agent && before.instance_key === after.instance_key) return true
  const to = registry.instance(after.agent, at)
  return to !== undefined && (to.jwk === undefined || thumbprintOf(to.jwk) === after.instance_key)
}

/** RFC 7638. */
export function thumbprintOf(jwk: object): string {
  const { kty, crv, x, y } = jwk as Record<string, string>
  return sha256(canonical({ kty, crv, x, y }))
}

async function problemsOf({ facts, registry, trust }: Meaning, grant: Grant, at: number): Promise<string[]> {
  const { statement } = grant
  const hash = sha256(canonical(statement))
  const made = {
    id: `grt_${hash}`,
    statement_hash: hash,
    request_id: statement.request_id,
    agent: statement.agent,
    instance_key: statement.instance_key,
    authority: statement.authority,
    mode: statement.mode,
    not_before: statement.not_before,
    not_after: statement.not_after,
    as_of: statement.as_of,
    statement,
    assertions: grant.assertions,
  }
  if (canonical(made) !== canonical(grant)) return ['it differs from its statement']
  const request = facts.requests.get(grant.request_id)
  if (request?.approved === undefined) return ['its request was never approved']
  if (canonical(request.approved.data.statement) !== canonical(statement)) return ['another statement was approved']
  const instance = registry.instance(grant.agent, at)
  if (instance === undefined) return ['its agent is not registered']
  const approved = await verifyApproval({
    statement,
    assertions: grant.assertions,
    registry: registry.viewAt(at),
    trust,
    at,
  })
  const problems = approved.ok ? [] : [`${approved.code}: ${approved.detail}`]
  return [...problems, ...askProblems(request, grant, instance, trust)]
}

/** Compares the grant with the request: the agent's own signature, and an authority that the grant does not exceed. */
function askProblems(
  { received }: Request,
  grant: Grant,
  { agent, jwk: registered }: NonNullable<ReturnType<Registry['instance']>>,
  trust: Trust,
): string[] {
  const asked = received.data
  if (asked.kind !== 'access') return ['its request asked for something else']
  const { attestation } = asked
  if (attestation !== undefined && attestation.kind !== agent.attestor.kind) return ['it was attested in another way']
  const jwk = registered ?? attestation?.jwk
  if (jwk === undefined) return ['its agent showed no key']
  if (thumbprintOf(jwk) !== grant.statement.instance_key) return ['its agent showed another key']
  const claims = verifiedClaims(asked.request, jwk, 'bailiwick-request+jws')
  if (claims === undefined) return ['its agent did not sign the request']
  const problems: string[] = []
  if (claims.aud !== trust.installation || claims.sub !== grant.agent) problems.push('the request was of another agent')
  const { item } = asked
  const ownId = sha256(item === undefined ? asked.request : `${asked.request}#${item.index}`)
  if (asked.request_id !== `req_${ownId}` || (item && item.task !== `req_${sha256(asked.request)}`))
    problems.push('the request has the id of another')
  if (grant.statement.request_hash !== sha256(canonical(claims))) problems.push('the statement names another request')
  if (canonical(claims.arguments ?? null) !== canonical(asked.arguments ?? null))
    problems.push('its request names other arguments than its agent signed')
  if (!isSameKind(claims, grant)) problems.push('it grants another kind of thing than was asked')
  if (!isWithinTime(claims, grant)) problems.push('it grants for another time than was asked')
  const wanted = parseAuthority(claims.authority)
  const given = parseAuthority(grant.authority)
  if (!wanted.ok || !given.ok) problems.push('an authority that cannot be read')
  else if (!narrows(given.authority, wanted.authority).narrower) problems.push('it grants more than was asked')
  return problems
}

/** People may narrow authority and time, but do not change the kind of the request. */
function isSameKind(claims: Record<string, unknown>, { mode, statement }: Grant): boolean {
  const { rebind, action_digest } = statement
  const isRebound = rebind === 'none' || claims.rebind === 'attested'
  const isShown = (statement.arguments === 'shown') === (claims.arguments !== undefined)
  const isOfIt = claims.mode === mode && claims.action_digest === action_digest && claims.grant_id === undefined
  return isOfIt && isRebound && isShown
}

function isWithinTime(
  { iat, not_before, not_after, expires_in_seconds }: Record<string, unknown>,
  grant: Grant,
): boolean {
  const [from, until] = [Date.parse(grant.not_before), Date.parse(grant.not_after)]
  const earliest = not_before === undefined ? Number(iat) * 1000 - agentSlackMs : Date.parse(String(not_before))
  const latest = not_after === undefined ? Number.POSITIVE_INFINITY : Date.parse(String(not_after))
  const length = expires_in_seconds === undefined ? Number.POSITIVE_INFINITY : Number(expires_in_seconds) * 1000
  return earliest <= from && until <= latest && until - from <= length
}

/** A tree's grant as it was at a time. */
export function grantAt(tree: Tree, at: number): Grant {
  const then: Fact<EventData<'grants.v1', 'grant.created'>> | undefined =
    tree.life.findLast((each) => each.at <= at) ?? tree.life[0]
  return (then as Tree['life'][number]).data.grant
}

export function authorityOf(grant: Grant): Authority | undefined {
  const parsed = parseAuthority(grant.authority)
  return parsed.ok ? parsed.authority : undefined
}
