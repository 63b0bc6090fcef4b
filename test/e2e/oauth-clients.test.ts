import type { AddressInfo } from 'node:net'
import { generateKey } from '@bailiwick/credentials'
import { sample } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startInvoicesApi } from '../demo/invoices-api.ts'
import { Point, read } from './agent-side.ts'
import { keyPair, listen, oauthClient } from './oauth-client.ts'
import { People } from './people.ts'
import { by, passedOn, reconcilerOf, type SubAgent, sdkOf } from './sub-agents.ts'
import { Authority, askOf, aWorkload, jobAgent, podAgent } from './workloads.ts'
import { eventually, World } from './world.ts'

// Further cases for unmodified third-party clients; token.test.ts and oauth4webapi.test.ts have the plain case.

const insecure = { [oauth.allowInsecureRequests]: true }
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const authority = new Authority()
/** Its key is Ed25519. */
const edith: SubAgent = { id: 'spiffe://bailiwick.local/agent/edith/one', key: generateKey('agent', 'EdDSA') }

let world: World
let people: People
let invoicesUrl: string
let server: oauth.AuthorizationServer
beforeAll(async () => {
  const registered = {
    id: 'spiffe://bailiwick.local/agent/edith',
    name: 'Edith',
    owner: sample.owner,
    attestor: { kind: 'registered_key' as const, keys: [{ instance: 'one', jwk: { ...edith.key.publicJwk } }] },
    labels: [],
    proactive_requests: true,
  }
  invoicesUrl = `http://localhost:${await freePort()}`
  world = await World.open({
    entities: (entities) => [
      ...entities.map((each) =>
        each.type === 'enforcement-point'
          ? { ...each, value: { ...each.value, base_urls: [...each.value.base_urls, invoicesUrl] } }
          : each,
      ),
      ...authority.agents(),
      { type: 'agent', value: registered },
    ],
  })
  people = await People.enrolled(world)
  await listen(world)
  const found = await oauth.discoveryRequest(new URL(world.url), { algorithm: 'oauth2', ...insecure })
  server = await oauth.processDiscoveryResponse(new URL(world.url), found)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  authority[Symbol.dispose]()
})

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const grantOf = (grant_id: string) => JSON.stringify([{ type: 'bailiwick_grant', grant_id }])

/** A workload's token, through the extension point that both libraries offer for what they do not know. */
const workloadToken =
  (type: string, token: string): oauth.ClientAuth =>
  (_server, _client, body) => {
    body.set('client_assertion_type', `urn:ietf:params:oauth:client-assertion-type:${type}`)
    body.set('client_assertion', token)
  }

/** With oauth4webapi, once more when a nonce is requested. */
async function byOauth4webapi(
  grantType: string,
  parameters: Record<string, string>,
  auth: oauth.ClientAuth,
  of: SubAgent,
) {
  const me: oauth.Client = { client_id: of.id }
  const DPoP = oauth.DPoP(me, await keyPair(of.key))
  const ask = async () =>
    oauth.processGenericTokenEndpointResponse(
      server,
      me,
      await oauth.genericTokenEndpointRequest(server, me, auth, grantType, parameters, {
        DPoP,
        ...insecure,
      }),
    )
  try {
    return await ask()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return ask()
  }
}

it('Ed25519 keys work like any other, under the names of RFC 8037 and of RFC 9864 (V11)', async () => {
  expect(server.dpop_signing_alg_values_supported).toContain('Ed25519')
  const { grantId } = await people.grant(askOf({ ...edith, kind: 'registered_key' }))
  const { configuration, DPoP } = await oauthClient(world, edith)
  const { access_token: token } = await client.clientCredentialsGrant(
    configuration,
    { authorization_details: grantOf(grantId) },
    { DPoP },
  )
  expect(claimsOf(token)).toMatchObject({ sub: edith.id, client_id: edith.id, cnf: { jkt: edith.key.kid } })
  const call = { ...by(edith, token, read), subject: edith.id }
  expect(await new Point(world).call(call)).toMatchObject({ decision: true })
  expect(await new Point(world).call({ ...call, proofKey: generateKey('agent', 'EdDSA') })).toMatchObject({
    reason: 'proof_key_mismatch',
  })
})

it('a workload can use its JWT-SVID as a SPIFFE client assertion without a client id (draft-ietf-oauth-spiffe-client-auth)', async () => {
  expect(server.token_endpoint_auth_methods_supported).toContain('spiffe_jwt')
  const pod = aWorkload(`${podAgent}/one`)
  const { grantId } = await people.grant(askOf(pod))
  const svid = workloadToken('jwt-spiffe', authority.svid(world, pod.id))
  const details = { authorization_details: grantOf(grantId) }
  const { access_token: one } = await byOauth4webapi('client_credentials', details, svid, pod)
  // The other client uses the same token again: an SVID is cached, and has no id.
  const configuration = await client.discovery(new URL(world.url), pod.id, undefined, svid, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const DPoP = client.getDPoPHandle(configuration, await keyPair(pod.key))
  const { access_token: other } = await client.clientCredentialsGrant(configuration, details, { DPoP })
  for (const token of [one, other])
    expect(claimsOf(token)).toMatchObject({ sub: pod.id, client_id: pod.id, cnf: { jkt: pod.key.kid } })
  expect(claimsOf(one).jti).not.toBe(claimsOf(other).jti)
})

it('a job can use its OpenID provider’s token as a JWT assertion (RFC 7523 §3, RFC 7521 §4.2)', async () => {
  const job = aWorkload(`${jobAgent}/77`, 'oidc')
  const { grantId } = await people.grant(askOf(job))
  const assertion = workloadToken('jwt-bearer', authority.idToken(world, '77'))
  const asking = { authorization_details: grantOf(grantId), client_id: job.id }
  const { access_token: token } = await byOauth4webapi('client_credentials', asking, assertion, job)
  expect(claimsOf(token)).toMatchObject({ client_id: job.id, cnf: { jkt: job.key.kid } })
})

it('a sub-agent exchanges its delegation, for one API, and understands our refusals (RFC 8693, RFC 8707)', async () => {
  const { grantId } = await people.grant({ authority: passedOn })
  const resources = [invoicesUrl] as const
  const passed = { to: edith.id, key: edith.key.kid, authority: passedOn, expiresAt: world.clock.now() + 600_000 }
  const { delegation } = await sdkOf(world, reconcilerOf(world)).delegate({ of: { grantId }, ...passed, resources })
  const asking = { subject_token: delegation, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' }
  const { configuration, DPoP, pair } = await oauthClient(world, edith)
  const mine = await client.genericGrantRequest(configuration, exchange, asking, { DPoP })
  expect(mine).toMatchObject({
    token_type: 'dpop',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    authorization_details: [passedOn],
  })
  expect(mine).not.toHaveProperty('refresh_token')
  const expected = { sub: reconcilerOf(world).id, client_id: edith.id, act: { sub: edith.id }, aud: invoicesUrl }
  expect(claimsOf(mine.access_token)).toMatchObject(expected)
  // The same call again is the renewal, whichever client makes it.
  const auth = oauth.PrivateKeyJwt(pair.privateKey)
  const named = { ...asking, resource: invoicesUrl, requested_token_type: String(mine.issued_token_type) }
  const again = await byOauth4webapi(exchange, named, auth, edith)
  expect(claimsOf(again.access_token)).toMatchObject(expected)

  const refusals: [string, Record<string, string>][] = [
    ['invalid_target', { resource: world.url }],
    ['invalid_target', { resource: 'https://elsewhere.example' }],
    ['invalid_request', { audience: invoicesUrl }],
    ['invalid_request', { scope: 'all' }],
    ['invalid_request', { actor_token: delegation, actor_token_type: asking.subject_token_type }],
    ['invalid_request', { authorization_details: grantOf(grantId) }],
    ['invalid_request', { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }],
    ['invalid_request', { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
    ['invalid_request', { subject_token: mine.access_token }],
    ['invalid_request', { subject_token: 'x' }],
  ]
  for (const [code, wrong] of refusals) {
    const error = await byOauth4webapi(exchange, { ...asking, ...wrong }, auth, edith).catch((e: unknown) => e)
    expect([wrong, error instanceof oauth.ResponseBodyError && error.error]).toEqual([wrong, code])
  }
})

it('an enforcement point asks an unmodified client for a nonce, and serves it; it serves no Bearer request (RFC 9449 §7, §9, V11)', async () => {
  const { grantId } = await people.grant()
  const pair = await keyPair(reconcilerOf(world).key)
  // The client's clock is late: a decision point that has just started requests a nonce for any proof that may be older
  // than its memory.
  const late = { [client.clockSkew]: -30 }
  const auth = client.PrivateKeyJwt({ key: pair.privateKey })
  const settings = { algorithm: 'oauth2' as const, execute: [client.allowInsecureRequests] }
  const configuration = await client.discovery(new URL(world.url), reconcilerOf(world).id, late, auth, settings)
  const answers: number[] = []
  configuration[client.customFetch] = async (url, options) => {
    const answer = await fetch(url, options as RequestInit)
    if (url.startsWith(invoicesUrl)) answers.push(answer.status)
    return answer
  }
  const DPoP = client.getDPoPHandle(configuration, pair)
  const asked = { authorization_details: grantOf(grantId), resource: invoicesUrl }
  const { access_token: token } = await client.clientCredentialsGrant(configuration, asked, { DPoP })

  const { http } = await world.startPdp()
  await http.listen({ port: 0, host: 'localhost' })
  const { port } = http.server.address() as AddressInfo
  await using invoices = await startInvoicesApi(
    { data: world.data, trust: world.trust, url: world.url, invoicesUrl },
    {
      timeoutMs: 20_000,
      fetch: (url, init) => fetch(String(url).replace(world.url, `http://localhost:${port}`), init),
    },
  )
  const call = (more: object) => {
    const headers = new Headers({ 'content-type': 'application/json' })
    const body = JSON.stringify({ invoice: 'INV-1' })
    return client.fetchProtectedResource(
      configuration,
      token,
      new URL(`${invoicesUrl}/read`),
      'POST',
      body,
      headers,
      more,
    )
  }
  expect(await (await call({ DPoP })).json()).toMatchObject({ invoice: 'INV-1' })
  expect(answers).toEqual([401, 200])
  const refused = await call({}).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(client.WWWAuthenticateChallengeError)
  expect(refused).toMatchObject({ cause: [{ scheme: 'dpop', parameters: { algs: 'ES256 EdDSA Ed25519' } }] })
  expect(invoices.ledger.effects.read).toBe(1)
})

it('a client that asks before the decision must wait, then wait longer, and finally learns of the denial (RFC 8628 §3.5)', async () => {
  const { request_id } = await people.ask(askOf({ ...edith, kind: 'registered_key' }))
  const { configuration, DPoP } = await oauthClient(world, edith)
  const details = JSON.stringify([{ type: 'bailiwick_grant', request_id }])
  const code = async () =>
    client.clientCredentialsGrant(configuration, { authorization_details: details }, { DPoP }).then(
      () => 'granted',
      (error: unknown) => (error instanceof client.ResponseBodyError ? error.error : String(error)),
    )
  await eventually(async () => (await code()) === 'authorization_pending' || undefined)
  expect(await code()).toBe('slow_down')
  await world.approval.producer.publishOne('approvals.v1', {
    type: 'request.denied',
    subject: request_id,
    version: 2,
    data: { request_id, by: sample.owner },
  })
  await eventually(async () => (await code()) === 'access_denied' || undefined)
})
