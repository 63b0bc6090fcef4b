import { generateKey } from '@bailiwick/credentials'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentId } from './agent-side.ts'
import { keyPair, listen } from './oauth-client.ts'
import { People } from './people.ts'
import { World } from './world.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

let world: World
let people: People
let server: oauth.AuthorizationServer
beforeAll(async () => {
  world = await World.open()
  people = await People.enrolled(world)
  await listen(world)
  const found = await oauth.discoveryRequest(new URL(world.url), { algorithm: 'oauth2', ...insecure })
  server = await oauth.processDiscoveryResponse(new URL(world.url), found)
})
afterAll(() => world[Symbol.asyncDispose]())

const client: oauth.Client = { client_id: agentId() }

async function asAgent() {
  const pair = await keyPair(sampleKey(world.data, 'reconciler'))
  return { auth: oauth.PrivateKeyJwt(pair.privateKey), DPoP: oauth.DPoP(client, pair) }
}

async function asPoint() {
  const pair = await keyPair(sampleKey(world.data, 'point-caller'))
  return { point: { client_id: sample.enforcementPoint }, auth: oauth.PrivateKeyJwt(pair.privateKey) }
}

/** As its documentation says: once more when a nonce is requested. */
async function credentialBy(parameters: Record<string, string>, { auth, DPoP }: Awaited<ReturnType<typeof asAgent>>) {
  const ask = async () =>
    oauth.processClientCredentialsResponse(
      server,
      client,
      await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, { DPoP, ...insecure }),
    )
  try {
    return await ask()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return ask()
  }
}

const grantOf = (grant_id: string) => JSON.stringify([{ type: 'bailiwick_grant', grant_id }])

it('discovery lists exactly what is supported (RFC 8414)', () => {
  // Agents sign with the first three; the authorities that vouch for workloads (GitHub, Kubernetes, SPIRE) may use any.
  const assertionAlgorithms = ['ES256', 'EdDSA', 'Ed25519', 'ES384', 'ES512']
  assertionAlgorithms.push('RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512')
  expect(server).toEqual({
    issuer: world.url,
    token_endpoint: `${world.url}/oauth/token`,
    introspection_endpoint: `${world.url}/oauth/introspect`,
    revocation_endpoint: `${world.url}/oauth/revoke`,
    jwks_uri: `${world.url}/oauth/jwks`,
    response_types_supported: [],
    grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    token_endpoint_auth_methods_supported: [
      'private_key_jwt',
      'spiffe_jwt',
      'urn:bailiwick:params:oauth:client-assertion-type:join-token',
    ],
    token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    introspection_endpoint_auth_methods_supported: ['private_key_jwt'],
    introspection_endpoint_auth_signing_alg_values_supported: ['ES256'],
    revocation_endpoint_auth_methods_supported: [
      'private_key_jwt',
      'spiffe_jwt',
      'urn:bailiwick:params:oauth:client-assertion-type:join-token',
    ],
    revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
    authorization_details_types_supported: ['bailiwick_grant'],
  })
})

it('gets a credential for one API, which a generic resource server can validate on its own (RFC 9068, RFC 9449)', async () => {
  const { grantId } = await people.grant()
  const agent = await asAgent()
  const resource = sample.invoicesUrl
  const { access_token: token, token_type } = await credentialBy(
    { authorization_details: grantOf(grantId), resource },
    agent,
  )
  expect(token_type).toBe('dpop')
  // As a resource server validates it, with the very request that the client's library makes.
  const received: Request[] = []
  await oauth.protectedResourceRequest(token, 'GET', new URL(`${resource}/read`), undefined, undefined, {
    DPoP: agent.DPoP,
    ...insecure,
    [oauth.customFetch]: async (url, options) => {
      received.push(new Request(url, { method: options.method ?? 'GET', headers: options.headers ?? {} }))
      return new Response('{}')
    },
  })
  const [request] = received
  if (!request) throw new Error('no request')
  const claims = await oauth.validateJwtAccessToken(server, request, resource, insecure)
  expect(claims).toMatchObject({
    ...{ sub: agentId(), client_id: agentId(), cnf: { jkt: sampleKey(world.data, 'reconciler').kid } },
    authorization_details: [{ type: 'bailiwick_task' }],
  })
  await expect(oauth.validateJwtAccessToken(server, request, 'https://elsewhere.example', insecure)).rejects.toThrow()
  const bearer = new Request(request.url, { headers: { authorization: `Bearer ${token}` } })
  await expect(oauth.validateJwtAccessToken(server, bearer, resource, insecure)).rejects.toThrow()
})

it('can introspect and revoke its credential (RFC 7662, RFC 7009)', async () => {
  const { grantId } = await people.grant()
  const agent = await asAgent()
  const { access_token: token } = await credentialBy({ authorization_details: grantOf(grantId) }, agent)
  const { point, auth } = await asPoint()
  const isActive = async () => {
    const answer = await oauth.introspectionRequest(server, point, auth, token, insecure)
    return (await oauth.processIntrospectionResponse(server, point, answer)).active
  }
  expect(await isActive()).toBe(true)
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, agent.auth, token, insecure))
  expect(await isActive()).toBe(false)
})

it('understands our refusals', async () => {
  const agent = await asAgent()
  const code = async (parameters: Record<string, string>, by = agent) =>
    credentialBy(parameters, by).then(
      () => 'granted',
      (error: unknown) => (error instanceof oauth.ResponseBodyError ? error.error : error),
    )
  const { request_id } = await people.ask()
  const waiting = JSON.stringify([{ type: 'bailiwick_grant', request_id }])
  const { projection } = world.approval
  await projection.until(() => projection.ledger.requests.requests.get(request_id), 60_000)
  expect(await code({ authorization_details: grantOf('grt_x') })).toBe('invalid_authorization_details')
  expect(await code({})).toBe('invalid_request')
  expect(['authorization_pending', 'invalid_authorization_details']).toContain(
    await code({ authorization_details: waiting }),
  )
  const stranger = oauth.PrivateKeyJwt((await keyPair(generateKey('agent'))).privateKey)
  const refused = await code({ authorization_details: waiting }, { ...agent, auth: stranger })
  expect(refused).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
  expect(refused).toMatchObject({ cause: [{ scheme: 'dpop', parameters: { error: 'invalid_client' } }] })
})
