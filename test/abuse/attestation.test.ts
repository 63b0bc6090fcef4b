import { createHmac } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { encodeBase64url, generateKey, type SigningKey, sha256 } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Point, read } from '../e2e/agent-side.ts'
import { People } from '../e2e/people.ts'
import {
  Authority,
  askOf,
  askToken,
  aWorkload,
  jobAgent,
  jobAudience,
  joinAgent,
  podAgent,
  provider,
  type Workload,
} from '../e2e/workloads.ts'
import { World } from '../e2e/world.ts'
import { type JsonWebKeyEc, spellingsOf } from './key-spellings.ts'

// An attacker claims to be a workload with a forged token, another workload's token, or a token that is not valid at
// this time. The issuer gives it nothing and fetches nothing that a token names. Each attack begins with a grant for
// which the right workload would get a credential.

const { HttpsAuthority } = (await import(
  join(import.meta.dirname, '../../packages/credentials/src/attestation/https-authority.fixture.ts')
)) as typeof import('../../packages/credentials/src/attestation/https-authority.fixture.ts')
const trusted = getCACertificates('default')
const authority = new Authority()
/** Vouches for other workloads; its key has the same `kid`. */
const stranger = new Authority()
let server: Awaited<ReturnType<typeof HttpsAuthority.start>>
let world: World
let people: People
let point: Point
/** No token, redirect or document may lead to this server. */
let inside: { port: number; connections: number; close(): void }

const far = (name: string) => `spiffe://bailiwick.local/agent/${name}`
beforeAll(async () => {
  server = await HttpsAuthority.start()
  setDefaultCACertificates([...trusted, server.ca])
  inside = await listening()
  const agent = (name: string, attestor: object) => ({
    type: 'agent' as const,
    value: { id: far(name), name, owner: sample.owner, attestor, labels: [], proactive_requests: true } as never,
  })
  const oidc = { kind: 'oidc', audience: jobAudience, claims: {}, instance_claim: '/run_id' }
  world = await World.open({
    entities: (entities) => [
      ...entities,
      ...authority.agents(),
      agent('redirected', { kind: 'jwt_svid', bundle: { url: `${server.url}/redirected` } }),
      agent('endless', { kind: 'jwt_svid', bundle: { url: `${server.url}/endless` } }),
      agent('discovered', { ...oidc, issuer: `${server.url}/discovered` }),
      agent('elsewhere', { ...oidc, issuer: `${server.url}/elsewhere` }),
      agent('keys', { ...oidc, issuer: provider, jwks: { url: `${server.url}/keys` } }),
    ],
  })
  people = await People.enrolled(world)
  point = new Point(world)
}, 60_000)
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  inside.close()
  setDefaultCACertificates(trusted)
  for (const each of [authority, stranger]) each[Symbol.dispose]()
})

async function listening() {
  const counted = { port: 0, connections: 0, close: () => void thief.close() }
  const thief = createServer((socket) => {
    counted.connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve))
  const address = thief.address()
  counted.port = typeof address === 'object' ? (address?.port ?? 0) : 0
  return counted
}

const now = () => Math.floor(world.clock.now() / 1000)
const part = (value: unknown) => encodeBase64url(JSON.stringify(value))
const grantFor = async (workload: Workload) => (await people.grant(askOf(workload))).grantId

/** Presents each of these for the same grant. Returns the names of those that got something. */
async function taken(workload: Workload, grantId: string, tokens: Record<string, string>): Promise<string[]> {
  const got: string[] = []
  for (const [what, token] of Object.entries(tokens)) {
    const { status, token: credential } = await askToken(world, workload, grantId, token)
    if (credential !== undefined || ![400, 401, 503].includes(status)) got.push(`${what}: ${status}`)
  }
  return got
}

/** The same token with other headers, other keys and other claims. */
function forgeries(good: string, kid: string, publicJwk: SigningKey<'agent'>['publicJwk']): Record<string, string> {
  const [, body = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
  const header = { alg: 'ES256', kid, typ: 'JWT' }
  const thief = generateKey('agent')
  const by = (more: object, said: object = claims, key = thief) => authority.token({ ...said }, { key, header: more })
  const place = `https://127.0.0.1:${inside.port}`
  const hmac = (secret: string | Buffer) => {
    const input = `${part({ ...header, alg: 'HS256' })}.${body}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  return {
    'alg none': `${part({ ...header, alg: 'none' })}.${body}.`,
    'alg none, with the signature': `${part({ ...header, alg: 'none' })}.${body}.${signature}`,
    'no signature': `${part(header)}.${body}.`,
    'another algorithm': `${part({ ...header, alg: 'ES384' })}.${body}.${signature}`,
    ...Object.fromEntries(
      Object.entries(spellingsOf(publicJwk as JsonWebKeyEc)).map(([how, secret]) => [`HMAC with ${how}`, hmac(secret)]),
    ),
    'the key of a thief, under the name of the right key': by({}),
    'the key of another authority, of the same name': stranger.token(claims),
    'its own key in the header': by({ jwk: thief.publicJwk }),
    'its own key in the header, without a key id': by({ jwk: thief.publicJwk, kid: undefined }),
    'an address of keys': by({ jku: `${place}/jwks` }),
    'an address of keys for a name': by({ kid: `${place}/jwks` }),
    'an address of a certificate': by({ x5u: `${place}/cert.pem` }),
    'a certificate': by({ x5c: ['AAAA'] }),
    'a path for a key': by({ kid: '../../../../dev/null' }),
    'a prototype for a key': by({ kid: '__proto__' }),
    'a statement for a key': by({ kid: "' OR '1'='1" }),
    'a critical extension': `${part({ ...header, crit: ['b64'], b64: false })}.${body}.${signature}`,
    'the type of a credential': authority.token(claims, { header: { typ: 'at+jwt' } }),
    'the type of a proof': authority.token(claims, { header: { typ: 'dpop+jwt' } }),
    'another spelling': `${good}=`,
    'for another audience': authority.token({ ...claims, aud: 'https://elsewhere.example' }),
    'for us and another audience': authority.token({
      ...claims,
      aud: [claims.aud, 'https://elsewhere.example'].flat(),
    }),
    'for a place below us': authority.token({ ...claims, aud: `${[claims.aud].flat()[0]}/` }),
    'without an audience': authority.token({ ...claims, aud: undefined }),
    'that has expired': authority.token({ ...claims, iat: now() - 600, exp: now() - 1 }),
    'of tomorrow': authority.token({ ...claims, nbf: now() + 3600 }),
    'without an end': authority.token({ ...claims, exp: undefined }),
    'for a year': authority.token({ ...claims, exp: now() + 365 * 86_400 }),
    'with an expiry that is a string': authority.token({ ...claims, exp: String(claims.exp) }),
  }
}

it('no forged, foreign or old JWT-SVID attests a workload, and nothing that one names is fetched (V11, V12)', async () => {
  const pod = aWorkload(`${podAgent}/one`)
  const grantId = await grantFor(pod)
  const good = authority.svid(world, pod.id)
  const of = (sub: unknown) => authority.svid(world, String(sub), { sub })
  const got = await taken(pod, grantId, {
    ...forgeries(good, 'authority-1', authority.publicJwk),
    'of another trust domain': of('spiffe://evil.example/agent/pods/one'),
    'of a trust domain that begins alike': of('spiffe://bailiwick.local.evil.example/agent/pods/one'),
    'of an agent that begins alike': of(`${podAgent}-evil/one`),
    'of another agent': of(`${jobAgent}/one`),
    'of another instance': of(`${podAgent}/two`),
    'of the agent, without an instance': of(podAgent),
    'of a path that goes up and down again': of(`${podAgent}/x/../one`),
    'of another spelling': of(`${podAgent}/%6fne`),
    'of several': of([pod.id, `${podAgent}/two`]),
    'a token of a provider': authority.idToken(world, 'one'),
  })
  expect(got).toEqual([])
  expect(inside.connections).toBe(0)
  expect((await askToken(world, pod, grantId, good)).status).toBe(200)
})

it('no forged, foreign or old token of a provider, and no token of another job, attests a workload (V11, V12)', async () => {
  const job = aWorkload(`${jobAgent}/42`, 'oidc')
  const grantId = await grantFor(job)
  const good = authority.idToken(world, '42')
  const of = (over: object) => authority.idToken(world, '42', over)
  const got = await taken(job, grantId, {
    ...forgeries(good, 'authority-1', authority.publicJwk),
    'of another issuer': of({ iss: 'https://evil.example' }),
    'of the issuer, spelled otherwise': of({ iss: `${provider}/` }),
    'of no issuer': of({ iss: undefined }),
    'of a branch that begins alike': of({ sub: 'repo:acme/ledger:ref:refs/heads/main-evil' }),
    'of another repository': of({ sub: 'repo:evil/ledger:ref:refs/heads/main' }),
    'of several subjects': of({ sub: ['repo:acme/ledger:ref:refs/heads/main'] }),
    'of another run': authority.idToken(world, '43'),
    'of no run': of({ run_id: undefined }),
    'of a run that reaches into another agent': of({ run_id: '../pods/one' }),
    'of a run that is a list': of({ run_id: ['42'] }),
    'a JWT-SVID': authority.svid(world, job.id),
  })
  expect(got).toEqual([])
  expect(inside.connections).toBe(0)
  expect((await askToken(world, job, grantId, good)).status).toBe(200)
})

it('a token works with one key only; no other spelling of its signature makes it work with another key (V10, V11)', async () => {
  const [one, two] = [aWorkload(`${podAgent}/first`), aWorkload(`${podAgent}/second`)]
  const [grantOfOne, grantOfTwo] = [await grantFor(one), await grantFor(two)]
  const token = authority.svid(world, one.id)
  expect((await askToken(world, one, grantOfOne, token)).status).toBe(200)
  // ECDSA accepts both (r, s) and (r, n - s), so anyone who saw the token can make a second one from it.
  const n = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const cut = token.lastIndexOf('.')
  const signature = Buffer.from(token.slice(cut + 1), 'base64url')
  const s = (n - BigInt(`0x${signature.toString('hex', 32)}`)).toString(16).padStart(64, '0')
  const twin = `${token.slice(0, cut)}.${Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')}`
  for (const shown of [token, twin]) {
    const thief = aWorkload(one.id)
    const theirs = await grantFor(thief)
    for (const [who, grantId] of [
      [thief, theirs],
      [thief, grantOfOne],
      [two, grantOfTwo],
      [{ ...two, id: one.id }, grantOfOne],
    ] as const)
      expect((await askToken(world, who, grantId, shown)).token).toBeUndefined()
  }
  const { token: credential } = await askToken(world, one, grantOfOne, token)
  expect(await point.call({ ...read, credential, proofKey: two.key, subject: one.id })).toMatchObject({
    reason: 'proof_key_mismatch',
  })
})

it('exactly one of many simultaneous holders of a join token joins, as its instance, before it expires (V10)', async () => {
  const laptop = aWorkload(`${joinAgent}/laptop`, 'join_token')
  const racers = Array.from({ length: 8 }, () => aWorkload(laptop.id, 'join_token'))
  const grants = await Promise.all(racers.map(grantFor))
  const offer = async (secret: string, instance = laptop.id) => {
    const payload = { instance, token_hash: sha256(secret), minutes: 10 }
    return (await world.operator.inject({ method: 'POST', url: '/operator/join-tokens/issuer', payload })).statusCode
  }
  expect(await offer('raced')).toBe(200)
  const answers = await Promise.all(racers.map((racer, n) => askToken(world, racer, grants[n] ?? '', 'raced')))
  expect(answers.filter(({ token }) => token !== undefined)).toHaveLength(1)
  const [another] = [aWorkload(`${joinAgent}/another`, 'join_token')]
  const theirs = await grantFor(another)
  expect(await offer('for the laptop')).toBe(200)
  const got = await taken(another, theirs, {
    'of another instance': 'for the laptop',
    'its hash': sha256('for the laptop'),
  })
  expect(got).toEqual([])
  for (const [secret, instance] of [
    ['a pod', `${podAgent}/one`],
    ['up and down', `${joinAgent}/../pods/one`],
  ] as const)
    expect(await offer(secret, instance)).toBeGreaterThanOrEqual(400)
  expect(await offer('late')).toBe(200)
  const late = aWorkload(laptop.id, 'join_token')
  const grantId = await grantFor(late)
  world.ahead = 11 * 60_000
  try {
    expect(await taken(late, grantId, { 'that has expired': 'late' })).toEqual([])
  } finally {
    world.ahead = 0
  }
})

it('a hostile authority cannot make the issuer call an internal address by any answer (V12)', async () => {
  const place = (scheme: string) => `${scheme}://127.0.0.1:${inside.port}/latest/meta-data`
  const document = (path: string, jwks_uri: string) =>
    server.serve(`/${path}/.well-known/openid-configuration`, () =>
      JSON.stringify({ issuer: `${server.url}/${path}`, jwks_uri }),
    )
  server.redirect('/redirected', '/bundle')
  server.redirect('/keys', '/bundle')
  server.serve('/bundle', () =>
    JSON.stringify({ keys: ['jwt-svid', 'sig'].map((use) => ({ ...authority.publicJwk, kid: `by ${use}`, use })) }),
  )
  server.answers.set('/endless', (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 32))) {}
    }
    response.on('drain', more)
    more()
  })
  const idToken = (issuer: string, kid: string) =>
    authority.token(
      { iss: issuer, sub: 'job', aud: jobAudience, run_id: 'one', iat: now(), exp: now() + 300 },
      { header: { kid } },
    )
  const asks: [string, () => string, Workload['kind']][] = [
    [
      'redirected',
      () =>
        authority.token(
          { sub: `${far('redirected')}/one`, aud: [world.url], iat: now(), exp: now() + 300 },
          { header: { kid: 'by jwt-svid' } },
        ),
      'jwt_svid',
    ],
    ['endless', () => authority.svid(world, `${far('endless')}/one`), 'jwt_svid'],
    ['keys', () => idToken(provider, 'by sig'), 'oidc'],
    ['discovered', () => idToken(`${server.url}/discovered`, 'by sig'), 'oidc'],
    ['elsewhere', () => idToken(`${server.url}/elsewhere`, 'by sig'), 'oidc'],
  ]
  document('discovered', place('http'))
  document('elsewhere', 'file:///etc/passwd')
  for (const [name, token, kind] of asks) {
    const workload = aWorkload(`${far(name)}/one`, kind)
    expect([name, await taken(workload, await grantFor(workload), { [name]: token() })]).toEqual([name, []])
  }
  expect(inside.connections).toBe(0)
  expect(server.asked).not.toContain('/bundle')
  expect(server.asked).toEqual(
    expect.arrayContaining(['/redirected', '/endless', '/keys', '/discovered/.well-known/openid-configuration']),
  )
}, 60_000)
