import { randomBytes } from 'node:crypto'
import { generateKey, type SigningKey, signClientAssertion } from '@bailiwick/credentials'
import { testClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import { told } from '../trace/story.fixture.ts'
import { Readers, type ReadersOptions } from './readers.ts'

const audience = 'bailiwick.local/ins_0123'
const key = generateKey('auditor')

function readers(over: Partial<ReadersOptions> = {}) {
  const clock = testClock()
  const auditorKey = (id: string) => (id === 'console' ? key.publicJwk : undefined)
  const all = new Readers({ clock, audience, logPublic: true, auditorKey, ...over })
  all.begin({ isFirst: true })
  const work = async () => 'read'
  const from = (ip: string, cost = 10, authorization?: string) =>
    all.read({ caller: ip, headers: { authorization } }, cost, work).catch((error: { code: string }) => error.code)
  return { clock, all, from }
}

function assertion(over: Partial<Parameters<typeof signClientAssertion>[0]> = {}, by: SigningKey<'auditor'> = key) {
  const iat = testClock().now() / 1000
  const jti = randomBytes(16).toString('base64url')
  const claims = { iss: 'console', sub: 'console', aud: audience, iat, exp: iat + 60, jti, ...over }
  return `Bearer ${signClientAssertion(claims, by)}`
}

async function replayed(times: number, ask: () => Promise<string>): Promise<{ answers: Set<string> }> {
  return { answers: new Set(await Promise.all(Array.from({ length: times }, ask))) }
}

async function answered(times: number, ask: (n: number) => Promise<string>): Promise<number> {
  const answers: string[] = []
  for (let n = 0; n < times; n++) answers.push(await ask(n))
  expect(new Set(answers)).toEqual(new Set(answers.includes('read') ? ['read', 'rate_limited'] : ['rate_limited']))
  return answers.filter((answer) => answer === 'read').length
}

describe('who reads past the machine (V18)', () => {
  it('bounds what one address may have read, and again after it rested', async () => {
    const { clock, from } = readers()
    expect(await answered(50, () => from('192.0.2.1'))).toBe(20)
    expect(await from('192.0.2.2')).toBe('read')
    clock.advance(2000)
    expect(await answered(10, () => from('192.0.2.1'))).toBe(2)
  })

  it('bounds what all strangers together may have read, however many addresses they have', async () => {
    const { from } = readers()
    expect(await answered(200, (n) => from(`192.0.2.${n}`))).toBe(40)
  })

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8::2', true],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
    ['fe80::1%eth0', 'fe80::2%eth0', true],
  ])('takes %s and %s for one caller: %s', async (one, other, same) => {
    const { from } = readers()
    await answered(21, () => from(one))
    expect(await from(other)).toBe(same ? 'rate_limited' : 'read')
  })

  it('has few reads of strangers going on at once', async () => {
    const { all } = readers()
    const { promise, resolve } = Promise.withResolvers<string>()
    const read = (n: number) => all.read({ caller: `192.0.2.${n}`, headers: {} }, 1, () => promise)
    const running = Array.from({ length: 20 }, (_, n) => read(n).catch((error: { code: string }) => error.code))
    resolve('read')
    const answers = await Promise.all(running)
    expect(answers.filter((answer) => answer === 'read')).toHaveLength(8)
    expect(await read(1)).toBe('read')
  })

  it('lets an auditor read what strangers may not, and what they used up', async () => {
    const closed = readers({ logPublic: false })
    expect(await closed.from('192.0.2.1')).toBe('caller_unauthenticated')
    expect(await closed.from('192.0.2.1', 10, assertion())).toBe('read')
    const open = readers()
    await answered(200, (n) => open.from(`192.0.2.${n}`))
    expect(await open.from('192.0.2.1', 10, assertion())).toBe('read')
    expect(await answered(60, () => open.from('192.0.2.1', 10, assertion()))).toBe(39)
  })

  it('takes an assertion once: who saw it reads nothing by it, and uses up nothing of the auditor (V10)', async () => {
    const { clock, from } = readers({ logPublic: false })
    const seen = assertion()
    expect(await from('192.0.2.1', 10, seen)).toBe('read')
    const { answers } = await replayed(70, () => from('192.0.2.66', 10, seen))
    expect(answers).toEqual(new Set(['token_replayed']))
    // Up to the last ms in which the assertion would be accepted.
    clock.advance(64_999)
    expect(await from('192.0.2.66', 10, seen)).toBe('token_replayed')
    clock.advance(2)
    expect(await from('192.0.2.66', 10, seen)).toBe('caller_unauthenticated')
    const iat = clock.now() / 1000
    const now = { iat: Math.floor(iat), exp: Math.floor(iat) + 60 }
    expect(await answered(60, () => from('192.0.2.1', 10, assertion(now)))).toBe(40)
  })

  it('accepts any valid assertion when no instance ran before it', async () => {
    const { clock, from } = readers()
    const iat = clock.now() / 1000
    for (const made of [iat - 1, undefined, iat, iat + 4])
      expect(await from('192.0.2.1', 1, assertion({ iat: made }))).toBe('read')
  })

  it('takes none that the one before it may have taken, whose maker may be ahead of its clock (V10)', async () => {
    const { clock, all, from } = readers()
    const taken = assertion({ iat: clock.now() / 1000 + 4, jti: 'taken-by-the-one-before' })
    clock.advance(1000)
    all.begin({ isFirst: false })
    expect(await from('192.0.2.66', 1, taken)).toBe('service_unready')
    const now = () => clock.now() / 1000
    expect(await from('192.0.2.1', 1, assertion({ iat: now(), exp: now() + 60 }))).toBe('service_unready')
    expect(await from('192.0.2.1', 1, assertion({ iat: undefined, exp: now() + 300 }))).toBe('service_unready')
    clock.advance(6000)
    expect(await from('192.0.2.66', 1, taken)).toBe('service_unready')
    expect(await from('192.0.2.1', 1, assertion({ iat: now(), exp: now() + 60 }))).toBe('read')
  })

  it('takes none while it stands by (V10)', async () => {
    const clock = testClock()
    const all = new Readers({ clock, audience, logPublic: true, auditorKey: () => key.publicJwk })
    const asked = all.read({ caller: '192.0.2.1', headers: { authorization: assertion() } }, 1, async () => 'read')
    await expect(asked).rejects.toMatchObject({ code: 'service_unready' })
  })

  it.each([
    ['another key', () => assertion({}, generateKey('auditor'))],
    ['another audience', () => assertion({ aud: 'https://issuer.example' })],
    ['an unregistered name', () => assertion({ iss: 'mallory', sub: 'mallory' })],
    [
      'a minute that went by',
      () => assertion({ iat: testClock().now() / 1000 - 90, exp: testClock().now() / 1000 - 30 }),
    ],
    ['no signature at all', () => `${assertion().split('.').slice(0, 2).join('.')}.`],
    ['another scheme', () => assertion().replace('Bearer', 'Basic')],
    ['more than an assertion', () => `Bearer ${'a'.repeat(10_000)}`],
  ])('knows no reader by %s, not as a stranger either (V12)', async (_, authorization) => {
    expect(await readers().from('192.0.2.1', 1, authorization())).toBe('caller_unauthenticated')
    expect(await readers({ logPublic: false }).from('192.0.2.1', 1, authorization())).toBe('caller_unauthenticated')
  })

  it('says to an auditor that its assertion expires too late', async () => {
    const late = assertion({ exp: Math.floor(testClock().now() / 1000) + 400 })
    expect(await readers().from('192.0.2.1', 1, late)).toBe('token_life_too_long')
  })
})

it('answers a flood of traces, bundles and searches with 429 and Retry-After, and the operator all the same (V18)', async () => {
  await told({}, async (_, { decisions, task }, evidence) => {
    const ask = (url: string, remoteAddress: string) => evidence.http.inject({ method: 'GET', url, remoteAddress })
    for (const [n, url] of [
      `/v1/trace/${decisions[0]}`,
      `/v1/bundle/${decisions[0]}`,
      `/v1/events?task=${task}&limit=200`,
    ].entries()) {
      const flood = await Promise.all(Array.from({ length: 60 }, () => ask(url, `192.0.2.${n}`)))
      const refused = flood.filter(({ statusCode }) => statusCode === 429)
      expect(refused.length, url).toBeGreaterThan(30)
      expect(Number(refused[0]?.headers['retry-after']), url).toBeGreaterThan(0)
      expect(refused[0]?.json()).toMatchObject({ code: 'rate_limited' })
      expect((await evidence.operator.inject({ method: 'GET', url })).statusCode, url).toBe(200)
    }
  })
}, 120_000)
