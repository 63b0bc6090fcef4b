import { type Meaning, slackMs } from './approvals.ts'
import type { Facts, Revocation, Tree } from './facts.ts'
import type { Finding } from './leaf.ts'
import type { Registry } from './registry.ts'

/** How long a running issuer may take to acknowledge a revocation that it declared, ms. */
const patienceMs = 60_000

/**
 * The time from which V7 holds for a revocation, ms since the epoch, and how much later a decision point may still not
 * have heard of it, ms.
 */
export interface Bound {
  from: number
  staleMs: number
}

/**
 * V7 counts from the acknowledgement. The revocation's own `time` is earlier by the time that the revocation took on
 * its way. The issuer records the acknowledgement once it has read the revocation back. The next revocation is a bound
 * too, because an issuer numbers it only after the previous one counts. If the log has neither, because the issuer was
 * killed, V7 holds from the first acknowledgement by a successor. A log without any acknowledgement is older than that
 * event: there V7 counts from the revocation's own time, and allows one second.
 */
export function boundOf({ revocations, acknowledgements }: Facts, { version, at }: Revocation): Bound {
  if (acknowledgements.length === 0) return { from: at, staleMs: slackMs }
  const all = acknowledgements.filter(({ data }) => data.sequence >= version)
  const next = revocations.find((each) => each.version === version + 1)
  const moments = [...all.map((each) => each.at), ...(next === undefined ? [] : [next.at])]
  const from = moments.reduce((least, moment) => Math.min(least, moment), Number.POSITIVE_INFINITY)
  // As configured when it was acknowledged, by the issuer's word: no decision point says for itself how late it may be.
  const [first = acknowledgements.at(-1)] = all
  return { from, staleMs: first?.data.max_staleness_ms ?? slackMs }
}

/** How late a decision point may hear of the issuer's events on its other topics, which have no recorded acknowledgement, ms. */
export function lagOf({ acknowledgements }: Facts): number {
  return acknowledgements.reduce((most, { data }) => Math.max(most, data.max_staleness_ms), slackMs)
}

/** Each acknowledgement names an existing revocation, and each revocation is acknowledged while its issuer continues (V7). */
export function acknowledgementFindings({ facts }: Meaning, lastWordOfIssuer: number): Finding[] {
  const { revocations, acknowledgements } = facts
  if (acknowledgements.length === 0) return []
  const known = (sequence: number, at: number) =>
    revocations.some((each) => each.version === sequence && each.index < at)
  const early = acknowledgements
    .filter(({ data, index }) => !known(data.sequence, index))
    .map(({ data, index }) => ({
      leaf: index,
      rule: 'V7' as const,
      detail: `acknowledges revocation ${data.sequence}, which does not exist`,
    }))
  const last = Math.max(...acknowledgements.map(({ data }) => data.sequence))
  const never = revocations
    .filter(({ version, at }) => version > last && at + patienceMs < lastWordOfIssuer)
    .map(({ version, index }) => ({
      leaf: index,
      rule: 'V7' as const,
      detail: `revocation ${version} was never acknowledged, though its issuer went on`,
    }))
  return [...early, ...never]
}

/**
 * The first revocation for which `holds` is true and that ends this call's authority: by name for good, by kind for
 * anything approved earlier (DESIGN §7.3). Approvers are those whose passkeys signed the grant's statement. `by`: the
 * time of the call, ms since the epoch.
 */
export function killerOf(
  { facts, registry }: { facts: Facts; registry: Registry },
  tree: Tree,
  { by, holds }: { by: number; holds: (revocation: Revocation) => boolean },
  { credential, links }: { credential: string; links: readonly { id: string; agent: string }[] },
): Revocation | undefined {
  const [created] = tree.life
  if (created === undefined) return undefined
  const { grant } = created.data
  const instances = tree.life.filter((each) => each.at <= by).map(({ data }) => data.grant.agent)
  const agents = [grant.agent, instances.at(-1) ?? grant.agent, ...links.map(({ agent }) => agent)]
  const passkeys = new Set(grant.assertions.map(({ credential_id }) => credential_id))
  const approvers = [...registry.viewAt(created.at).approvers.values()]
    .filter(({ credentials }) => credentials.some(({ credential_id }) => passkeys.has(credential_id)))
    .map(({ id }) => id)
  const kills = ({ data: { kind, target }, version, at }: Revocation): boolean => {
    if (kind === 'credential') return target === credential
    if (kind === 'grant') return target === grant.id
    if (kind === 'delegation') return links.some(({ id }) => id === target)
    // What people were shown before everything was stopped knew nothing of it, even if it says otherwise.
    const isShownBefore = kind === 'all' && Date.parse(grant.statement.issued_at) + 5000 < at
    if (grant.as_of >= version && !isShownBefore) return false
    if (kind === 'agent') return agents.some((agent) => target === agent || agent.startsWith(`${target}/`))
    if (kind === 'approver') return approvers.includes(target)
    if (kind === 'tool-server') return Object.hasOwn(grant.statement.manifests, target)
    return true
  }
  return facts.revocations.find((revocation) => holds(revocation) && kills(revocation))
}
