import { randomBytes } from 'node:crypto'
import { verifyRegistration } from '@bailiwick/approval-statement'
import { generateKey, jcsHash, type SigningKey, signAccessToken, signClientAssertion } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { softwarePasskey } from '@bailiwick/testkit'
import * as client from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId, askTokenWithNonce, credentialFor, Point, read } from './agent-side.ts'
import { shortLived } from './granted.ts'
import { listen, oauthClient } from './oauth-client.ts'
import { People } from './people.ts'
import { changeRegistry } from './registry-change.ts'
import { eventually, World } from './world.ts'

const auditorKey = generateKey('auditor')
let world: World
let people: People
beforeAll(async () => {
  const auditor = { id: 'siem', name: 'The SIEM', jwk: { ...auditorKey.publicJwk } }
  world = await World.open({ entities: (entities) => [...entities, { type: 'auditor', value: auditor }] })
  people = await People.enrolled(world)
  await listen(world)
})
afterAll(() => world[Symbol.asyncDispose]())

const point = () => ({ id: sample.enforcementPoint, key: sampleKey(world.data, 'point-caller') })
const auditor = () => ({ id: 'siem', key: auditorKey })

interface Reader {
  id: string
  key: SigningKey<'pep-caller' | 'auditor' | 'agent'>
}

/** `POST /oauth/introspect`, correct unless the caller overrides a member. */
async function ask(
  token: string | undefined,
  reader: Reader,
  more: { assertion?: object; form?: Record<string, string | undefined>; path?: string; headers?: object } = {},
) {
  const { clock, random, url } = world
  const iat = Math.floor(clock.now() / 1000)
  const claims = {
    iss: reader.id,
    sub: reader.id,
    aud: url,
    iat,
    exp: iat + 60,
    jti: newId('call', clock.now(), random),
  }
  const form = {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: signClientAssertion({ ...claims, ...more.assertion }, reader.key),
    token,
    ...more.form,
  }
  const sent = Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const answer = await world.http.inject({
    method: 'POST',
    url: more.path ?? '/oauth/introspect',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...more.headers },
    payload: new URLSearchParams(sent).toString(),
  })
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() }
}
const holder = (name: (typeof sample.agents)[number] = 'reconciler') => ({
  id: agentId(name),
  key: sampleKey(world.data, name),
})
const giveBack = (token: string, more: Parameters<typeof ask>[2] = {}, by: Reader = holder()) =>
  ask(token, by, { path: '/oauth/revoke', ...more })
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const isActive = async (token: string) => (await ask(token, auditor())).body.active

it('lets a generic OAuth client introspect a credential and revoke it (RFC 7662, RFC 7009)', async () => {
  const { grantId } = await people.grant()
  const agent = await oauthClient(world)
  const details = JSON.stringify([{ type: 'bailiwick_grant', grant_id: grantId }])
  const { access_token: token } = await client.clientCredentialsGrant(
    agent.configuration,
    { authorization_details: details },
    { DPoP: agent.DPoP },
  )
  for (const reader of [point(), auditor()]) {
    const { configuration } = await oauthClient(world, reader)
    const seen = await client.tokenIntrospection(configuration, token, { token_type_hint: 'access_token' })
    expect(seen).toEqual({ active: true, token_type: 'DPoP', ...claimsOf(token) })
    expect(seen).toMatchObject({
      ...{
        iss: world.url,
        sub: agentId(),
        client_id: agentId(),
        cnf: { jkt: sampleKey(world.data, 'reconciler').kid },
      },
      authorization_details: [{ type: 'bailiwick_task' }],
    })
  }
  await client.tokenRevocation(agent.configuration, token)
  const { configuration } = await oauthClient(world, point())
  expect(await client.tokenIntrospection(configuration, token)).toEqual({ active: false })
  // Revoking it again is no error, and declares nothing.
  await client.tokenRevocation(agent.configuration, token)
  expect((await world.revocations()).filter(({ data }) => data.target === claimsOf(token).jti)).toMatchObject([
    { data: { kind: 'credential', by: { kind: 'agent', id: agentId() } } },
  ])
})

it('a credential revoked by its holder is dead at the decision point too, and its grant is not (V7)', async () => {
  const { grantId } = await people.grant()
  const [credential, other] = [await credentialFor(world, grantId), await credentialFor(world, grantId)]
  const calls = new Point(world)
  expect(await calls.call({ credential, ...read })).toMatchObject({ decision: true })
  expect(await giveBack(credential)).toMatchObject({
    status: 200,
    body: undefined,
    headers: { 'cache-control': 'no-store' },
  })
  await eventually(async () => (await calls.call({ credential, ...read })).reason === 'credential_revoked' || undefined)
  expect(await isActive(credential)).toBe(false)
  expect(await isActive(other)).toBe(true)
  expect(await calls.call({ credential: other, ...read })).toMatchObject({ decision: true })
})

it.each<[what: string, end: (grant: { grantId: string; requestId: string }) => Promise<unknown>]>([
  ['withdrawn by a person', ({ requestId }) => people.withdraw(requestId)],
  [
    'revoked by the operator',
    ({ grantId }) =>
      world.operator.inject({
        method: 'POST',
        url: '/operator/revocations',
        payload: { kind: 'grant', target: grantId },
      }),
  ],
])('a credential is inactive once its grant is %s, and stays inactive (V7)', async (_, end) => {
  const grant = await people.grant()
  const credential = await credentialFor(world, grant.grantId)
  expect(await isActive(credential)).toBe(true)
  await end(grant)
  await eventually(async () => !(await isActive(credential)) || undefined)
  expect(await isActive(credential)).toBe(false)
})

it('a credential ends with its grant, and is inactive then', async () => {
  const { credential, statement } = await shortLived({ world, people }, { seconds: 4 })
  expect(claimsOf(credential).exp * 1000).toBeLessThanOrEqual(Date.parse(statement.not_after))
  await eventually(async () => !(await isActive(credential)) || undefined)
})

it('any token that cannot be verified completely is inactive (V3, V4, V12, V13)', async () => {
  const { grantId } = await people.grant()
  const good = await credentialFor(world, grantId)
  const claims = claimsOf(good)
  const key = world.key('issuer', 'credential', 'credential')
  const [head, body, signature = ''] = good.split('.')
  const tokens: Record<string, string> = {
    'no token at all': 'x',
    'a reference': 'crd_01M87GBGBGE3RS2T5YNVYK3SAM',
    'the hash of one': jcsHash(good),
    'no signature': `${head}.${body}.`,
    'another spelling': `${good}=`,
    'never intended': signAccessToken({ ...claims, jti: newId('crd', world.clock.now(), world.random) }, key),
    'for another key than recorded': signAccessToken({ ...claims, cnf: { jkt: generateKey('agent').kid } }, key),
    'for another audience than recorded': signAccessToken({ ...claims, aud: sample.invoicesUrl }, key),
    'longer than intended': signAccessToken({ ...claims, exp: claims.exp + 1 }, key),
    'of another agent': signAccessToken({ ...claims, sub: agentId('forecaster') }, key),
    'of an authority that was never approved': signAccessToken(
      { ...claims, authorization_details: [{ ...sampleAuthority, budget: { calls: 1_000_000 }, max_depth: 8 }] },
      key,
    ),
    'of another mode': signAccessToken({ ...claims, grant: { ...claims.grant, mode: 'continuous' } }, key),
    'of another request': signAccessToken(
      { ...claims, grant: { ...claims.grant, request: newId('req', world.clock.now(), world.random) } },
      key,
    ),
    'of another issuer': signAccessToken({ ...claims, iss: 'https://elsewhere.example' }, key),
    'through a sub-agent that was never named': signAccessToken(
      { ...claims, act: { sub: agentId('forecaster') } },
      key,
    ),
    'a client assertion': signClientAssertion(
      { iss: agentId(), sub: agentId(), aud: world.url, exp: claims.exp, jti: 'x' },
      sampleKey(world.data, 'reconciler'),
    ),
    'cut short': good.slice(0, -10),
    'a signature of zeros': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'four parts': `${good}.${signature}`,
  }
  for (const [what, token] of Object.entries(tokens))
    expect([what, (await ask(token, auditor())).body]).toEqual([what, { active: false }])
  expect(await isActive(good)).toBe(true)
})

it('tells a point nothing about tokens for other audiences', async () => {
  const { grantId } = await people.grant()
  const details = [{ type: 'bailiwick_grant', grant_id: grantId }]
  const { token = '' } = await askTokenWithNonce(world, { details, form: { resource: sample.invoicesUrl } })
  expect((await ask(token, point())).body).toMatchObject({ active: true, aud: sample.invoicesUrl })
  const elsewhere = { ...point(), id: 'elsewhere' }
  expect((await ask(token, elsewhere)).status).toBe(401)
})

it.each<[who: string, reader: () => Reader, more?: () => Parameters<typeof ask>[2]]>([
  ['an agent', holder],
  ['a point with the key of an agent', () => ({ ...point(), key: sampleKey(world.data, 'reconciler') })],
  ['a point with the key of an auditor', () => ({ ...point(), key: auditorKey })],
  ['an auditor with the key of a point', () => ({ ...auditor(), key: point().key })],
  ['an unregistered reader', () => ({ id: 'nobody', key: auditorKey })],
  ['a reader that claims to be another', auditor, () => ({ form: { client_id: sample.enforcementPoint } })],
  ['an assertion for another server', auditor, () => ({ assertion: { aud: 'https://elsewhere.example' } })],
  [
    'an assertion that is valid for an hour',
    auditor,
    () => ({ assertion: { exp: Math.floor(world.clock.now() / 1000) + 3600 } }),
  ],
  ['who has a secret', auditor, () => ({ form: { client_assertion: undefined, client_secret: 'hunter2' } })],
  [
    'an agent that sends its credential',
    auditor,
    () => ({ form: { client_assertion: undefined }, headers: { authorization: 'Bearer x' } }),
  ],
  [
    'the assertion of a SPIFFE workload',
    auditor,
    () => ({ form: { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe' } }),
  ],
])('answers nothing to %s (V12)', async (_, reader, more) => {
  const { grantId } = await people.grant()
  const token = await credentialFor(world, grantId)
  const answer = await ask(token, reader(), more?.())
  expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
  expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_client"/)
  expect(answer.headers['cache-control']).toBe('no-store')
})

it('accepts its own URL as the audience, besides the issuer and the token endpoint (RFC 7523 §3)', async () => {
  const { grantId } = await people.grant()
  const audiences = (own: string) => ['', '/oauth/token', own].map((path) => ({ assertion: { aud: world.url + path } }))
  for (const named of audiences('/oauth/introspect'))
    expect(await ask('x', auditor(), named)).toMatchObject({ status: 200, body: { active: false } })
  for (const named of audiences('/oauth/revoke')) {
    const token = await credentialFor(world, grantId)
    expect(await giveBack(token, named)).toMatchObject({ status: 200 })
    expect(await isActive(token)).toBe(false)
  }
  const exchanged = [
    ask('x', auditor(), audiences('/oauth/revoke')[2]),
    giveBack('x', audiences('/oauth/introspect')[2]),
  ]
  for (const answer of await Promise.all(exchanged)) expect(answer).toMatchObject({ status: 401 })
})

it('tells a reader how long its assertion may live', async () => {
  const assertion = { exp: Math.floor(world.clock.now() / 1000) + 3600 }
  expect((await ask('x', auditor(), { assertion })).body.error_description).toMatch(/at most 300 seconds from now/)
})

it('accepts an assertion once, and says what a form lacks (RFC 6749 §5.2)', async () => {
  const jti = newId('call', world.clock.now(), world.random)
  expect(await ask('x', auditor(), { assertion: { jti } })).toMatchObject({ status: 200, body: { active: false } })
  expect(await ask('x', auditor(), { assertion: { jti } })).toMatchObject({ status: 401 })
  for (const path of ['/oauth/introspect', '/oauth/revoke']) {
    const who = path.endsWith('revoke') ? holder() : auditor()
    expect(await ask(undefined, who, { path })).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
    expect(await ask('', who, { path })).toMatchObject({ status: 400, body: { error: 'invalid_request' } })
    expect(await ask('x', who, { path: `${path}?token=x` })).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    })
    const twice = { method: 'POST' as const, url: path, payload: 'token=a&token=b' }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await world.http.inject({ ...twice, headers })).json()).toMatchObject({ error: 'invalid_request' })
  }
})

it('lets only its holder revoke a credential, and reveals nothing about others (V11, V12)', async () => {
  const { grantId } = await people.grant()
  const credential = await credentialFor(world, grantId)
  expect(await giveBack(credential, {}, holder('forecaster'))).toMatchObject({
    status: 400,
    body: { error: 'invalid_grant' },
  })
  expect(await giveBack(credential, {}, auditor())).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
  expect(await giveBack(credential, {}, point())).toMatchObject({ status: 401 })
  expect(await giveBack(credential, { headers: { dpop: 'a.b.c' } })).toMatchObject({
    status: 400,
    body: { error: 'invalid_dpop_proof' },
  })
  for (const unknown of ['x', 'a.b.c', `${credential}x`, JSON.stringify(sampleAuthority)])
    expect(await giveBack(unknown)).toMatchObject({ status: 200, body: undefined })
  const targets = (await world.revocations()).map(({ data }) => data.target)
  expect(targets.filter((target) => [grantId, claimsOf(credential).jti].includes(target))).toEqual([])
  expect(await isActive(credential)).toBe(true)
})

// This test is last, because it replaces the passkey with which all grants of this file were approved.
it('a revoked approver’s grants stay dead everywhere after the passkey that signed them leaves the registry (V7)', async () => {
  const { grantId } = await people.grant()
  const credential = await credentialFor(world, grantId)
  const calls = new Point(world)
  const mint = () => askTokenWithNonce(world, { details: [{ type: 'bailiwick_grant', grant_id: grantId }] })
  const atEveryDoor = async () => [
    await isActive(credential),
    (await mint()).error,
    (await calls.call({ credential, ...read })).reason,
  ]
  const preview = async () =>
    (
      await world.operator.inject({
        method: 'POST',
        url: '/operator/revocations/preview',
        payload: { kind: 'grant', target: grantId },
      })
    ).json()
  expect(await world.revoke('approver', sample.owner, 20_000)).toBe(200)
  expect(await atEveryDoor()).toEqual([false, 'access_denied', 'approver_revoked'])

  // The stolen passkey is replaced by another one, as people do next.
  const passkey = softwarePasskey({ rpId: 'localhost', origin: world.url })
  const challenge = randomBytes(32)
  const made = await verifyRegistration({
    response: passkey.register(challenge),
    challenge: challenge.toString('base64url'),
    rpId: 'localhost',
    origins: [world.url],
  })
  if (!made.ok) throw new Error(made.detail)
  const { registry } = world.approval.projection.ledger
  const before = registry.record('approver', sample.owner)
  if (!before?.value) throw new Error('no approver')
  const value = { ...before.value, credentials: [{ ...made.passkey, registered_at: new Date().toISOString() }] }
  const version = before.version + 1
  const change = { type: 'approver', id: sample.owner, version, before: before.hash, value } as const
  await changeRegistry({ world, people }, change as never)
  const folded = [world.approval, world.pdp.pdp].map(({ projection }) => projection.ledger.registry)
  await eventually(
    () => folded.every((each) => each.record('approver', sample.owner)?.version === version) || undefined,
  )

  expect(await atEveryDoor()).toEqual([false, 'access_denied', 'approver_revoked'])
  expect(await preview()).toMatchObject({ grant_count: 0, credentials: 0 })
})

it('a reader’s assertion counts once, even if the issuer restarts in between (V10)', async () => {
  const jti = newId('call', world.clock.now(), world.random)
  // With a clock as far ahead as is allowed.
  const now = Math.floor(world.clock.now() / 1000)
  const assertion = { jti, iat: now + 4, exp: now + 300 }
  expect((await ask('x', auditor(), { assertion })).status).toBe(200)
  await world.issuer?.[Symbol.asyncDispose]()
  await world.startIssuer()
  expect(await ask('x', auditor(), { assertion })).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  // An assertion without a creation time is refused too while it may be that old.
  const untold = { ...assertion, jti: `${jti}2`, iat: undefined }
  expect((await ask('x', auditor(), { assertion: untold })).status).toBe(503)
})
