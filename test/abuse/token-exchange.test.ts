import { type Delegation, delegationId, generateKey, type SigningKey, signDelegation } from '@bailiwick/credentials'
import { sample, sampleAgentId } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { askTokenWithNonce, read, type TokenAnswer } from '../e2e/agent-side.ts'
import { type Granted, granted } from '../e2e/granted.ts'
import { by, passedOn, reconcilerOf, type SubAgent, SubAgents } from '../e2e/sub-agents.ts'
import { eventually } from '../e2e/world.ts'

// Token exchange (RFC 8693) by sub-agents, and by thieves who stole from sub-agents. Only a live delegation to the
// caller, under a live parent, gets a token. Anything else gets nothing, and nothing of it is redeemed.

const subs = new SubAgents(4)
let system: Granted
beforeAll(async () => {
  system = await granted({ entities: subs.entities }, { authority: passedOn })
}, 60_000)
afterAll(() => system[Symbol.asyncDispose]())

let serial = 0
/** The delegation that a maker signs; correct unless the caller overrides a member. */
function signed(
  to: SubAgent,
  change: Partial<Delegation> = {},
  from: SubAgent = reconcilerOf(system.world),
  key: SigningKey<'agent'> = from.key,
): string {
  const { world, grant } = system
  const iat = Math.floor(world.clock.now() / 1000)
  const claims = {
    iss: from.id,
    sub: to.id,
    aud: world.trust.installation,
    iat,
    exp: iat + 1800,
    jti: `exchange-${++serial}`,
    cnf: { jkt: to.key.kid },
    grant: grant.grantId,
    as_of: grant.statement.as_of,
    parent_hash: grant.grantId.slice('grt_'.length),
    authorization_details: [passedOn],
    ...change,
  }
  return signDelegation(claims as Delegation, key)
}

const exchange = (
  delegation: string,
  who: SubAgent = subs.at(0),
  form: Record<string, string | undefined> = {},
): Promise<TokenAnswer> =>
  // On a busy machine the issuer may briefly not be proved fresh. It says so, and the caller asks again.
  eventually(async () => {
    const answer = await askTokenWithNonce(system.world, {
      assertion: { iss: who.id, sub: who.id },
      assertionKey: who.key,
      proofKey: who.key,
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: delegation,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        authorization_details: undefined,
        ...form,
      },
    })
    return answer.status === 503 ? undefined : answer
  })

const redeemed = async () =>
  (await system.world.events('grants.v1')).flatMap(({ type, subject }) =>
    type === 'delegation.redeemed' ? [subject] : [],
  )

/** The names of those that got something. */
async function taken(asks: Record<string, () => Promise<TokenAnswer>>): Promise<string[]> {
  const before = await redeemed()
  const got: string[] = []
  for (const [what, ask] of Object.entries(asks)) {
    const { status, token } = await ask()
    if (token !== undefined || status < 400 || status >= 500) got.push(`${what}: ${status}`)
  }
  expect(await redeemed()).toEqual(before)
  return got
}

it('accepts only delegations, and none that is too large, foreign, expired or not yet valid (V6, V12)', async () => {
  const { world, people, credential } = system
  const other = await people.grant({ authority: passedOn })
  const theirs = await people.grant({ agent: 'forecaster', authority: passedOn })
  const one = subs.at(0)
  const now = Math.floor(world.clock.now() / 1000)
  const good = signed(one)
  const [head = '', body = '', signature = ''] = good.split('.')
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
  const stranger = generateKey('agent')
  const shown: Record<string, string> = {
    nothing: '',
    'a credential': credential,
    'one that is too large': `${head}.${'A'.repeat(33_000)}.${signature}`,
    'a body that is too large': 'A'.repeat(2_000_000),
    unsigned: `${part({ ...header, alg: 'none' })}.${body}.`,
    'with what was signed changed': `${head}.${part({ ...claims, exp: now + 3000 })}.${signature}`,
    'by a stranger': signed(one, {}, reconcilerOf(world), stranger),
    'by a stranger under a made-up name': signed(
      one,
      { iss: `${sampleAgentId('nobody')}/i1` },
      reconcilerOf(world),
      stranger,
    ),
    'by its own sub-agent': signed(one, {}, one),
    'by the agent of another grant': signed(one, { grant: theirs.grantId, parent_hash: theirs.grantId.slice(4) }),
    'of another installation': signed(one, { aud: 'ins_9999999999abcdef' }),
    'of a grant that does not exist': signed(one, { grant: `grt_${'A'.repeat(43)}` }),
    'under the statement of another grant': signed(one, { parent_hash: other.grantId.slice(4) }),
    'of another grant, under this one': signed(one, { grant: other.grantId }),
    'under a delegation that does not exist': signed(one, { parent_hash: 'A'.repeat(43) }),
    'that has expired': signed(one, { iat: now - 60, exp: now - 1 }),
    'of tomorrow': signed(one, { iat: now + 3000, exp: now + 3100 }),
    'that outlives the grant': signed(one, { exp: now + 7200 }),
  }
  const asks = Object.entries(shown).map(([what, text]) => [what, () => exchange(text)] as const)
  expect(await taken(Object.fromEntries(asks))).toEqual([])
  expect((await exchange(good)).status).toBe(200)
})

it('accepts a delegation only from the agent it names, however often redeemed or however spelled (V10, V11)', async () => {
  const [one, two] = [subs.at(0), subs.at(1)]
  const delegation = signed(one)
  // ECDSA accepts both (r, s) and (r, n - s): the same delegation, in a second text.
  const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const cut = delegation.lastIndexOf('.')
  const signature = Buffer.from(delegation.slice(cut + 1), 'base64url')
  const s = (n - BigInt(`0x${signature.toString('hex', 32)}`)).toString(16).padStart(64, '0')
  const twin = `${delegation.slice(0, cut)}.${Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')}`
  expect(delegationId(twin)).toBe(delegationId(delegation))
  const thieves = async () =>
    taken({
      'another agent': () => exchange(delegation, two),
      'another agent, in its other spelling': () => exchange(twin, two),
      'another key of the same name': () => exchange(delegation, { ...one, key: generateKey('agent') }),
      'its maker': () => exchange(delegation, reconcilerOf(system.world)),
    })
  expect(await thieves()).toEqual([])
  const before = (await redeemed()).length
  const answers = await Promise.all([delegation, twin, delegation, twin].map((text) => exchange(text)))
  expect(answers.some(({ token }) => token !== undefined)).toBe(true)
  expect((await redeemed()).slice(before)).toEqual([delegationId(delegation)])
  expect(await thieves()).toEqual([])
})

it('accepts no circular delegation, and adds no audience to one (V5)', async () => {
  const [one, two, three] = [subs.at(0), subs.at(1), subs.at(2)]
  const { world } = system
  // One expiry for all: a child made a second later would outlive its parent.
  const same = { resources: [sample.invoicesUrl], exp: Math.floor(world.clock.now() / 1000) + 1800 }
  const first = signed(one, same)
  expect((await exchange(first, one)).status).toBe(200)
  const under = { ...same, parent_hash: delegationId(first)?.slice(4) ?? '' }
  const second = signed(two, under, one)
  expect((await exchange(second, two)).status).toBe(200)
  const below = { ...under, parent_hash: delegationId(second)?.slice(4) ?? '' }
  const root = reconcilerOf(world)
  expect(
    await taken({
      'to its own maker': () => exchange(signed(root), root),
      'to another name with the key of its maker': () =>
        exchange(signed({ ...three, key: root.key }), { ...three, key: root.key }),
      'back to the agent it came from': () => exchange(signed(one, below, two), one),
      'back to the agent whose grant it is': () => exchange(signed(root, below, two), root),
      'to itself': () => exchange(signed(two, below, two), two),
      'with an audience': () => exchange(first, one, { audience: 'https://elsewhere.example' }),
      'for another API': () => exchange(first, one, { resource: world.url }),
      'for an unregistered API': () => exchange(first, one, { resource: 'https://elsewhere.example' }),
      'for an API that its maker has not': () =>
        exchange(signed(three, { ...below, resources: [world.url] }, two), three),
      'for one more API': () =>
        exchange(signed(three, { ...below, resources: [sample.invoicesUrl, world.url] }, two), three),
      'for any API': () => exchange(signed(three, { ...below, resources: undefined }, two), three),
      'for another API, never redeemed': () => exchange(signed(three, below, two), three, { resource: world.url }),
      'for an unregistered API, never redeemed': () =>
        exchange(signed(three), three, { resource: 'https://elsewhere.example' }),
      'made for an unregistered API': () =>
        exchange(signed(three, { resources: ['https://elsewhere.example'] }), three),
      'with an actor of its own': () =>
        exchange(first, one, { actor_token: second, actor_token_type: 'urn:ietf:params:oauth:token-type:jwt' }),
    }),
  ).toEqual([])
})

it('accepts nothing that was revoked, whether it was redeemed before or not (V7)', async () => {
  const { world, point } = system
  const [one, two, three] = [subs.at(0), subs.at(1), subs.at(2)]
  // One expiry for all: a child made a second later would outlive its parent.
  const same = { exp: Math.floor(world.clock.now() / 1000) + 1800 }
  const [first, never] = [signed(one, same), signed(three, same)]
  expect((await exchange(first, one)).status).toBe(200)
  const below = { ...same, parent_hash: delegationId(first)?.slice(4) ?? '' }
  const second = signed(two, below, one)
  const { token, body } = await exchange(second, two)
  expect(token, JSON.stringify(body)).toBeDefined()
  expect(await point.call(by(two, token ?? '', read))).toMatchObject({ decision: true })
  for (const id of [delegationId(first), delegationId(never)])
    expect(await world.revoke('delegation', id ?? '')).toBe(200)
  const late = signed(three, below, one)
  expect(
    await taken({
      revoked: () => exchange(first, one),
      'below a revoked delegation': () => exchange(second, two),
      'made below a revoked delegation': () => exchange(late, three),
      'revoked before it was redeemed': () => exchange(never, three),
    }),
  ).toEqual([])
  await eventually(async () => (await point.call(by(two, token ?? '', read))).decision === false || undefined)
  const other = signed(subs.at(3))
  expect(await world.revoke('grant', system.grant.grantId)).toBe(200)
  expect(await taken({ 'of a grant that was revoked': () => exchange(other, subs.at(3)) })).toEqual([])
})
