import { type Delegation, generateKey } from '@bailiwick/credentials'
import { chainOf, judgeLink } from '@bailiwick/projection'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { generator, seed } from '../chaos/seed.ts'
import { adjusting, type Chain, Family, familyAuthority, idOf, type Link, readOnly } from './delegation-family.ts'
import { roundsOf } from './revocation-world.ts'
import { unlikely } from './scene.ts'

// A stolen issuer writes, and certifies, delegation chains that no agent made in that form. The decision point refuses
// every call under such a chain, the issuer refuses to redeem its links, and the auditor names each one.
// BAILIWICK_SEED=… repeats a run.

/** An id that belongs to nothing. */
const unknownLink = `dlg_${'A'.repeat(43)}`
/** Chains of one task: each is judged against the chains written before it. */
const together = 40

let family: Family
/** `dlg_…` ids that the auditor must name, and those that it must not name. */
const bad: string[] = []
const good: string[] = []
beforeAll(async () => {
  family = await Family.open()
}, 60_000)
afterAll(() => family[Symbol.asyncDispose]())

const dice = generator(seed)
const below = (n: number) => Math.floor(dice() * n)
/** Two to five different sub-agents. */
const members = () => {
  const all = [1, 2, 3, 4, 5, 6, 7, 8].map((n): [number, number] => [dice(), n]).sort(([a], [b]) => a - b)
  return all.slice(0, 2 + below(4)).map(([, n]) => n)
}

/** Makes every link below another one again under it; each is signed by its rightful maker. */
const goneOn = (head: readonly Link[], tail: readonly Link[]): Link[] => {
  const links = [...head]
  for (const { to } of tail) links.push(family.link(links.at(-1), to))
  return links
}

/** How each bad chain is made from a whole one; `other` runs through the same members. */
const lies: Record<string, (chain: Link[], at: number, other: Link[]) => Pick<Chain, 'written' | 'named'>> = {
  'the end of one chain under the beginning of another chain'(chain, at, other) {
    const cut = Math.max(1, at)
    const [first, ...rest] = other.slice(cut)
    const links = [
      ...chain.slice(0, cut),
      { ...(first as Link), parent: chain[cut - 1] && idOf(chain[cut - 1] as Link) },
    ]
    return { written: [...links, ...rest], named: [...links, ...rest] }
  },
  'a link under a parent that it was not made under'(chain, at) {
    const moved = chain[at] as Link
    const places = [...chain.filter((link) => link !== moved && idOf(link) !== moved.parent).map(idOf), unknownLink]
    if (moved.parent !== undefined) places.push('')
    const place = places[below(places.length)]
    const parent = place === '' ? undefined : place
    const links = chain.with(at, { ...moved, parent })
    return { written: links, named: links }
  },
  'a link that does not exist'(chain, at) {
    const gone = Math.min(at, chain.length - 2)
    return { written: chain.toSpliced(gone, 1), named: chain }
  },
  'a link that is left out'(chain, at) {
    const gone = Math.min(at, chain.length - 2)
    const after = chain[gone + 1] as Link
    const links = chain.with(gone + 1, { ...after, parent: chain[gone]?.parent }).toSpliced(gone, 1)
    return { written: links, named: links }
  },
  'a link that was redeemed before the one above it'(chain, at) {
    const early = Math.max(1, at)
    const written = chain.with(early - 1, chain[early] as Link).with(early, chain[early - 1] as Link)
    return { written, named: chain }
  },
  'a link that another key made'(chain, at) {
    const { to } = chain[at] as Link
    const links = goneOn(
      [...chain.slice(0, at), family.link(chain[at - 1], to, {}, generateKey('agent'))],
      chain.slice(at + 1),
    )
    return { written: links, named: links }
  },
  'a link to an agent other than the one that was signed'(chain) {
    const last = chain.at(-1) as Link
    const thief = family.member(0)
    const taken = { ...last, to: thief, said: { agent: thief.id, instance_key: thief.key.kid } }
    const links = chain.with(-1, taken)
    return { written: links, named: links }
  },
  'an agent that is in the chain twice'(chain, at) {
    const links = [...chain, family.link(chain.at(-1), family.member(0))]
    const again = [...chain, family.link(chain.at(-1), (chain[at] as Link).to)]
    const looped = at === chain.length - 1 ? links : again
    return { written: looped, named: looped }
  },
  'a link of another task'(chain, at) {
    const { to } = chain[at] as Link
    const strange = family.link(chain[at - 1], to, { grant: `grt_${'A'.repeat(43)}` })
    const links = goneOn([...chain.slice(0, at), strange], chain.slice(at + 1))
    return { written: links, named: links }
  },
}
const kinds = Object.keys(lies)

function lied(n: number): Chain {
  const [through, what] = [members(), kinds[n % kinds.length] ?? '']
  const chain = family.descent(through)
  const { written, named } = lies[what]?.(chain, below(chain.length), family.descent(through)) ?? {
    written: [],
    named: [],
  }
  // The auditor must name a link where it was written.
  const known = new Map(written.map((link) => [idOf(link), link]))
  return { what, written, named: named.map((link) => known.get(idOf(link)) ?? link), good: false }
}

const whole = (): Chain => {
  const chain = family.descent(members())
  return { what: 'a chain that is whole', written: chain, named: chain, good: true }
}

/**
 * Asks for a decision under each of these chains, and returns the wrong answers. The last link of each bad chain is
 * also presented to the issuer.
 */
async function tried(makers: readonly (() => Chain)[]): Promise<string[]> {
  await family.approve()
  const chains = makers.map((make) => make())
  const wrong: string[] = []
  const answers = await family.ask(chains)
  const redeemed = await Promise.all(chains.map(({ named }) => family.redeem(named.at(-1) as Link)))
  for (const [n, { what, named, good: mayPass }] of chains.entries()) {
    const last = named.at(-1) as Link
    const decided = answers[n]?.decision ? 'ALLOW' : answers[n]?.reason
    const issued = redeemed[n] ?? ''
    if (decided !== (mayPass ? 'ALLOW' : 'delegation_invalid')) wrong.push(`${what}: decided ${decided}`)
    if (mayPass ? issued !== 'issued' : !refusals.has(issued)) wrong.push(`${what}: redeemed ${issued}`)
    ;(mayPass ? good : bad).push(idOf(last))
  }
  return wrong
}
/** The issuer's refusals. The second is for a link that belongs to another agent by what was signed or written. */
const refusals: ReadonlySet<string> = new Set(['delegation_invalid', 'access_request_refused'])

const chains = roundsOf(120, 10_000)

it(
  `${chains} spliced, re-parented or cut chains are all refused, and whole ones are accepted (V6)`,
  async () => {
    const wrong: string[] = []
    for (let n = 0; n < chains && wrong.length < 20; n += together) {
      const lot = Array.from({ length: Math.min(together, chains - n) }, (_, m) => () => lied(n + m))
      wrong.push(...(await tried([...lot, whole])))
    }
    console.log(`chains: ${chains} from seed ${seed}, ${wrong.length} taken or refused wrongly`, wrong.slice(0, 5))
    expect(wrong).toEqual([])
  },
  chains * 2000,
)

type Authority = Record<string, never> & { permissions: Record<string, unknown>[]; budget: Record<string, unknown> }

/** Each way to have more than was delegated, alone or with any of the others. */
const wider: Record<string, (authority: Authority, claims: Partial<Delegation>) => void> = {
  'another task': (it) => Object.assign(it, { task: 'another' }),
  'another action': (it) => Object.assign(it.permissions[0] ?? {}, { actions: ['tools/call', 'tools/describe'] }),
  'another resource': (it) => it.permissions.push({ ...readOnly, resource: { type: 'tool', id: 'invoices/delete' } }),
  'a wider bound': (it) => Object.assign(it.permissions[1]?.where ?? {}, { '/amount': { max: '500.01' } }),
  'a bound left out': (it) => void Reflect.deleteProperty(it.permissions[1]?.where ?? {}, '/currency'),
  'its cost elsewhere': (it) =>
    Object.assign(it.permissions[1] ?? {}, { cost: { amount: '/x', currency: '/currency' } }),
  'more uses': (it) => Object.assign(it.permissions[1] ?? {}, { max_uses: (adjusting.max_uses ?? 0) + 1 }),
  'more calls': (it) => Object.assign(it.budget, { calls: 201 }),
  'more money': (it) => Object.assign(it.budget, { cost: { EUR: '2000.01' } }),
  'more bytes': (it) => void delete it.budget.egress_bytes,
  'arguments that are not named': (it) => void delete it.permissions[1]?.arguments,
  'another delegate': (it) =>
    Object.assign(it, { delegates: [...(it.delegates ?? []), 'spiffe://example.org/agent/x'] }),
  'any delegate': (it) => void Reflect.deleteProperty(it, 'delegates'),
  'more depth': (it) => Object.assign(it, { max_depth: 8 }),
  'more children': (it) => Object.assign(it, { max_children: 1000 }),
  'a longer life': (_, claims) =>
    Object.assign(claims, { exp: Math.floor(Date.parse(family.grant.not_after) / 1000) + 1 }),
  'a later as_of': (_, claims) => Object.assign(claims, { as_of: family.grant.as_of + 1 }),
}
const dimensions = Object.keys(wider)

/** A child that is wider in the dimensions of this mask. */
function widened(mask: number): Chain {
  const how = dimensions.filter((_, n) => mask & (1 << n))
  const authority = structuredClone(family.authority) as unknown as Authority
  const claims: Partial<Delegation> = { authorization_details: [authority] }
  for (const each of how) wider[each]?.(authority, claims)
  const link = family.link(undefined, family.member(1), claims)
  return { what: how.join(', '), written: [link], named: [link], good: false }
}

const everything = 2 ** dimensions.length - 1
/** Decision point and issuer both see each dimension alone, all at once, and any two. */
const ofTwo = dimensions.flatMap((_, n) => dimensions.slice(0, n).map((__, m) => (1 << n) | (1 << m)))
const masks = [...dimensions.map((_, n) => 1 << n), everything, ...ofTwo].slice(0, roundsOf(25, ofTwo.length * 2))

it(
  `a child wider than its parent, in any combination of ${dimensions.length} ways, is refused (V5)`,
  async () => {
    const wrong: string[] = []
    for (let n = 0; n < masks.length && wrong.length < 20; n += together)
      wrong.push(...(await tried([...masks.slice(n, n + together).map((mask) => () => widened(mask)), whole])))
    // All combinations, through the function that issuer and decision point both use.
    const every = roundsOf(200, everything)
    const { installation } = family.scene.system.trust
    const root = chainOf(family.tree, undefined, installation)
    if (!root.ok) throw new Error(root.fault)
    for (let n = 1; n <= every; n++) {
      const mask = every === everything ? n : 1 + below(everything)
      const { what, named } = widened(mask)
      const delegation = named[0]?.text ?? ''
      const judged = judgeLink(family.tree, { holders: root.holders, siblings: 0, delegation, installation })
      if (judged.ok) wrong.push(`${what}: judged good`)
    }
    console.log(`wider: ${masks.length} asked for, ${every} judged, ${wrong.length} taken or refused wrongly`)
    expect(wrong).toEqual([])
  },
  roundsOf(120, 2000) * 2000,
)

it('an agent that is not listed cannot act, even if a listed one delegates to it or a thief records its redemption (V5)', async () => {
  const [first = '', second = ''] = familyAuthority.delegates
  await family.approve({ delegates: [first, second] })
  const [one, two, three] = [1, 2, 3].map((n) => family.member(n))
  if (!one || !two || !three) throw new Error('there are too few members')
  const listed = family.link(undefined, one)
  expect(await family.redeem(listed)).toBe('issued')
  expect(await family.redeem(family.link(undefined, three))).toBe('delegation_invalid')
  expect(await family.redeem(family.link(listed, three))).toBe('delegation_invalid')
  expect(await family.redeem(family.link(listed, two))).toBe('issued')
  const stolen = [[family.link(undefined, three)], [listed, family.link(listed, three)]].map((named) => ({
    what: 'to an agent that is not listed',
    written: named.slice(-1),
    named,
    good: false,
  }))
  const answers = await family.ask(stolen)
  expect(answers.map(({ decision, reason }) => [decision, reason])).toEqual([
    [false, 'delegation_invalid'],
    [false, 'delegation_invalid'],
  ])
  bad.push(...stolen.flatMap(({ written }) => written.map(idOf)))
  good.push(idOf(listed))
})

it('the auditor names every bad chain, and no whole one (V5, V6)', async () => {
  const { findings } = await family.scene.audited()
  const named = new Set(unlikely(findings).map(({ detail }) => detail.slice(0, 'dlg_'.length + 43)))
  expect(bad.length).toBeGreaterThan(roundsOf(120, 10_000))
  expect(bad.filter((id) => !named.has(id))).toEqual([])
  expect(good.filter((id) => named.has(id))).toEqual([])
}, 600_000)
