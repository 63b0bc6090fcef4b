import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { authority, FakeInstallation, key } from './installation.fixture.ts'
import { joinToken, type TokenSource, tokenFiles, type WorkloadAttestation, workloadKey } from './workload.ts'

const folder = mkdtempSync(join(tmpdir(), 'agent-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const ask = { authority, mode: 'window', expiresInSeconds: 3600 } as const

/** What a workload showed with a request, or the error that it threw instead. */
async function shownBy(attestation: WorkloadAttestation): Promise<unknown> {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent({ attestation })
  fake.requests = () => ({ body: { task: { id: agent.accessRequestEvent(signed).key, status: 'pending' } } })
  const signed = agent.signRequest(ask)
  await agent.request(signed)
  return JSON.parse(fake.received[0]?.text ?? '').bailiwick.attestation
}

describe('a workload', () => {
  it('shows its token and its key beside the ask that it signed', async () => {
    expect(await shownBy({ kind: 'jwt_svid', token: () => 'a.b.c' })).toEqual({ token: 'a.b.c', jwk: key.publicJwk })
  })

  it.each([
    ['jwt_svid', undefined, 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'],
    ['oidc', 'https://aud.example/', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
    ['join_token', undefined, 'urn:bailiwick:params:oauth:client-assertion-type:join-token'],
  ] as const)(
    'says who it is at the token endpoint by %s, with what it is given for that taker',
    async (kind, audience, type) => {
      await using fake = await FakeInstallation.start()
      const wanted: unknown[] = []
      const token: TokenSource = async (asked) => {
        wanted.push(asked)
        return 'for.the.issuer'
      }
      const agent = fake.agent({ attestation: { kind, token, ...(audience === undefined ? {} : { audience }) } })
      await expect(agent.credential({ grantId: 'grt_1' })).rejects.toMatchObject({ code: 'caller_unauthenticated' })
      expect(wanted).toEqual([{ taker: 'token', audience: audience ?? fake.url }])
      const form = new URLSearchParams(fake.at('/oauth/token')[0]?.text)
      expect(form.get('client_assertion_type')).toBe(type)
      expect(form.get('client_assertion')).toBe('for.the.issuer')
      expect(form.get('client_id')).toBe(agent.id)
    },
  )

  it.each<[string, TokenSource]>([
    ['fails', () => Promise.reject(new Error('secret-token'))],
    ['gives nothing', () => ''],
    ['gives two lines', () => 'secret-token\nsecret-token'],
    ['gives a book', () => 'secret-token'.repeat(2000)],
    ['has no file for this taker', tokenFiles({ token: '/nonexistent' })],
    ['has a file that is not there', tokenFiles({ 'access-requests': '/nonexistent' })],
  ])('whose source %s asks nothing, and no error quotes it (V17)', async (_, token) => {
    const refused = shownBy({ kind: 'oidc', token })
    await expect(refused).rejects.toMatchObject({ code: 'attestation_unavailable' })
    await expect(refused).rejects.not.toThrow('secret-token')
  })
})

it('a token file is read each time', async () => {
  const file = join(folder, 'token')
  const source = tokenFiles({ token: file })
  for (const token of ['first', 'second']) {
    writeFileSync(file, `${token}\n`)
    expect(await source({ taker: 'token', audience: 'any' })).toBe(token)
  }
})

it.each(['', 'one', 'one.', '.two', 'a.b.c'])('%j is no join token', (text) => {
  expect(() => joinToken(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
})

it('its key is made once a file, 0600, or in memory', () => {
  const file = join(folder, 'key.json')
  expect(workloadKey(file).kid).toBe(workloadKey(file).kid)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(workloadKey().kid).not.toBe(workloadKey().kid)
})
