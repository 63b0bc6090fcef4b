import { longestChain } from '@bailiwick/authority'
import { decisionsV1 } from '@bailiwick/contracts'
import { type Delegation, delegationId, signDelegation } from '@bailiwick/credentials'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claimsOf, installation, link, type Party, parentAuthority, party, redeemed, treeOf } from './chain.fixture.ts'
import { type ChainFault, chainOf, childrenOf } from './delegation-chain.ts'
import type { Tree } from './grant-life.ts'

const [ada, ben, cleo, dan] = ['ada', 'ben', 'cleo', 'dan'].map(party) as [Party, Party, Party, Party]
const judge = (tree: Tree, delegation?: string) =>
  chainOf(tree, delegation === undefined ? undefined : delegationId(delegation), installation)
const faultOf = (tree: Tree, delegation?: string): ChainFault | undefined => {
  const chain = judge(tree, delegation)
  return chain.ok ? undefined : chain.fault
}
const narrower = (change: object) =>
  ({ authorization_details: [{ ...parentAuthority, ...change }] }) as Partial<Delegation>

it('is the grant alone, or every link down to who acts, each narrower (V5, V6)', () => {
  const tree = treeOf(ada)
  expect(judge(tree)).toMatchObject({ ok: true, holders: [{ id: tree.id, agent: ada.agent, jkt: ada.key.kid }] })
  const first = link(tree, ada, ben, undefined, { resources: ['https://a.example', 'https://b.example'] })
  const second = link(tree, ben, cleo, first, {
    ...narrower({ budget: { ...parentAuthority.budget, calls: 5 } }),
    resources: ['https://b.example'],
  })
  const chain = judge(tree, second)
  expect(chain).toMatchObject({
    ok: true,
    holders: [
      { id: tree.id },
      { id: delegationId(first), agent: ben.agent, jkt: ben.key.kid },
      {
        id: delegationId(second),
        agent: cleo.agent,
        authority: { budget: { calls: 5 } },
        resources: ['https://b.example'],
      },
    ],
  })
  expect(judge(tree, second)).toEqual(chain)
})

describe('one link that is not as it must be', () => {
  const bad = (change: Partial<Delegation>): ChainFault | undefined => {
    const tree = treeOf(ada)
    return faultOf(tree, link(tree, ada, ben, undefined, change))
  }
  const permission = (change: object) => {
    const [read, adjust] = parentAuthority.permissions
    return narrower({ permissions: [read, { ...adjust, ...change }] })
  }
  const budget = (change: object) => narrower({ budget: { ...parentAuthority.budget, ...change } })
  const wider: [what: string, change: Partial<Delegation>][] = [
    ['another task', narrower({ task: 'other' })],
    ['another action', permission({ actions: ['tools/call', 'tools/describe'] })],
    ['another resource', permission({ resource: { type: 'tool', id: 'invoices/delete' } })],
    ['a wider bound', permission({ where: { '/amount': { max: '500.01' } } })],
    ['a bound left out', permission({ where: { '/currency': { eq: 'EUR' } } })],
    ['its cost left out', permission({ cost: undefined })],
    ['its cost elsewhere', permission({ cost: { amount: '/other', currency: '/currency' } })],
    ['more uses', permission({ max_uses: 11 })],
    ['no limit of uses', permission({ max_uses: undefined })],
    ['more calls', budget({ calls: 101 })],
    ['calls without limit', budget({ calls: undefined })],
    ['more money', budget({ cost: { EUR: '1000.01' } })],
    ['other money', budget({ cost: { USD: '1' } })],
    ['more bytes', budget({ egress_bytes: 1001 })],
    ['more depth', narrower({ max_depth: 4 })],
    ['more children', narrower({ max_children: 4 })],
  ]
  const clean = (change: Partial<Delegation>) => JSON.parse(JSON.stringify(change)) as Partial<Delegation>

  it.each(wider)('is refused with %s (V5)', (_, change) => expect(bad(clean(change))).toBe('wider'))

  it('is refused when it is wider in several ways at once, even if it is narrower in others (V5)', () => {
    fc.assert(
      fc.property(fc.subarray(wider, { minLength: 1 }), fc.boolean(), (changes, less) => {
        const merged = less ? { budget: { calls: 1, cost: { EUR: '1' }, egress_bytes: 1 }, max_depth: 0 } : {}
        for (const [, change] of changes) Object.assign(merged, changedMembers(clean(change)))
        expect(bad(narrower(merged))).toBe('wider')
      }),
      { numRuns: 300 },
    )
  })

  it.each<[string, ChainFault, Partial<Delegation>]>([
    ['a member that is not understood', 'authority', narrower({ unheard: 1 })],
    ['no authority', 'authority', { authorization_details: [{}] }],
    ['a later end', 'expiry', { exp: claimsOf(treeOf(ada), ada, ben).exp + 1 }],
    ['another as_of, which revocations would miss', 'as_of', { as_of: 8 }],
    ['its own maker', 'loop', { sub: ada.agent }],
    ['the key of its maker', 'loop', { cnf: { jkt: ada.key.kid } }],
    ['the parent of another tree', 'parent', { parent_hash: ada.key.kid }],
    ['another installation', 'signature', { aud: 'ins_9999999999abcdef' }],
    ['another maker', 'signature', { iss: cleo.agent }],
  ])('is refused with %s (V5, V6)', (_, fault, change) => expect(bad(change)).toBe(fault))

  it('is refused when its agent is not listed, at any link (V5)', () => {
    const agentOf = ({ agent }: Party) => agent.slice(0, agent.lastIndexOf('/'))
    const listing = (...parties: Party[]) => ({ ...parentAuthority, delegates: parties.map(agentOf) })
    const passing = (...parties: Party[]) => ({ authorization_details: [listing(...parties)] }) as Partial<Delegation>
    const tree = () => treeOf(ada, { authority: listing(ben, cleo) })
    const open = tree()
    expect(faultOf(open, link(open, ada, ben, undefined, passing(ben, cleo)))).toBeUndefined()
    expect(faultOf(open, link(open, ada, dan, undefined, passing(ben)))).toBe('delegates')
    expect(faultOf(open, link(open, ada, cleo, undefined, passing(cleo, dan)))).toBe('wider')
    expect(faultOf(open, link(open, ada, cleo))).toBe('wider') // open to any agent, below a parent that lists agents
    const deeper = tree()
    const first = link(deeper, ada, ben, undefined, passing(ben))
    expect(faultOf(deeper, link(deeper, ben, cleo, first, passing(ben)))).toBe('delegates')
    const none = treeOf(ada, { authority: listing() })
    expect(faultOf(none, link(none, ada, ben, undefined, passing()))).toBe('delegates')
  })

  it.each<[string, (record: ReturnType<typeof redeemed>) => object]>([
    ['another agent', () => ({ agent: cleo.agent })],
    ['another key', () => ({ instance_key: cleo.key.kid })],
    ['more authority', ({ authority }) => ({ authority: { ...authority, budget: {} } })],
    ['a later end', () => ({ not_after: '2099-01-01T00:00:00.000Z' })],
  ])('is refused when the issuer says %s of it (V6)', (_, change) => {
    const tree = treeOf(ada)
    const id = delegationId(link(tree, ada, ben)) ?? ''
    const record = tree.delegations.get(id)
    if (record) tree.delegations.set(id, { ...record, ...change(record) })
    expect(chainOf(tree, id, installation)).toEqual({ ok: false, fault: 'record' })
  })
})

/** The members of a change that differ from the parent, so that several changes can be combined. */
function changedMembers({ authorization_details: [changed] = [{}] }: Partial<Delegation>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changed).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(parentAuthority[name as 'task']),
    ),
  )
}

it('narrows again at each link: a grandchild is judged by its parent, not by the grant (V5)', () => {
  const tree = treeOf(ada)
  const first = link(tree, ada, ben, undefined, {
    ...narrower({ budget: { calls: 5, cost: {}, egress_bytes: 0 } }),
    resources: ['https://a.example'],
  })
  const one = { resources: ['https://a.example'] }
  const less = narrower({ budget: { calls: 5, cost: {}, egress_bytes: 0 } })
  expect(faultOf(tree, link(tree, ben, cleo, first, one))).toBe('wider')
  expect(faultOf(tree, link(tree, ben, dan, first, less))).toBe('resources')
  expect(faultOf(tree, link(tree, ben, cleo, first, { ...less, resources: ['https://b.example'] }))).toBe('resources')
  // Invalid delegations were redeemed all the same, so all three count as children.
  expect(childrenOf(tree, { ...holder(tree, first) })).toBe(3)
})

it('is as deep as each holder said, at most eight, and as wide (V5)', () => {
  const tree = treeOf(ada)
  const parties = Array.from({ length: 5 }, (_, n) => party(`deep-${n}`))
  let [from, parent]: [Party, string | undefined] = [ada, undefined]
  const faults = parties.map((to) => {
    parent = link(tree, from, to, parent)
    from = to
    return faultOf(tree, parent)
  })
  expect(faults).toEqual([undefined, undefined, undefined, 'depth', 'depth'])
  const shallow = treeOf(ada)
  const first = link(shallow, ada, ben, undefined, narrower({ max_depth: 0 }))
  expect(faultOf(shallow, link(shallow, ben, cleo, first, narrower({ max_depth: 0 })))).toBe('depth')
  const wide = treeOf(ada)
  expect(parties.slice(0, 4).map((to) => faultOf(wide, link(wide, ada, to)))).toEqual([
    undefined,
    undefined,
    undefined,
    'children',
  ])
  const deep = treeOf(ada, { authority: { ...parentAuthority, max_depth: longestChain } })
  let [maker, above]: [Party, string | undefined] = [ada, undefined]
  const many = Array.from({ length: 9 }, (_, n) => {
    const to = party(`deeper-${n}`)
    above = link(deep, maker, to, above, narrower({ max_depth: longestChain }))
    maker = to
    return faultOf(deep, above)
  })
  expect(many.filter((fault) => fault === undefined)).toHaveLength(longestChain)
  expect(many.at(-1)).toBe('depth')
})

it('is never longer than an ALLOW can tell of', () => {
  const { chain } = decisionsV1.events['decision.allowed'].shape
  const links = Array.from({ length: longestChain + 1 }, (_, permission) => ({
    delegation_id: `dlg_${'a'.repeat(43)}`,
    agent: ben.agent,
    permission,
  }))
  expect(chain.safeParse(links.slice(1)).success).toBe(true)
  expect(chain.safeParse(links).success).toBe(false)
})

it('ends with the key that signed it: a grant that moved takes no link of the old key with it (V6)', () => {
  const tree = treeOf(ada)
  const first = link(tree, ada, ben)
  const second = link(tree, ben, cleo, first)
  expect(faultOf(tree, second)).toBeUndefined()
  tree.grant = { ...tree.grant, instance_key: dan.key.kid }
  expect([faultOf(tree, first), faultOf(tree, second)]).toEqual(['signature', 'signature'])
})

it('never comes back to an agent that is already in it', () => {
  const tree = treeOf(ada)
  const first = link(tree, ada, ben)
  const second = link(tree, ben, cleo, first)
  for (const back of [ada, ben]) expect(faultOf(tree, link(tree, cleo, { ...back, key: dan.key }, second))).toBe('loop')
})

const holder = (tree: Tree, delegation: string) => {
  const chain = judge(tree, delegation)
  const last = chain.ok ? chain.holders.at(-1) : undefined
  if (!last) throw new Error('no chain')
  return last
}

/** A second, independent description of when a chain is whole: by the maker and the receiver of each delegation. */
interface Made {
  from: Party
  to: Party
  above: string | undefined
}

it('takes no chain that was spliced, re-parented, or lacks a link (V6)', () => {
  const seed = Number(process.env.BAILIWICK_SEED ?? 1)
  const numRuns = Number(process.env.BAILIWICK_SPLICES ?? 1000)
  const names = Array.from({ length: 6 }, (_, n) => party(`p${n}`))
  const edge = fc.record({ from: fc.nat(5), to: fc.nat(5), above: fc.nat(8), wrongParent: fc.nat(8), lie: fc.nat(4) })
  fc.assert(
    fc.property(fc.array(edge, { minLength: 1, maxLength: 8 }), (edges) => {
      const tree = treeOf(names[0] as Party, { authority: { ...parentAuthority, max_children: 1000, max_depth: 8 } })
      const wide = narrower({ max_children: 1000, max_depth: 8 })
      const made = new Map<string, Made>()
      const texts: string[] = []
      for (const { from: f, to: t, above: a, wrongParent, lie } of edges) {
        const [from, to] = [names[f], names[t]] as [Party, Party]
        const above = texts[a]
        const text = signDelegation(claimsOf(tree, from, to, above, { ...wide, jti: String(texts.length) }), from.key)
        const claims = claimsOf(tree, from, to, above, wide)
        // A stolen issuer writes what it likes: the wrong parent, no parent, or no link at all.
        const said = lie === 0 ? texts[wrongParent] : above
        const record = redeemed(text, claims, said)
        if (lie !== 1) tree.delegations.set(record.delegation_id, record)
        made.set(record.delegation_id, { from, to, above: said === above ? above : 'spliced' })
        texts.push(text)
      }
      for (const text of texts) {
        const whole = isWhole(tree, made, text, names[0] as Party)
        expect(judge(tree, text).ok, 'a chain').toBe(whole)
      }
    }),
    { seed, numRuns },
  )
})

function isWhole(tree: Tree, made: ReadonlyMap<string, Made>, text: string, root: Party): boolean {
  const on: string[] = []
  for (let at: string | undefined = text; at !== undefined; ) {
    const id = delegationId(at) ?? ''
    const link = made.get(id)
    if (!link || !tree.delegations.has(id) || link.above === 'spliced') return false
    const maker = link.above === undefined ? root : made.get(delegationId(link.above) ?? '')?.to
    if (maker?.agent !== link.from.agent || on.includes(link.to.agent)) return false
    on.push(link.to.agent)
    at = link.above
  }
  return !on.includes(root.agent)
}
