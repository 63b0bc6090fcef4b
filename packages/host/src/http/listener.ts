import { chmod, lstat, mkdtemp, rename, rm, rmdir } from 'node:fs/promises'
import { connect, isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { ServiceError } from '@bailiwick/errors'
import type { TlsFiles } from './http-connection.ts'
import type { HttpServer } from './http-server.ts'

/** TLS by this process, TLS by a front that cannot be bypassed, or none. */
export type Tls = TlsFiles | 'terminated' | undefined

/**
 * Refuses (`config_invalid`) to listen beyond this machine without TLS: tokens would cross the network in the clear. Any name other than
 * `localhost` counts as beyond this machine, even if it now resolves to the loopback.
 */
export function assertListenerAllowed(host: string, tls: Tls): void {
  if (tls !== undefined || isLoopback(host)) return
  throw new ServiceError(
    'config_invalid',
    `BAILIWICK_HOST: ${host} is reachable from other machines: give BAILIWICK_TLS a certificate and key, or say that TLS is terminated in front`,
  )
}

/** Whether an address (or `localhost`) belongs to this machine only. */
export function isLoopback(host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '')
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))
}

/** The longest path of a socket, in bytes: 107 on Linux, 103 on macOS. */
const LONGEST_SOCKET_PATH = 103

/**
 * Lets `server`, made by `httpServer` for operators' routes only, listen on a Unix socket that only this user can open
 * (0600). The socket is never reachable with other permissions: it is created in a private folder and then moved into place, replacing
 * one that a crash left behind. Throws `config_invalid` if the path is too long, if something other than a socket is there, or if a
 * process answers on it. The socket is removed when the server closes.
 */
export async function listenOperator(server: HttpServer, socketPath: string): Promise<void> {
  assertSocketPath(socketPath)
  await assertFree(socketPath)
  let inPlace = false
  server.addHook('onClose', async () => {
    if (inPlace) await rm(socketPath, { force: true })
  })
  const room = await mkdtemp(join(dirname(socketPath), '.s')) // mode 0700
  try {
    const made = join(room, 's')
    await server.listen({ path: made })
    await chmod(made, 0o600)
    await rename(made, socketPath)
    inPlace = true
  } finally {
    await rmdir(room).catch(() => undefined)
  }
}

/** Refuses (`config_invalid`) a path that is too long for a socket. */
export function assertSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= LONGEST_SOCKET_PATH) return
  throw new ServiceError(
    'config_invalid',
    `BAILIWICK_DATA: the path of the operator socket, ${path}, is over ${LONGEST_SOCKET_PATH} bytes`,
  )
}

async function assertFree(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there === undefined) return
  if (!there.isSocket()) throw new ServiceError('config_invalid', `${path} is there and is no socket`)
  if (await answers(path)) throw new ServiceError('config_invalid', `another process listens on ${path}`)
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
  return promise.finally(() => probe.destroy())
}
