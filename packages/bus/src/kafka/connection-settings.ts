import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { readSecretFile } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import type { KafkaConnection } from './connection.ts'

/** A process's settings for its connection to Kafka, under their own names, so that an error can name the wrong one. */
export interface KafkaSettings {
  /** PEM file, or `system` for the machine's own authorities. */
  readonly BAILIWICK_KAFKA_CA?: string | undefined
  readonly BAILIWICK_KAFKA_USER?: string | undefined
  /** File (0600) that holds the password, optionally with a line break at its end. */
  readonly BAILIWICK_KAFKA_PASSWORD_FILE?: string | undefined
  readonly BAILIWICK_DEV: boolean
}

/**
 * The connection that the settings describe. `user` is the user unless the settings name another. Throws `config_invalid`, whose
 * detail never contains the password. Without TLS or a login it is allowed only in development. Messages on the bus are signed, but
 * an attacker who can drop or delay them can stop every action, and a topic has one writer only if the broker knows who writes.
 */
export function kafkaConnection(
  brokers: readonly string[],
  settings: KafkaSettings,
  { clientId, user }: { clientId: string; user: string },
): KafkaConnection {
  const {
    BAILIWICK_KAFKA_CA: ca,
    BAILIWICK_KAFKA_PASSWORD_FILE: passwordFile,
    BAILIWICK_KAFKA_USER: username = user,
    BAILIWICK_DEV: dev,
  } = settings
  if (ca === undefined && !dev)
    throw wrong('BAILIWICK_KAFKA_CA', 'missing: Kafka is reached over TLS, unless BAILIWICK_DEV=1')
  if (passwordFile === undefined && (!dev || settings.BAILIWICK_KAFKA_USER !== undefined))
    throw wrong('BAILIWICK_KAFKA_PASSWORD_FILE', `missing: the password of ${username}`)
  return {
    brokers,
    clientId,
    ...(ca === undefined ? {} : { tls: { ca: authorities(ca) } }),
    ...(passwordFile === undefined ? {} : { sasl: { username, password: passwordIn(passwordFile) } }),
  }
}

function authorities(ca: string): string {
  const pem = ca === 'system' ? getCACertificates('system').join('\n') : read('BAILIWICK_KAFKA_CA', ca)
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw wrong('BAILIWICK_KAFKA_CA', `${ca} holds no certificate`)
  return pem
}

function passwordIn(file: string): string {
  const password = readSecretFile(file, { setting: 'BAILIWICK_KAFKA_PASSWORD_FILE' })
    .toString()
    .replace(/\r?\n$/, '')
  if (password === '') throw wrong('BAILIWICK_KAFKA_PASSWORD_FILE', `${file} is empty`)
  return password
}

function read(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw wrong(setting, `${file} cannot be read (${code})`)
  }
}

const wrong = (setting: string, what: string) => new ServiceError('config_invalid', `${setting}: ${what}`)
