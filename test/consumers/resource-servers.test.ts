import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64url, exportPrivateKey, generateKey, makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sample, sampleAuthority, sampleKey } from '@bailiwick/standalone/sample'
import { freePort } from '@bailiwick/testkit'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen, oauthClient } from '../e2e/oauth-client.ts'
import { People } from '../e2e/people.ts'
import { reconcilerOf, type SubAgent } from '../e2e/sub-agents.ts'
import { askOf } from '../e2e/workloads.ts'
import { World } from '../e2e/world.ts'
import { missingPrograms, resourceServers, run } from './programs.ts'
import { type Language, languages, programOf } from './resource-server.ts'

// Resource servers without any of our code: each validates a real credential with its ecosystem's libraries, and
// refuses the same lies.

const folder = mkdtempSync(join(tmpdir(), 'resource-servers-'))
/** Its key is Ed25519. */
const edith: SubAgent = { id: 'spiffe://bailiwick.local/agent/edith/one', key: generateKey('agent', 'EdDSA') }
const urls = {} as Record<Language, string>
let world: World
let people: People

beforeAll(async () => {
  for (const language of languages) urls[language] = `http://localhost:${await freePort()}`
  const registered = {
    id: 'spiffe://bailiwick.local/agent/edith',
    name: 'Edith',
    owner: sample.owner,
    attestor: { kind: 'registered_key' as const, keys: [{ instance: 'one', jwk: { ...edith.key.publicJwk } }] },
    labels: [],
    proactive_requests: true,
  }
  world = await World.open({
    entities: (entities) => [
      ...entities.map((each) =>
        each.type === 'enforcement-point'
          ? { ...each, value: { ...each.value, base_urls: [...each.value.base_urls, ...Object.values(urls)] } }
          : each,
      ),
      { type: 'agent', value: registered },
    ],
  })
  people = await People.enrolled(world)
  await listen(world)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const seconds = () => Math.floor(Date.now() / 1000)
const part = (value: object) => encodeBase64url(JSON.stringify(value))
const decoded = (segment = '') => JSON.parse(Buffer.from(segment, 'base64url').toString())
/** Signed by this key, with any content. */
const signed = (header: object, claims: object, key: SigningKey) => {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${encodeBase64url(key.sign(Buffer.from(input)))}`
}
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The headers that a caller sends; each as often as it is in the list. */
interface Shown {
  authorization?: string[]
  dpop?: string[]
  path?: string
}

describe.each(languages)('the resource server in %s', (language) => {
  const missing = missingPrograms().filter((each) => each.startsWith(language))
  if (process.env.CI !== 'true' && missing.length > 0) {
    it.skip(`needs ${missing.join(', ')}`)
    return
  }
  let base: string
  let how: Awaited<ReturnType<typeof programOf>>
  let server: ChildProcess
  let nonce: string
  let grantId: string
  let token: string
  let key: SigningKey<'agent'>

  async function start() {
    const [file, args] = how
    server = spawn(file, [...args, '--issuer', world.url, '--base-url', base], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    server.stderr?.on('data', (data) => {
      said += String(data)
    })
    while (!said.includes('ready')) {
      if (server.exitCode !== null) throw new Error(said)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    nonce = (await call({})).nonce
  }
  async function stop() {
    server.kill()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }

  async function call({ authorization = [], dpop = [], path = '/invoices/INV-1' }: Shown) {
    const { host } = new URL(base)
    const fields = (name: string, values: string[]) => values.flatMap((value) => [name, value])
    const headers = ['host', host, ...fields('authorization', authorization), ...fields('dpop', dpop)]
    const sent = request(`${base}${path}`, { headers })
    sent.end()
    const [answer] = await once(sent, 'response')
    let text = ''
    for await (const chunk of answer) text += String(chunk)
    return {
      status: answer.statusCode as number,
      challenge: String(answer.headers['www-authenticate'] ?? ''),
      nonce: String(answer.headers['dpop-nonce'] ?? ''),
      body: text === '' ? undefined : JSON.parse(text),
    }
  }

  const proofOf = (over: Partial<Parameters<typeof makeDpopProof>[0]> = {}, by: SigningKey<'agent'> = key) => {
    const now = Date.now()
    const jti = newId('call', now, world.random)
    const htu = `${base}/invoices/INV-1`
    return makeDpopProof({ htm: 'GET', htu, jti, now, accessToken: token, nonce, ...over }, by)
  }
  /** This token, with a proof of its own that is correct unless the caller overrides a member. */
  const shown = (text = token, over: Parameters<typeof proofOf>[0] = {}, by = key): Shown => ({
    authorization: [`DPoP ${text}`],
    dpop: [proofOf({ accessToken: text, ...over }, by)],
  })
  /** The good proof's claims, under this header, by this key. */
  const proofUnder = (header: object, by: SigningKey = key, more: object = {}): Shown => ({
    authorization: [`DPoP ${token}`],
    dpop: [signed(header, { ...decoded(proofOf().split('.')[1]), ...more }, by)],
  })

  beforeAll(async () => {
    base = urls[language]
    key = sampleKey(world.data, 'reconciler')
    grantId = (await people.grant()).grantId
    token = await credential(reconcilerOf(world), grantId)
    how = await programOf(language, folder)
    await start()
  })
  afterAll(stop)

  /** As any OAuth client gets one. */
  async function credential(of: SubAgent, grant_id: string): Promise<string> {
    const { configuration, DPoP } = await oauthClient(world, of)
    const authorization_details = JSON.stringify([{ type: 'bailiwick_grant', grant_id }])
    const asked = { authorization_details, resource: base }
    return (await client.clientCredentialsGrant(configuration, asked, { DPoP })).access_token
  }

  it('serves a generic OAuth client, nonce included', async () => {
    const { configuration, DPoP } = await oauthClient(world, reconcilerOf(world))
    const url = new URL(`${base}/invoices/INV-7?page=2`)
    const answer = await client.fetchProtectedResource(configuration, token, url, 'GET', undefined, undefined, { DPoP })
    expect(await answer.json()).toEqual({ invoice: 'INV-7', agent: reconcilerOf(world).id })
    expect(await call(shown())).toMatchObject({ status: 200, body: { invoice: 'INV-1' } })
  })

  it('serves an agent whose key is Ed25519, and no thief of its token', async () => {
    const { grantId: of } = await people.grant(askOf({ ...edith, kind: 'registered_key' }))
    const hers = await credential(edith, of)
    expect(await call(shown(hers, {}, edith.key))).toMatchObject({ status: 200, body: { agent: edith.id } })
    expect(await call(shown(hers, {}, generateKey('agent', 'EdDSA')))).toMatchObject({ status: 401 })
    expect(await call(shown(hers))).toMatchObject({ status: 401 })
  })

  it('tells a caller without credentials what it requires (RFC 9449 §7.1)', async () => {
    const answer = await call({})
    expect(answer).toMatchObject({ status: 401, challenge: expect.stringMatching(/^DPoP algs="ES256 EdDSA/) })
    expect(answer.nonce).not.toBe('')
  })

  const issuerKey = () => world.key('issuer', 'credential', 'credential')
  const forged = (claims: object, header: object = {}, by: SigningKey = issuerKey()) => {
    const [head, body] = token.split('.').map((segment, n) => (n < 2 ? decoded(segment) : {}))
    return shown(signed({ ...head, ...header }, { ...body, ...claims }, by))
  }
  const tokenParts = () => token.split('.') as [string, string, string]
  const stranger = generateKey('credential')
  const wrongTokens: [string, () => Shown][] = [
    ['a bound credential as Bearer', () => ({ authorization: [`Bearer ${token}`], dpop: [proofOf()] })],
    ['a bound credential as Bearer, alone', () => ({ authorization: [`Bearer ${token}`] })],
    ['a credential without a proof', () => ({ authorization: [`DPoP ${token}`] })],
    ['a proof without a credential', () => ({ dpop: [proofOf()] })],
    ['two credentials', () => ({ authorization: [`DPoP ${token}`, `DPoP ${token}`], dpop: [proofOf()] })],
    ['two proofs', () => ({ authorization: [`DPoP ${token}`], dpop: [proofOf(), proofOf()] })],
    ['an expired credential', () => forged({ iat: seconds() - 400, exp: seconds() - 100 })],
    ['a credential of another key', () => forged({}, { kid: stranger.kid }, stranger)],
    ["a credential of another key under the issuer's kid", () => forged({}, {}, stranger)],
    ['alg none', () => shown(`${part({ alg: 'none', typ: 'at+jwt' })}.${tokenParts()[1]}.`)],
    [
      'alg none under the kid',
      () => shown(`${part({ ...decoded(tokenParts()[0]), alg: 'none' })}.${tokenParts()[1]}.`),
    ],
    [
      'HMAC with the public key',
      () => {
        const input = `${part({ ...decoded(tokenParts()[0]), alg: 'HS256' })}.${tokenParts()[1]}`
        const secret = JSON.stringify(issuerKey().publicJwk)
        return shown(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`)
      },
    ],
    ['another kind of token', () => forged({}, { typ: 'JWT' })],
    ['a critical extension', () => forged({}, { crit: ['b64'], b64: false })],
    ['an address of keys', () => forged({}, { jku: 'http://thief.example/jwks' })],
    ['its own key in the header', () => forged({}, { jwk: stranger.publicJwk }, stranger)],
    ['a credential for another audience', () => forged({ aud: 'https://elsewhere.example' })],
    ['a credential of another issuer', () => forged({ iss: 'https://elsewhere.example' })],
    ['a credential without an expiry', () => forged({ exp: undefined })],
    ['a credential that is bound to nothing', () => forged({ cnf: undefined })],
    ['a credential without its client', () => forged({ client_id: undefined })],
    [
      'other claims under the signature',
      () =>
        shown(
          [tokenParts()[0], part({ ...decoded(tokenParts()[1]), exp: seconds() + 9000 }), tokenParts()[2]].join('.'),
        ),
    ],
    ['padding', () => shown(`${token}=`)],
    [
      'bits that decoders ignore',
      () => shown(`${token.slice(0, -1)}${alphabet[alphabet.indexOf(token.at(-1) ?? '') | 1]}`),
    ],
    ['four parts', () => shown(`${token}.x`)],
    ['no token', () => shown('x')],
  ]
  const dpop = { alg: 'ES256', typ: 'dpop+jwt' }
  const wrongProofs: [string, () => Shown][] = [
    ['a proof by another key', () => shown(token, {}, sampleKey(world.data, 'forecaster'))],
    [
      'a proof by a key that only claims to be the bound key',
      () => proofUnder({ ...dpop, jwk: key.publicJwk }, generateKey('agent')),
    ],
    ['another method', () => shown(token, { htm: 'POST' })],
    ['another path', () => shown(token, { htu: `${base}/invoices/INV-2` })],
    ['the path in other case', () => shown(token, { htu: `${base}/INVOICES/INV-1` })],
    ['another host', () => shown(token, { htu: 'http://thief.example/invoices/INV-1' })],
    ['another port', () => shown(token, { htu: 'http://localhost:1/invoices/INV-1' })],
    ['another scheme', () => shown(token, { htu: `${base.replace('http:', 'https:')}/invoices/INV-1` })],
    ['an old proof', () => shown(token, { now: Date.now() - 120_000 })],
    ['a proof from the future', () => shown(token, { now: Date.now() + 60_000 })],
    ['a proof for no credential', () => ({ ...shown(), dpop: [proofOf({ accessToken: undefined })] })],
    ['a proof for another credential', () => ({ ...shown(), dpop: [proofOf({ accessToken: `${token}x` })] })],
    ['a proof of another type', () => proofUnder({ ...dpop, typ: 'JWT', jwk: key.publicJwk })],
    ['a proof with its private key', () => proofUnder({ ...dpop, jwk: exportPrivateKey(key) })],
    ['a proof without a key', () => proofUnder(dpop)],
    ['a proof with a secret for a key', () => proofUnder({ ...dpop, alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } })],
    ['a proof without an id', () => proofUnder({ ...dpop, jwk: key.publicJwk }, key, { jti: undefined })],
    ['a proof without a time', () => proofUnder({ ...dpop, jwk: key.publicJwk }, key, { iat: undefined })],
    ['a critical extension in the proof', () => proofUnder({ ...dpop, jwk: key.publicJwk, crit: ['exp'], exp: 1 })],
    [
      'a proof of alg none',
      () => ({
        authorization: [`DPoP ${token}`],
        dpop: [`${part({ ...dpop, alg: 'none', jwk: key.publicJwk })}.${proofOf().split('.')[1]}.`],
      }),
    ],
    ['padding behind the proof', () => ({ authorization: [`DPoP ${token}`], dpop: [`${proofOf()}=`] })],
  ]

  it('refuses every invalid credential and every invalid proof (V11, V12)', async () => {
    const let_in: string[] = []
    for (const [what, make] of [...wrongTokens, ...wrongProofs]) {
      const { status, challenge } = await call(make())
      if (status !== 401 || !/^DPoP error="invalid_(token|dpop_proof)", algs=/.test(challenge))
        let_in.push(`${what}: ${status} ${challenge}`)
    }
    expect(let_in).toEqual([])
    // The originals from which they were made are valid.
    expect(await call(forged({}))).toMatchObject({ status: 200 })
    expect(await call(proofUnder({ ...dpop, jwk: key.publicJwk }))).toMatchObject({ status: 200 })
  })

  it('accepts a proof once, with the nonce of this start, in any spelling (V10)', async () => {
    const once = shown()
    expect(await call(once)).toMatchObject({ status: 200 })
    expect(await call(once)).toMatchObject({ status: 401 })
    // The same proof, signed again.
    const said = decoded(once.dpop?.[0]?.split('.')[1])
    const again = signed({ ...dpop, jwk: key.publicJwk }, said, key)
    expect(await call({ ...once, dpop: [again] })).toMatchObject({ status: 401 })
    // The issuer's nonce is true there, and nowhere else.
    const issuers = (await fetch(`${world.url}/oauth/token`, { method: 'POST' })).headers.get('dpop-nonce')
    expect(issuers).toBeTruthy()
    for (const other of [undefined, 'made-up', issuers ?? ''])
      expect(await call(shown(token, { nonce: other }))).toMatchObject({
        status: 401,
        challenge: expect.stringContaining('error="use_dpop_nonce"'),
      })
    const before = shown()
    await stop()
    await start()
    for (const stale of [once, before])
      expect(await call(stale)).toMatchObject({ challenge: expect.stringContaining('error="use_dpop_nonce"') })
    expect(await call(shown())).toMatchObject({ status: 200 })
  })

  it('lets no agent read that was only allowed to adjust', async () => {
    const permissions = sampleAuthority.permissions.slice(1)
    const { grantId: of } = await people.grant({ authority: { ...sampleAuthority, permissions } })
    const other = await credential(reconcilerOf(world), of)
    expect(await call(shown(other))).toMatchObject({ status: 403, body: { error: 'action_not_granted' } })
  })

  it('has at most 80 lines of its own beside the checks', () => {
    const server = { node: 'server.mjs', python: 'server.py', go: 'main.go' }[language]
    const lines = readFileSync(join(resourceServers, language, server), 'utf8')
      .trimEnd()
      .split('\n')
    expect(lines.length).toBeLessThanOrEqual(80)
  })

  it('accepts a credential until it expires, even after a revocation, because it makes no online check, as the docs say', async () => {
    expect(await world.revoke('grant', grantId)).toBe(200)
    expect(await call(shown())).toMatchObject({ status: 200 })
  })
})

describe.skipIf(process.env.CI !== 'true' && missingPrograms().some((each) => each.startsWith('go')))('in Go', () => {
  it('the program is formatted and vetted', async () => {
    const cwd = join(resourceServers, 'go')
    const { out: root } = await run('go', ['env', 'GOROOT'], { cwd })
    expect(await run(join(root.trim(), 'bin/gofmt'), ['-l', '.'], { cwd })).toMatchObject({ code: 0, out: '' })
    expect(await run('go', ['vet', './...'], { cwd })).toMatchObject({ code: 0 })
  }, 300_000)
})
