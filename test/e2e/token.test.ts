import { generateKey, jcsHash, makeDpopProof } from '@bailiwick/credentials'
import { sample, sampleAgentId, sampleKey } from '@bailiwick/standalone/sample'
import * as client from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, askToken, askTokenWithNonce, type TokenAsk } from './agent-side.ts'
import { listen, oauthClient } from './oauth-client.ts'
import { People } from './people.ts'
import { eventually, World } from './world.ts'

let world: World
let people: People
let grantId: string
let requestId: string
let details: unknown
beforeAll(async () => {
  world = await World.open()
  people = await People.enrolled(world)
  const grant = await people.grant()
  grantId = grant.grantId
  requestId = grant.requestId
  details = [{ type: 'bailiwick_grant', grant_id: grantId }]
})
afterAll(() => world[Symbol.asyncDispose]())

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const minted = async () => (await world.events('grants.v1')).filter(({ type }) => type === 'credential.intended').length

it('waits a moment for a grant that other services have read before it', async () => {
  const received = await people.ask()
  const statement = people.statement(received)
  const details = [{ type: 'bailiwick_grant', grant_id: `grt_${jcsHash(statement)}` }]
  const asked = askTokenWithNonce(world, { details })
  await people.hand(received.request_id, statement)
  expect(await asked).toMatchObject({ status: 200 })
})

it('serves a generic OAuth client: discovery, private_key_jwt, DPoP with a nonce, rich authorization requests', async () => {
  await listen(world)
  const { configuration, DPoP } = await oauthClient(world)
  const tokens = await client.clientCredentialsGrant(
    configuration,
    { authorization_details: JSON.stringify(details) },
    { DPoP },
  )
  expect(tokens.token_type).toBe('dpop')
  expect(claimsOf(tokens.access_token)).toMatchObject({
    iss: world.url,
    sub: agentId(),
    cnf: { jkt: sampleKey(world.data, 'reconciler').kid },
    grant: { id: grantId },
  })
  const keys = (await (await fetch(`${world.url}/oauth/jwks`)).json()) as { keys: { kid: string; d?: string }[] }
  expect(keys.keys.map(({ kid, d }) => [kid, d])).toEqual([
    [world.key('issuer', 'credential', 'credential').kid, undefined],
  ])
})

it('mints for at most ten minutes, never beyond the grant, and only for the approved key (V11)', async () => {
  const { token, body } = await askTokenWithNonce(world, {
    details: [{ type: 'bailiwick_grant', request_id: requestId }],
  })
  const { iat, exp, aud, authorization_details } = claimsOf(token ?? '')
  expect(exp - iat).toBe(300)
  expect([aud, body.token_type, body.expires_in]).toEqual([world.url, 'DPoP', 300])
  expect(authorization_details).toEqual(body.authorization_details)
  const short = await people.grant({ seconds: 20 })
  const other = await askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: short.grantId }] })
  expect(claimsOf(other.token ?? '').exp * 1000).toBeLessThanOrEqual(Date.parse(short.statement.not_after))
})

/** RFC 6749 §5.2: no quote, no backslash, nothing beyond ASCII. */
const sentence = /^[A-Z][\x20\x21\x23-\x5b\x5d-\x7e]+ [\x20\x21\x23-\x5b\x5d-\x7e]+\.$/
const now = () => Math.floor(world.clock.now() / 1000)

it.each<[why: string, status: number, error: string, ask: () => TokenAsk]>([
  ['no assertion', 401, 'invalid_client', () => ({ form: { client_assertion: undefined } })],
  ['no details', 400, 'invalid_request', () => ({ form: { authorization_details: undefined } })],
  ['another flow', 400, 'unsupported_grant_type', () => ({ form: { grant_type: 'password' } })],
  ['another way to authenticate', 401, 'invalid_client', () => ({ form: { client_assertion_type: 'urn:x' } })],
  ['a malformed assertion', 401, 'invalid_client', () => ({ form: { client_assertion: 'a.b.c' } })],
  [
    'an unknown agent',
    401,
    'invalid_client',
    () => ({ assertion: { iss: `${sampleAgentId('nobody')}/i1`, sub: `${sampleAgentId('nobody')}/i1` } }),
  ],
  [
    'an unknown instance',
    401,
    'invalid_client',
    () => ({ assertion: { iss: `${sampleAgentId('reconciler')}/i9`, sub: `${sampleAgentId('reconciler')}/i9` } }),
  ],
  ['the key of another agent', 401, 'invalid_client', () => ({ assertionKey: sampleKey(world.data, 'forecaster') })],
  ['another audience', 401, 'invalid_client', () => ({ assertion: { aud: 'https://elsewhere.example' } })],
  ['a subject that is not the issuer', 401, 'invalid_client', () => ({ assertion: { sub: agentId('forecaster') } })],
  ['an expired assertion', 401, 'invalid_client', () => ({ assertion: { iat: now() - 120, exp: now() - 60 } })],
  ['an assertion that is valid for an hour', 401, 'invalid_client', () => ({ assertion: { exp: now() + 3600 } })],
  ['another client id', 401, 'invalid_client', () => ({ form: { client_id: agentId('forecaster') } })],
  ['no proof', 400, 'invalid_dpop_proof', () => ({ dpop: '' })],
  ['a malformed proof', 400, 'invalid_dpop_proof', () => ({ dpop: 'a.b.c' })],
  ['a proof for another method', 400, 'invalid_dpop_proof', () => ({ proof: { htm: 'GET' } })],
  ['a proof for another URL', 400, 'invalid_dpop_proof', () => ({ proof: { htu: `${world.url}/other` } })],
  ['an old proof', 400, 'invalid_dpop_proof', () => ({ proof: { now: world.clock.now() - 120_000 } })],
  ['a proof without nonce', 400, 'use_dpop_nonce', () => ({ proof: { nonce: undefined } })],
  ['a nonce of its own', 400, 'use_dpop_nonce', () => ({ proof: { nonce: 'made-up' } })],
  ['the proof of another key', 400, 'invalid_dpop_proof', () => ({ proofKey: generateKey('agent') })],
  ['details that are not JSON', 400, 'invalid_authorization_details', () => ({ form: { authorization_details: '[' } })],
  [
    'details with a key twice',
    400,
    'invalid_authorization_details',
    () => ({ form: { authorization_details: `[{"type":"bailiwick_grant","grant_id":"x","grant_id":"${grantId}"}]` } }),
  ],
  [
    'details of another type',
    400,
    'invalid_authorization_details',
    () => ({ details: [{ type: 'payment', grant_id: grantId }] }),
  ],
  [
    'two details',
    400,
    'invalid_authorization_details',
    () => ({
      details: [
        { type: 'bailiwick_grant', grant_id: grantId },
        { type: 'bailiwick_grant', grant_id: grantId },
      ],
    }),
  ],
  [
    'an unknown grant',
    400,
    'invalid_authorization_details',
    () => ({ details: [{ type: 'bailiwick_grant', grant_id: 'grt_x' }] }),
  ],
  [
    'an unknown request',
    400,
    'invalid_authorization_details',
    () => ({ details: [{ type: 'bailiwick_grant', request_id: 'req_x' }] }),
  ],
  ['the grant of another agent', 400, 'invalid_authorization_details', () => ({ agent: 'forecaster' })],
  ['a scope', 400, 'invalid_scope', () => ({ form: { scope: 'all' } })],
  ['an audience', 400, 'invalid_request', () => ({ form: { audience: sample.invoicesUrl } })],
  ['a secret', 400, 'invalid_request', () => ({ form: { client_secret: 'hunter2' } })],
  ['a secret alone', 401, 'invalid_client', () => ({ form: { client_secret: 'x', client_assertion: undefined } })],
  ['a resource with a fragment', 400, 'invalid_target', () => ({ form: { resource: `${sample.invoicesUrl}#x` } })],
  [
    'a resource that is too long',
    400,
    'invalid_request',
    () => ({ form: { resource: `https://x/${'x'.repeat(2048)}` } }),
  ],
  [
    'details that are too long',
    400,
    'invalid_request',
    () => ({ form: { authorization_details: JSON.stringify(details).padEnd(2049) } }),
  ],
  ['an assertion that is too long', 401, 'invalid_client', () => ({ form: { client_assertion: 'x'.repeat(16_385) } })],
  ['a client id that is too long', 401, 'invalid_client', () => ({ form: { client_id: 'x'.repeat(2049) } })],
  ['an unknown resource', 400, 'invalid_target', () => ({ form: { resource: 'https://elsewhere.example' } })],
])('refuses %s with %i %s, and mints nothing (V4, V11, V12)', async (_why, status, error, ask) => {
  const before = await minted()
  const wanted = ask()
  const wantsNonce = error === 'use_dpop_nonce'
  const answer = await (wantsNonce ? askToken : askTokenWithNonce)(world, { details, ...wanted })
  expect(answer).toMatchObject({ status, error, body: { error_description: expect.stringMatching(sentence) } })
  expect(answer.token).toBeUndefined()
  expect(answer.nonce).not.toBe('')
  expect(await minted()).toBe(before)
})

it('tells only the signer of an assertion that lives too long how long it may live', async () => {
  const exp = now() + 3600
  const told = async (ask: TokenAsk) => (await askTokenWithNonce(world, { details, ...ask })).body.error_description
  expect(await told({ assertion: { exp } })).toBe(
    'The client assertion lives too long: its exp may be at most 300 seconds from now. Sign another one.',
  )
  expect(await told({ assertion: { exp }, assertionKey: sampleKey(world.data, 'forecaster') })).not.toMatch(/too long/)
})

it('accepts a proof once, and an assertion once (V10)', async () => {
  const { nonce } = await askToken(world, { details })
  const jti = 'call_0123456789abcdefghij'
  const proofs = await Promise.all(Array.from({ length: 4 }, () => askToken(world, { details, proof: { nonce, jti } })))
  expect(proofs.filter(({ token }) => token !== undefined)).toHaveLength(1)
  expect(proofs.filter(({ error }) => error === 'invalid_dpop_proof')).toHaveLength(3)
  const assertions = await Promise.all(
    Array.from({ length: 4 }, () => askToken(world, { details, proof: { nonce }, assertion: { jti } })),
  )
  expect(assertions.filter(({ token }) => token !== undefined)).toHaveLength(1)
  expect(assertions.filter(({ error }) => error === 'invalid_client')).toHaveLength(3)
})

it.each([
  ['a parameter twice', 'grant_type=client_credentials&grant_type=password', 400],
  ['JSON', '{}', 415],
  ['more than it reads', `grant_type=${'x'.repeat(70_000)}`, 413],
  ['a broken escape', 'grant_type=%zz', 400],
  ['an empty parameter', 'grant_type=client_credentials&client_assertion=', 400],
  ['an empty unknown parameter', 'grant_type=client_credentials&x=', 400],
  ['an unknown parameter twice', 'grant_type=client_credentials&x=1&x=2', 400],
  ['an array', 'grant_type[]=client_credentials', 400],
  ['more parameters than it reads', Array.from({ length: 65 }, (_, n) => `p${n}=1`).join('&'), 400],
  ['a value longer than it reads', `grant_type=client_credentials&x=${'x'.repeat(33_000)}`, 400],
  ['no form', '', 400],
])('answers %s as OAuth clients expect', async (what, payload, status) => {
  const answer = await world.http.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { 'content-type': what === 'JSON' ? 'application/json' : 'application/x-www-form-urlencoded' },
    payload,
  })
  expect(answer.statusCode).toBe(status)
  expect(answer.json()).toMatchObject({ error: 'invalid_request', error_description: expect.stringMatching(sentence) })
  if (what.includes('twice'))
    expect(answer.json().error_description).toMatch(/: (grant_type|x): given more than once\.$/)
  expect(answer.headers['cache-control']).toBe('no-store')
})

it('reads parameters from the body only, and authentication from the assertion only (RFC 6749 §2.3)', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const query = await world.http.inject({ method: 'POST', url: '/oauth/token?grant_type=client_credentials', headers })
  expect([query.statusCode, query.json().error]).toEqual([400, 'invalid_request'])
  const basic = await world.http.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { ...headers, authorization: 'Basic aTpw' },
    payload: 'grant_type=client_credentials',
  })
  expect([basic.statusCode, basic.json().error]).toEqual([401, 'invalid_client'])
  const both = await world.http.inject({
    method: 'POST',
    url: '/oauth/token',
    headers: { ...headers, authorization: 'Basic aTpw' },
    payload:
      'grant_type=client_credentials&client_assertion=x&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer',
  })
  expect([both.statusCode, both.json().error]).toEqual([400, 'invalid_request'])
  expect(basic.headers['www-authenticate']).toBe('DPoP error="invalid_client", algs="ES256 EdDSA Ed25519"')
  expect((await world.http.inject({ method: 'GET', url: '/oauth/token' })).statusCode).toBe(405)
})

it('treats two DPoP headers as none (RFC 9449 §4.3)', async () => {
  const { nonce } = await askToken(world, { details })
  const answer = await askToken(world, { details, dpop: 'a.b.c, d.e.f', proof: { nonce } })
  expect(answer).toMatchObject({ error: 'invalid_dpop_proof' })
})

it('names an enforcement point as the audience on request (RFC 8707)', async () => {
  const { token } = await askTokenWithNonce(world, { details, form: { resource: sample.invoicesUrl } })
  expect(claimsOf(token ?? '').aud).toBe(sample.invoicesUrl)
})

it('tells a waiting, a too frequent and a denied client apart, and answers only the one that asked', async () => {
  const received = await people.ask()
  const asking = [{ type: 'bailiwick_grant', request_id: received.request_id }]
  // Until the issuer has read of the request at all.
  await eventually(async () =>
    (await askTokenWithNonce(world, { details: asking })).error === 'authorization_pending' ? true : undefined,
  )
  // Sooner than the 5 s of RFC 8628 §3.5.
  expect(await askTokenWithNonce(world, { details: asking })).toMatchObject({ status: 400, error: 'slow_down' })
  expect(await askTokenWithNonce(world, { details: asking, agent: 'forecaster' })).toMatchObject({
    error: 'invalid_authorization_details',
  })
  await world.approval.producer.publishOne('approvals.v1', {
    type: 'request.denied',
    subject: received.request_id,
    version: 2,
    data: { request_id: received.request_id, by: sample.owner },
  })
  await eventually(async () =>
    (await askTokenWithNonce(world, { details: asking })).error === 'access_denied' ? true : undefined,
  )
})

it('mints nothing while its own state is not proved fresh (V8)', async () => {
  await using other = await World.open({ issuer: { maxStalenessMs: 2000 } })
  const crowd = await People.enrolled(other)
  const grant = await crowd.grant()
  await other.issuer?.[Symbol.asyncDispose]()
  // Its routes still answer; its heads have stopped.
  await new Promise((resolve) => setTimeout(resolve, 2200))
  const answer = await askTokenWithNonce(other, { details: [{ type: 'bailiwick_grant', grant_id: grant.grantId }] })
  expect(answer).toMatchObject({ status: 503, error: 'temporarily_unavailable' })
})

it('a proof from before a restart is dead, so the lost memory of it is not needed (V10)', async () => {
  await using other = await World.open()
  const crowd = await People.enrolled(other)
  const asked = { details: [{ type: 'bailiwick_grant', grant_id: (await crowd.grant()).grantId }] }
  const { nonce } = await askToken(other, asked)
  const [now, jti] = [other.clock.now(), 'call_0123456789abcdefghij']
  const made = { htm: 'POST', htu: `${other.url}/oauth/token`, now, jti, nonce }
  const dpop = makeDpopProof(made, sampleKey(other.data, 'reconciler'))
  expect(await askToken(other, { ...asked, dpop })).toMatchObject({ status: 200 })
  expect(await askToken(other, { ...asked, dpop })).toMatchObject({ error: 'invalid_dpop_proof' })
  await other.issuer?.[Symbol.asyncDispose]()
  await other.startIssuer()
  const replayed = await eventually(async () => {
    const answer = await askToken(other, { ...asked, dpop })
    return answer.status === 503 ? undefined : answer // it has just started
  })
  expect(replayed).toMatchObject({ status: 400, error: 'use_dpop_nonce' })
  expect(replayed.nonce).not.toBe(nonce)
  expect(await askTokenWithNonce(other, asked)).toMatchObject({ status: 200 })
})

it('an issuer at another address than its installation’s does not start, because no reader would accept its credentials', async () => {
  await using other = await World.empty({ issuer: { publicUrl: 'http://localhost:1' } })
  await expect(other.startIssuer()).rejects.toMatchObject({ code: 'config_invalid' })
})
