import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

interface Ends {
  readonly remotePort?: number | undefined
  readonly localPort?: number | undefined
}

const tables = ['/proc/net/tcp', '/proc/net/tcp6']
/** A table that others change while it is read can lack a line for a moment. */
const readings = 3

/**
 * The user whose program is at the other end of a connection to 127.0.0.1, as the kernel of Linux knows it; `unknown` where it does not say.
 * A program that closed its end already is no one's: the kernel then names no user, or root.
 */
export function peerUser({ remotePort = 0, localPort = 0 }: Ends): number | 'unowned' | 'unknown' {
  const ends = [remotePort, localPort].map((port) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`)
  for (let n = 0; n < readings; n++) {
    const texts = tables.flatMap((table) => textOf(table))
    if (texts.length === 0) return 'unknown'
    for (const line of texts.join('\n').split('\n')) {
      // Of an IPv6 socket, the last four bytes are the address in IPv4.
      const [, local = '', remote = '', , , , , user = ''] = line.trim().split(/\s+/)
      if (local.endsWith(ends[0] ?? '-') && remote.endsWith(ends[1] ?? '-')) return Number(user)
    }
  }
  return 'unowned'
}

function textOf(path: string): string[] {
  try {
    return [readFileSync(path, 'latin1')]
  } catch {
    return []
  }
}

/** Whether this system says whose a connection is: tried with one of this process. Some sandboxes have the tables, and other users in them. */
export async function tellsUsers(): Promise<boolean> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  const user = peerUser(far)
  near.destroy()
  far.destroy()
  server.close()
  return user === process.getuid?.()
}
