import { once } from 'node:events'
import { createServer } from 'node:net'
import { ServiceError } from '@bailiwick/errors'
import { assertDataUsable } from '@bailiwick/installation'
import { assertListenerAllowed, assertSocketPath } from '../http/listener.ts'
import { readTls } from '../http/read-tls.ts'
import { assertAdapterSettings } from './adapters.ts'
import type { CommonConfig } from './open-host.ts'
import { systemCode } from './system-code.ts'

/**
 * Refuses settings that a process could not start with, before it writes anything: a start that fails half-way leaves an installation
 * that is bound to a wrong address. Throws `config_invalid`, or the system's EADDRINUSE for a port in use.
 */
export async function assertStartable(config: CommonConfig, service: string, socket: string): Promise<void> {
  assertDataUsable(config.BAILIWICK_DATA)
  assertListenerAllowed(config.BAILIWICK_HOST, readTls(config.BAILIWICK_TLS))
  assertSocketPath(socket)
  await assertAdapterSettings(config, service)
  await assertAddressFree(config.BAILIWICK_HOST, config.BAILIWICK_PORT)
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
