import type { EventData } from '@bailiwick/contracts'
import { grantAt, type Meaning, slackMs, thumbprintOf } from './approvals.ts'
import { chainTo, isAmong } from './delegations.ts'
import type { Fact, Revocation } from './facts.ts'
import type { Finding, Rule } from './leaf.ts'
import { boundOf, killerOf } from './revocations.ts'

/**
 * Every issued credential has an earlier intent in its tree. A void event has no effect, but its credential was signed
 * all the same (V4).
 */
export function issuedFindings({ facts }: Meaning): Finding[] {
  return facts.issued.flatMap(({ tree, index, data: { credential_id } }) => {
    const intent = facts.trees.get(tree)?.intents.get(credential_id)
    if (intent !== undefined && intent.index < index) return []
    return [{ leaf: index, rule: 'V4', detail: `${credential_id}: issued without an earlier intent that counts` }]
  })
}

/** Each intent is for this very grant, agent and key, by a certified key, during the grant's life (V4, V7). */
export function credentialFindings(meaning: Meaning): Finding[] {
  const { facts, keys } = meaning
  return [...facts.trees].flatMap(([id, tree]) =>
    [...tree.intents.values()].flatMap((intent) => {
      const { data, index, at } = intent
      const say = (rule: Rule, holds: boolean, detail: string): Finding[] =>
        holds ? [] : [{ leaf: index, rule, detail: `${data.credential_id}: ${detail}` }]
      const grant = grantAt(tree, at)
      const chain = chainTo(meaning, tree, data.delegation_id, grant)
      const holder = 'holders' in chain ? chain.holders.at(-1) : undefined
      const redeemed =
        data.delegation_id === undefined || (tree.delegations.get(data.delegation_id)?.index ?? index) < index
      const [from, until] = [Date.parse(data.issued_at), Date.parse(data.expires_at)]
      const links = 'holders' in chain ? chain.holders.slice(1) : []
      // The issuer does not have to wait for news from another service.
      const holds = { by: at - slackMs, holds: (each: Revocation) => boundOf(facts, each).from <= at - slackMs }
      const killer = killerOf(meaning, tree, holds, { credential: data.credential_id, links })
      return [
        ...say('V4', data.grant_id === id, 'of another grant'),
        ...say('V6', holder !== undefined && redeemed, 'under a chain that does not hold'),
        ...say('V4', data.agent === holder?.agent && data.jkt === holder.jkt, 'for another agent or key'),
        ...say('V4', isAttested(meaning, intent), 'its workload did not show what it is as its agent must'),
        ...say('V4', holder !== undefined && until <= holder.until, 'it outlives its grant'),
        ...say('V5', isAmong(data.audience, holder?.resources), 'for more APIs than were passed on'),
        ...say('V4', from < until && until - from <= 600_000, 'it lives longer than 10 minutes'),
        ...say('V4', keys.find(data.kid, 'credential', at) !== undefined, 'no certified credential key signs it'),
        ...say('V12', keys.maySign(data.kid, at), 'by a key that was to sign no more'),
        ...say('V7', killer === undefined, `intended after revocation ${killer?.version}`),
      ]
    }),
  )
}

/** The agent's own attestor vouched for the workload, through a token or the registered key. In an emergency two people signed its key. */
function isAttested({ registry }: Meaning, { data, at }: Fact<EventData<'grants.v1', 'credential.intended'>>): boolean {
  const { agent, jkt, attestation } = data
  return [at, at - slackMs].some((then) => {
    const instance = registry.instance(agent, then)
    if (instance === undefined || attestation?.kind !== instance.agent.attestor.kind) return false
    if (attestation.kind === 'emergency') return agent.endsWith(`/${jkt}`)
    return instance.jwk ? thumbprintOf(instance.jwk) === jkt : attestation.token_hash !== undefined
  })
}
