import type { EventData, Grant } from '@bailiwick/contracts'
import { exampleEvent } from '@bailiwick/contracts/examples'
import {
  type Delegation,
  delegationHash,
  delegationId,
  generateKey,
  type SigningKey,
  signDelegation,
} from '@bailiwick/credentials'
import { noon } from './events.fixture.ts'
import type { Tree } from './grant-life.ts'

export const installation = 'ins_0123456789abcdef'
const { grant: example } = exampleEvent('grants.v1', 'grant.created').data as { grant: Grant }

export const parentAuthority = {
  type: 'bailiwick_task' as const,
  task: 'reconcile',
  permissions: [
    { actions: ['tools/call'], resource: { type: 'tool', id: 'invoices/read' } },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'invoices/adjust' },
      where: { '/amount': { max: '500' } },
      cost: { amount: '/amount', currency: '/currency' },
      max_uses: 10,
    },
  ],
  budget: { calls: 100, cost: { EUR: '1000' }, egress_bytes: 1000 },
  max_depth: 3,
  max_children: 3,
}

/** An agent that may hold a part of a grant. */
export interface Party {
  agent: string
  key: SigningKey<'agent'>
}
export const party = (name: string): Party => ({
  agent: `spiffe://example.org/agent/${name}/i1`,
  key: generateKey('agent'),
})

/** A tree whose grant belongs to `holder`. */
export function treeOf({ agent, key }: Party, change: Partial<Grant> = {}): Tree {
  const grant: Grant = { ...example, agent, instance_key: key.kid, authority: parentAuthority, as_of: 7, ...change }
  const { id } = grant
  return {
    id,
    version: 1,
    state: 'active',
    cause: undefined,
    grant,
    createdAt: noon,
    credentials: new Map(),
    delegations: new Map(),
    heldBefore: [],
    moves: 0,
    movedAt: 0,
  }
}

/** The claims of a delegation by `from` to `to` that is the next link under `parent` (or under the grant). */
export function claimsOf(
  tree: Tree,
  from: Party,
  to: Party,
  parent?: string,
  change: Partial<Delegation> = {},
): Delegation {
  const iat = Math.floor(noon / 1000)
  return {
    iss: from.agent,
    sub: to.agent,
    aud: installation,
    iat,
    exp: Math.floor(Date.parse(tree.grant.not_after) / 1000),
    jti: `${from.agent} to ${to.agent}`.slice(-200),
    cnf: { jkt: to.key.kid },
    grant: tree.id,
    as_of: tree.grant.as_of,
    parent_hash: parent === undefined ? tree.grant.statement_hash : (delegationHash(parent) ?? ''),
    authorization_details: [parentAuthority],
    ...change,
  }
}

/** The event as the issuer would write it, valid or not. */
export function redeemed(
  delegation: string,
  claims: Delegation,
  parent?: string,
): EventData<'grants.v1', 'delegation.redeemed'> {
  return {
    delegation_id: delegationId(delegation) ?? '',
    grant_id: claims.grant,
    ...(parent === undefined ? {} : { parent: delegationId(parent) ?? '' }),
    delegation,
    agent: claims.sub,
    instance_key: claims.cnf.jkt,
    authority: claims.authorization_details[0] as Grant['authority'],
    not_after: new Date(claims.exp * 1000).toISOString(),
  }
}

/** Signs a link, puts it into the tree, and returns the signed delegation. */
export function link(tree: Tree, from: Party, to: Party, parent?: string, change: Partial<Delegation> = {}): string {
  const claims = claimsOf(tree, from, to, parent, change)
  const delegation = signDelegation(claims, from.key)
  const record = redeemed(delegation, claims, parent)
  tree.delegations.set(record.delegation_id, record)
  return delegation
}
