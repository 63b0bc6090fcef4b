import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type KafkaSettings, kafkaConnection } from './connection-settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'kafka-settings-'))
const at = (name: string) => join(folder, name)
const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
beforeAll(() => {
  writeFileSync(at('ca.pem'), pem)
  writeFileSync(at('password'), 'with = and space \n', { mode: 0o600 })
  writeFileSync(at('empty'), '\n', { mode: 0o600 })
})
afterAll(() => rmSync(folder, { recursive: true }))

const open = (settings: Partial<KafkaSettings>) =>
  kafkaConnection(['b:9093'], { BAILIWICK_DEV: false, ...settings }, { clientId: 'issuer', user: 'issuer' })
const refused = (settings: Partial<KafkaSettings>) => {
  try {
    open(settings)
  } catch (error) {
    return (error as { detail?: string }).detail
  }
  return 'not refused'
}

it('connects over TLS, as the service unless another user is named, with the password to the letter', () => {
  const files = { BAILIWICK_KAFKA_CA: at('ca.pem'), BAILIWICK_KAFKA_PASSWORD_FILE: at('password') }
  const password = 'with = and space '
  const connection = {
    brokers: ['b:9093'],
    clientId: 'issuer',
    tls: { ca: pem },
    sasl: { username: 'issuer', password },
  }
  expect(open(files)).toEqual(connection)
  expect(open({ ...files, BAILIWICK_KAFKA_USER: 'other' }).sasl?.username).toBe('other')
})

it("takes the machine's own authorities by name, and says so where it has none", () => {
  const settings = { BAILIWICK_KAFKA_CA: 'system', BAILIWICK_KAFKA_PASSWORD_FILE: at('password') }
  if (getCACertificates('system').length === 0)
    expect(refused(settings)).toBe('BAILIWICK_KAFKA_CA: system holds no certificate')
  else expect(open(settings).tls?.ca).toContain('BEGIN CERTIFICATE')
})

it('goes without TLS and without a user in development only', () => {
  expect(open({ BAILIWICK_DEV: true })).toEqual({ brokers: ['b:9093'], clientId: 'issuer' })
  expect(refused({})).toMatch(/^BAILIWICK_KAFKA_CA: missing/)
  expect(refused({ BAILIWICK_KAFKA_PASSWORD_FILE: at('password') })).toMatch(/^BAILIWICK_KAFKA_CA: missing/)
  expect(refused({ BAILIWICK_KAFKA_CA: at('ca.pem') })).toMatch(/^BAILIWICK_KAFKA_PASSWORD_FILE: missing/)
  expect(refused({ BAILIWICK_DEV: true, BAILIWICK_KAFKA_USER: 'x' })).toMatch(/^BAILIWICK_KAFKA_PASSWORD_FILE: missing/)
})

it('names the setting whose file is no good', () => {
  const ca = { BAILIWICK_KAFKA_CA: at('ca.pem') }
  expect(refused({ BAILIWICK_KAFKA_CA: at('none'), BAILIWICK_KAFKA_PASSWORD_FILE: at('password') })).toBe(
    `BAILIWICK_KAFKA_CA: ${at('none')} cannot be read (ENOENT)`,
  )
  expect(refused({ BAILIWICK_KAFKA_CA: at('password'), BAILIWICK_KAFKA_PASSWORD_FILE: at('password') })).toBe(
    `BAILIWICK_KAFKA_CA: ${at('password')} holds no certificate`,
  )
  expect(refused({ ...ca, BAILIWICK_KAFKA_PASSWORD_FILE: at('empty') })).toBe(
    `BAILIWICK_KAFKA_PASSWORD_FILE: ${at('empty')} is empty`,
  )
})
