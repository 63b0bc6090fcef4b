import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createSecureContext } from 'node:tls'
import { ServiceError } from '@bailiwick/errors'
import { assertDataUsable } from '@bailiwick/installation'
import { assertListenerAllowed, assertSocketPath, type Tls, type TlsSetting } from '@bailiwick/service-kit'
import type { CommonConfig } from './open-host.ts'

/**
 * Refuses what a process could not start with, before it writes anything: a start that fails half-way leaves an installation
 * that is bound to a wrong address. Throws `config_invalid`, and the system's EADDRINUSE for a port that is taken.
 */
export async function assertStartable(config: CommonConfig, socket: string): Promise<void> {
  assertDataUsable(config.BAILIWICK_DATA)
  assertListenerAllowed(config.BAILIWICK_HOST, readTls(config.BAILIWICK_TLS))
  assertSocketPath(socket)
  await assertAddressFree(config.BAILIWICK_HOST, config.BAILIWICK_PORT)
}

/** Reads the certificate and its key. Throws `config_invalid`. */
export function readTls(tls: TlsSetting): Tls {
  if (tls === 'none') return undefined
  if (tls === 'terminated') return tls
  const files = { certificate: readPem(tls.certificateFile), key: readPem(tls.keyFile) }
  try {
    createSecureContext({ cert: files.certificate, key: files.key })
  } catch {
    // No cause: OpenSSL's messages may quote what they read.
    throw new ServiceError('config_invalid', 'BAILIWICK_TLS: the files are not a certificate and its private key')
  }
  return files
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ServiceError('config_invalid', `BAILIWICK_TLS: ${path} cannot be read (${systemCode(error)})`)
  }
}

async function assertAddressFree(host: string, port: number): Promise<void> {
  const probe = createServer()
  try {
    probe.listen({ host, port })
    await once(probe, 'listening')
    probe.close()
    await once(probe, 'close')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EADDRINUSE') throw error
    const setting = code === 'EACCES' ? 'BAILIWICK_PORT' : 'BAILIWICK_HOST'
    throw new ServiceError('config_invalid', `${setting}: cannot listen on ${host}, port ${port} (${code})`)
  }
}

const systemCode = (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'unknown')
