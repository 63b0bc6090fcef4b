import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/contracts'
import { afterAll, describe, expect, it } from 'vitest'
import { sha256 } from '../base64url.ts'
import { signClientAssertion } from '../client-assertion.ts'
import { generateKey } from '../keys.ts'
import { type AttestorWorkshop, attestorContract, type TokenWishes } from './attestor.contract.ts'
import { Attestors } from './attestors.ts'
import { Authority, agentId, anAgent, audience, now, seconds, workloadKey } from './authority.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestors-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const clock = { monotonic: () => 0 }
const [real, forger] = [await Authority.open(), await Authority.open()]
const key = workloadKey.kid
const file = join(folder, 'bundle.json')
writeFileSync(file, real.set('jwt-svid'))
const jwks = join(folder, 'jwks.json')
writeFileSync(jwks, real.set('sig'))

const times = ({ expired = false }: TokenWishes) => ({
  iat: seconds(now) - 700,
  exp: seconds(now) + (expired ? -1 : 300),
})

const workshop = (agent: Agent, token: AttestorWorkshop['token'], attestors = new Attestors({ clock })) =>
  ({ attestor: attestors, agent, audience, now, key, token }) satisfies AttestorWorkshop

describe('JWT-SVID', () => {
  const agent = anAgent({ kind: 'jwt_svid', bundle: { file } })
  attestorContract(async () =>
    workshop(agent, (wishes = {}) =>
      (wishes.forged ? forger : real).sign(
        {
          sub: `${wishes.agent ?? agentId}/${wishes.instance ?? 'one'}`,
          aud: [wishes.audience ?? audience],
          ...times(wishes),
        },
        { typ: 'JWT' },
      ),
    ),
  )
})

describe('OIDC', () => {
  const agent = anAgent({
    kind: 'oidc',
    issuer: 'https://kubernetes.default.svc',
    jwks: { file: jwks },
    audience,
    claims: { '/sub': 'system:serviceaccount:finance:ledger', '/kubernetes.io/namespace': ['finance', 'accounts'] },
    instance_claim: '/kubernetes.io/pod/name',
  })
  const claims = (wishes: TokenWishes): Record<string, unknown> => ({
    iss: 'https://kubernetes.default.svc',
    // An OIDC token identifies an agent by the claims that its registration requires.
    sub: wishes.agent === undefined ? 'system:serviceaccount:finance:ledger' : 'system:serviceaccount:finance:other',
    aud: wishes.audience ?? audience,
    'kubernetes.io': { namespace: 'finance', pod: { name: wishes.instance ?? 'one' } },
    ...times(wishes),
  })
  attestorContract(async () => workshop(agent, (wishes = {}) => (wishes.forged ? forger : real).sign(claims(wishes))))

  it.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: 'https://kubernetes.default.svc/' }],
    ['a required claim that is missing', { 'kubernetes.io': { pod: { name: 'one' } } }],
    ['a required claim of another value', { 'kubernetes.io': { namespace: 'sales', pod: { name: 'one' } } }],
    ['more than one audience', { aud: [audience, 'https://elsewhere.example'] }],
    ['no exp', { exp: undefined }],
    ['an exp over a day away', { exp: seconds(now) + 100_000 }],
  ])('refuses %s', async (_, change) => {
    const token = await real.sign({ ...claims({}), ...change })
    expect(await new Attestors({ clock }).attest(token, { agent, audiences: [audience], now, key })).toMatchObject({
      ok: false,
    })
  })
})

describe('registered key', () => {
  const keys = ['one', 'two'].map((instance) => ({ instance, jwk: workloadKey.publicJwk }))
  const agent = anAgent({ kind: 'registered_key', keys })
  let serial = 0
  attestorContract(async () =>
    workshop(agent, async (wishes = {}) => {
      const id = `${wishes.agent ?? agentId}/${wishes.instance ?? 'one'}`
      const iat = seconds(now) - 200
      const exp = wishes.expired ? iat + 60 : iat + 400
      const claims = { iss: id, sub: id, aud: wishes.audience ?? audience, iat, exp, jti: `assertion-${++serial}` }
      try {
        return signClientAssertion(claims, wishes.forged ? generateKey('agent') : workloadKey)
      } catch {
        return 'an id that no client assertion can hold'
      }
    }),
  )
})

describe('join token', () => {
  /** Offers a token to the instance's agent; an invalid instance name is not offered. */
  const offer = (attestors: Attestors, instance: string, secret: string, at: number) => {
    const agent = anAgent({ kind: 'join_token' }, instance.slice(0, instance.lastIndexOf('/')))
    try {
      attestors.joinTokens.offer(agent, { instance, token_hash: sha256(secret), minutes: 10 }, at)
    } catch (error) {
      expect(error).toMatchObject({ code: 'entity_unknown' })
    }
  }
  let serial = 0
  attestorContract(async () => {
    const attestors = new Attestors({ clock })
    const agent = anAgent({ kind: 'join_token' })
    const token: AttestorWorkshop['token'] = async (wishes = {}) => {
      const secret = `secret-${++serial}`
      const instance = `${wishes.agent ?? agentId}/${wishes.instance ?? 'one'}`
      // Each service gets only the hash of its own secret.
      if (!wishes.forged && wishes.audience === undefined)
        offer(attestors, instance, secret, wishes.expired ? now - 600_000 : now)
      return secret
    }
    return workshop(agent, token, attestors)
  })

  it('can be redeemed for minutes only, and then goes on with its key for 8 h', async () => {
    const attestors = new Attestors({ clock })
    const agent = anAgent({ kind: 'join_token' })
    attestors.joinTokens.offer(agent, { token_hash: sha256('secret'), instance: `${agentId}/one`, minutes: 10 }, now)
    const at = (ms: number) => attestors.attest('secret', { agent, audiences: [], now: now + ms, key })
    expect(await at(600_000)).toMatchObject({ ok: false, code: 'token_expired' })
    expect(await at(599_999)).toMatchObject({ ok: true })
    expect(await at(3_600_000)).toMatchObject({ ok: true })
    expect(await at(600_000 + 8 * 3_600_000)).toMatchObject({ ok: false, code: 'token_expired' })
  })
})

it('a token of ECDSA is the same token in the other spelling of its signature (V10)', async () => {
  const authority = await Authority.open('authority-ec', 'ES256')
  const bundle = join(folder, 'bundle-ec.json')
  writeFileSync(bundle, authority.set('jwt-svid'))
  const agent = anAgent({ kind: 'jwt_svid', bundle: { file: bundle } })
  const attestors = new Attestors({ clock })
  const token = await authority.sign({ sub: `${agentId}/one`, aud: [audience], ...times({}) }, { typ: 'JWT' })
  const presented = { agent, audiences: [audience], now }
  const thief = generateKey('agent').kid
  expect(await attestors.attest(otherSpelling(token), { ...presented, key })).toMatchObject({ ok: true })
  for (const text of [token, otherSpelling(token)])
    expect(await attestors.attest(text, { ...presented, key: thief })).toMatchObject({
      ok: false,
      code: 'token_replayed',
    })
  expect(await attestors.attest(token, { ...presented, key })).toMatchObject({ ok: true })
})

/** (r, n - s), which verifies wherever (r, s) does. */
function otherSpelling(token: string): string {
  const cut = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(cut), 'base64url')
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = order - BigInt(`0x${signature.subarray(32).toString('hex')}`)
  const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
  return token.slice(0, cut) + other.toString('base64url')
}
