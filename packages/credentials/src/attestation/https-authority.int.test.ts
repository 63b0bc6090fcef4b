import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Attestors } from './attestors.ts'
import { Authority, agentId, anAgent, audience, seconds } from './authority.fixture.ts'
import { answerWithinMs, maxAnswerBytes } from './fetch-bytes.ts'
import { HttpsAuthority } from './https-authority.fixture.ts'
import { retryMs } from './key-source.ts'

const now = Date.now()
const trusted = getCACertificates('default')
const spire = await Authority.open()
let server: HttpsAuthority
beforeAll(async () => {
  server = await HttpsAuthority.start()
  setDefaultCACertificates([...trusted, server.ca])
})
afterAll(async () => {
  setDefaultCACertificates(trusted)
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  server.answers.clear()
  server.asked.length = 0
})

/** Attestors as in a service, with the platform's own fetch, and their verdict on a token. */
function attestors() {
  let at = 1_000_000
  const all = new Attestors({ clock: { monotonic: () => at } })
  const attest = async (attestor: Parameters<typeof anAgent>[0], token: string) => {
    const agent = anAgent(attestor)
    const attested = await all.attest(token, { agent, audiences: [audience], now, key: 'a-key' })
    return attested.ok ? attested.instance : attested.code
  }
  const pass = (ms: number) => {
    at += ms
  }
  return { attest, pass }
}

const svid = (authority = spire) =>
  authority.sign({ sub: `${agentId}/one`, aud: [audience], iat: seconds(now), exp: seconds(now) + 300 }, { typ: 'JWT' })
const idToken = (issuer: string) =>
  spire.sign({ iss: issuer, sub: 'job', aud: audience, run: '7', iat: seconds(now), exp: seconds(now) + 300 })
const bundleAt = (path: string) => ({ kind: 'jwt_svid', bundle: { url: `${server.url}${path}` } }) as const
const oidcAt = (issuer: string, jwks?: { url: string }) =>
  ({
    kind: 'oidc',
    issuer,
    audience,
    claims: { '/sub': 'job' },
    instance_claim: '/run',
    ...(jwks ? { jwks } : {}),
  }) as const

describe('over https', () => {
  it('a trust bundle is read, and read again when a token names a key that it did not have', async () => {
    const next = await Authority.open('authority-2')
    let bundle = spire.set('jwt-svid')
    server.serve('/bundle', () => bundle)
    const { attest, pass } = attestors()
    expect(await attest(bundleAt('/bundle'), await svid())).toBe(`${agentId}/one`)
    bundle = next.set('jwt-svid')
    expect(await attest(bundleAt('/bundle'), await svid(next))).toBe('key_unknown')
    expect(server.asked).toHaveLength(1) // not twice within 30 s
    pass(retryMs)
    expect(await attest(bundleAt('/bundle'), await svid(next))).toBe(`${agentId}/one`)
    expect(await attest(bundleAt('/bundle'), await svid())).toBe('key_unknown') // the authority withdrew this key
    expect(server.asked).toHaveLength(2)
  })

  it('a provider’s keys are found by OpenID Connect Discovery', async () => {
    const issuer = `${server.url}/tenant`
    server.serve('/tenant/.well-known/openid-configuration', () =>
      JSON.stringify({ issuer, jwks_uri: `${server.url}/keys` }),
    )
    server.serve('/keys', () => spire.set('sig'))
    expect(await attestors().attest(oidcAt(issuer), await idToken(issuer))).toBe(`${agentId}/7`)
    expect(server.asked).toEqual(['/tenant/.well-known/openid-configuration', '/keys'])
  })

  it.each<[string, (issuer: string) => object]>([
    ['of another issuer', () => ({ issuer: 'https://elsewhere.example', jwks_uri: `${server.url}/keys` })],
    ['that names keys without TLS', (issuer) => ({ issuer, jwks_uri: `http://localhost:${server.port}/keys` })],
    ['that names a file', (issuer) => ({ issuer, jwks_uri: 'file:///etc/passwd' })],
    ['that names no keys', (issuer) => ({ issuer })],
  ])('a discovery document %s is none', async (_, document) => {
    server.serve('/.well-known/openid-configuration', () => JSON.stringify(document(server.url)))
    server.serve('/keys', () => spire.set('sig'))
    expect(await attestors().attest(oidcAt(server.url), await idToken(server.url))).toBe('attestation_unavailable')
    expect(server.asked).not.toContain('/keys')
  })

  it('a redirect is not followed, wherever it stands', async () => {
    const issuer = server.url
    server.serve('/elsewhere', () => spire.set())
    server.redirect('/bundle', '/elsewhere')
    server.redirect('/.well-known/openid-configuration', `${server.url}/elsewhere`)
    server.redirect('/keys', '/elsewhere')
    const { attest } = attestors()
    expect(await attest(bundleAt('/bundle'), await svid())).toBe('attestation_unavailable')
    expect(await attest(oidcAt(issuer), await idToken(issuer))).toBe('attestation_unavailable')
    const jwks = { url: `${server.url}/keys` }
    expect(await attest(oidcAt(issuer, jwks), await idToken(issuer))).toBe('attestation_unavailable')
    expect(server.asked).toEqual(['/bundle', '/.well-known/openid-configuration', '/keys'])
  })

  it('leaves an endless answer after 1 MiB, even if its header states less', async () => {
    let sent = 0
    const gone = Promise.withResolvers<void>()
    server.answers.set('/bundle', (_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 32))) sent += 65_536
      }
      response.on('drain', more).on('close', () => gone.resolve())
      more()
    })
    expect(await attestors().attest(bundleAt('/bundle'), await svid())).toBe('attestation_unavailable')
    await gone.promise
    expect(sent).toBeLessThan(64 * maxAnswerBytes)
  })

  it('an answer that trickles is left after 5 s, all of them together', async () => {
    server.answers.set('/bundle', (_, response) => {
      response.writeHead(200).write('{')
      const trickle = setInterval(() => response.write(' '), 500)
      response.on('close', () => clearInterval(trickle))
    })
    const before = performance.now()
    expect(await attestors().attest(bundleAt('/bundle'), await svid())).toBe('attestation_unavailable')
    const took = performance.now() - before
    expect(took).toBeGreaterThan(answerWithinMs - 100)
  })

  it('refuses a certificate of another name, or of an authority that it does not trust', async () => {
    await using stranger = await HttpsAuthority.start()
    for (const each of [server, stranger]) each.serve('/bundle', () => spire.set('jwt-svid'))
    const { attest } = attestors()
    const at = (url: string) => ({ kind: 'jwt_svid', bundle: { url } }) as const
    expect(await attest(at(`https://127.0.0.1:${server.port}/bundle`), await svid())).toBe('attestation_unavailable')
    expect(await attest(at(`${stranger.url}/bundle`), await svid())).toBe('attestation_unavailable')
    expect([...server.asked, ...stranger.asked]).toEqual([])
  })

  it('NODE_EXTRA_CA_CERTS is how a process comes to trust one', async () => {
    server.serve('/bundle', () => spire.set('jwt-svid'))
    const script = `
      import { fetchBytes } from ${JSON.stringify(join(import.meta.dirname, 'fetch-bytes.ts'))}
      const read = await fetchBytes(${JSON.stringify(`${server.url}/bundle`)}, fetch).then((b) => b.length, (e) => e.code)
      console.log(read)`
    const run = async (env: Record<string, string>) =>
      (
        await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
          env,
          timeout: 120_000,
        })
      ).stdout.trim()
    expect(await run({ NODE_EXTRA_CA_CERTS: server.caFile })).toBe(String(spire.set('jwt-svid').length))
    expect(await run({})).toBe('attestation_unavailable')
  })
})
