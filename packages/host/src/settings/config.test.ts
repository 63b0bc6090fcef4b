import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readConfig } from './config.ts'
import type { Env } from './known-settings.ts'
import { commonSettings, notifySettings } from './settings.ts'

const schema = z.object({ ...commonSettings(8422), BAILIWICK_JOIN_TOKEN: z.string().min(10).optional() })
const read = (env: Env) => readConfig(schema, env)

function refusal(env: Env): string {
  try {
    read(env)
  } catch (error) {
    expect(error).toMatchObject({ code: 'config_invalid' })
    return (error as { detail: string }).detail
  }
  throw new Error('was accepted')
}

it('needs no setting', () => {
  expect(read({ PATH: '/bin', BAILIWICK_PORT: '' })).toEqual({
    BAILIWICK_DATA: '.bailiwick',
    BAILIWICK_DEV: false,
    BAILIWICK_METRICS: 'loopback',
    BAILIWICK_HOST: '127.0.0.1',
    BAILIWICK_HOSTS: [],
    BAILIWICK_PORT: 8422,
    BAILIWICK_BUS: { kind: 'embedded' },
    BAILIWICK_GRANT_STORE: { kind: 'embedded' },
    BAILIWICK_LOG_LEVEL: 'info',
    BAILIWICK_MAX_STALENESS: 2000,
    BAILIWICK_SERVICES: [],
    BAILIWICK_STRANGER_REQUESTS_PER_SECOND: 100,
    BAILIWICK_TLS: 'none',
  })
})

it.each<[string, string, unknown]>([
  ['BAILIWICK_PUBLIC_URL', 'https://bailiwick.example', 'https://bailiwick.example'],
  ['BAILIWICK_PUBLIC_URL', 'http://localhost:8420/', 'http://localhost:8420'],
  ['BAILIWICK_PORT', '0', 0],
  [
    'BAILIWICK_BUS',
    'kafka://a:9092,b.example:9093,[::1]:9094',
    { kind: 'kafka', brokers: ['a:9092', 'b.example:9093', '[::1]:9094'] },
  ],
  ['BAILIWICK_GRANT_STORE', 'redis://localhost:6379', { kind: 'redis', url: 'redis://localhost:6379' }],
  ['BAILIWICK_LOG_LEVEL', 'debug', 'debug'],
  ['BAILIWICK_MAX_STALENESS', '1500ms', 1500],
  ['BAILIWICK_MAX_STALENESS', '3s', 3000],
  ['BAILIWICK_HOSTS', 'Evidence, 10.1.2.3,::7', ['evidence', '10.1.2.3', '::7']],
  [
    'BAILIWICK_SERVICES',
    'issuer=http://issuer:8422, policy-decision=https://p1.example/,policy-decision=https://p2.example',
    [
      { service: 'issuer', url: 'http://issuer:8422' },
      { service: 'policy-decision', url: 'https://p1.example' },
      { service: 'policy-decision', url: 'https://p2.example' },
    ],
  ],
  ['BAILIWICK_TLS', 'terminated', 'terminated'],
  ['BAILIWICK_TLS', 'c.pem,k.pem', { certificateFile: 'c.pem', keyFile: 'k.pem' }],
])('understands %s=%s', (name, value, understood) => {
  expect(read({ [name]: value })).toMatchObject({ [name]: understood })
})

it.each([
  ['BAILIWICK_PUBLIC_URL', 'bailiwick.example'],
  ['BAILIWICK_PUBLIC_URL', 'https://bailiwick.example/path'],
  ['BAILIWICK_PUBLIC_URL', 'ftp://bailiwick.example'],
  ['BAILIWICK_TRUSTED_PROXIES', '1'],
  ['BAILIWICK_TRUSTED_PROXIES', '0.0.0.0/0'],
  ['BAILIWICK_SERVICES', 'http://issuer:8422'],
  ['BAILIWICK_SERVICES', 'isuer=http://issuer:8422'],
  ['BAILIWICK_SERVICES', 'issuer=http://issuer:8422/path'],
  ['BAILIWICK_SERVICES', 'issuer=http://issuer:8422,'],
  ['BAILIWICK_SERVICES', 'issuer=ftp://issuer'],
  ['BAILIWICK_PORT', '80a'],
  ['BAILIWICK_PORT', '65536'],
  ['BAILIWICK_PORT', '-1'],
  ['BAILIWICK_PORT', '0x50'],
  ['BAILIWICK_BUS', 'kafka://'],
  ['BAILIWICK_BUS', 'kafka://host'],
  ['BAILIWICK_BUS', 'amqp://host:1'],
  ['BAILIWICK_GRANT_STORE', 'redis'],
  ['BAILIWICK_LOG_LEVEL', 'loud'],
  ['BAILIWICK_MAX_STALENESS', '2'],
  ['BAILIWICK_MAX_STALENESS', '1ms'],
  ['BAILIWICK_MAX_STALENESS', '1000s'],
  ['BAILIWICK_TLS', 'yes'],
  ['BAILIWICK_HOSTS', 'evidence:8424'],
  ['BAILIWICK_HOSTS', 'https://evidence'],
  ['BAILIWICK_HOSTS', 'a,,b'],
])('names the setting and its value: %s=%s', (name, value) => {
  const detail = refusal({ [name]: value })
  expect(detail).toMatch(new RegExp(`^${name}: .+ \\(is ${JSON.stringify(value)}\\)$`))
})

it('has a line for each wrong setting, and for each missing one', () => {
  const needy = z.object({ A: z.string(), B: z.coerce.number(), C: z.string().optional() })
  expect(() => readConfig(needy, { B: 'x' })).toThrow(/^config_invalid: A: missing\nB: .+ \(is "x"\)$/)
})

it('refuses a misspelt setting rather than leaving the default in force, with the one that is meant', () => {
  expect(refusal({ BAILIWICK_MAX_STALENES: '1s', BAILIWICK_PORT: 'x', BAILIWICK_LOG_PUBLIC: '1' })).toBe(
    'BAILIWICK_PORT: a port, 0 to 65535 (is "x")\nBAILIWICK_MAX_STALENES: there is no such setting; is BAILIWICK_MAX_STALENESS meant?',
  )
})

it('shows how long a credential was to live: that is no secret', () => {
  const seconds = z.object({ BAILIWICK_CREDENTIAL_SECONDS: z.coerce.number().min(10) })
  expect(() => readConfig(seconds, { BAILIWICK_CREDENTIAL_SECONDS: '5' })).toThrowError(/>=10 \(is "5"\)/)
})

describe('a secret (V17)', () => {
  it('is not in the error when its name says so', () => {
    expect(refusal({ BAILIWICK_JOIN_TOKEN: 'hunter2' })).toBe('BAILIWICK_JOIN_TOKEN: not valid')
    const literal = z.object({ SIGNING_KEY: z.string().refine(() => false, { error: ({ input }) => `no: ${input}` }) })
    expect(() => readConfig(literal, { SIGNING_KEY: 'hunter2' })).toThrow(/^config_invalid: SIGNING_KEY: not valid$/)
  })

  it('is not in the error when it stands in a URL', () => {
    const detail = refusal({
      BAILIWICK_GRANT_STORE: 'http://user:hunter2@host/',
      BAILIWICK_BUS: 'kafka://u:hunter2@x@h:1',
    })
    expect(detail).not.toContain('hunter2')
    expect(detail).toContain('//…@host')
  })
})

describe('where notifications go', () => {
  it.each([
    ['https://hooks.slack.example/services/T0/B0/x', true],
    ['https://mail.internal:8443/notify?x=1', true],
    ['http://localhost:9000/', true],
    ['http://127.0.0.1/', true],
    ['http://mail.internal/', false],
    ['http://localhost.evil.example/', false],
    ['https://user:secret@mail.internal/', false],
    ['ftp://localhost/', false],
    ['mail.internal', false],
  ])('%s: %s', (url, may) => {
    const read = () => readConfig(z.object(notifySettings), { BAILIWICK_NOTIFY_WEBHOOK: url })
    if (may) expect(read()).toEqual({ BAILIWICK_NOTIFY_WEBHOOK: url, BAILIWICK_NOTIFY_FORMAT: 'json' })
    // The webhook URL is a secret, and so is a mistyped one.
    else expect(read).toThrow(expect.objectContaining({ detail: 'BAILIWICK_NOTIFY_WEBHOOK: not valid' }))
  })
})
