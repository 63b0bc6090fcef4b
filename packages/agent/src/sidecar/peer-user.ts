import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, isIPv4, type Socket } from 'node:net'
import { endianness } from 'node:os'

interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

const tables = ['/proc/net/tcp', '/proc/net/tcp6']
/** A table that others change while it is read can lack a line for a moment. */
const readings = 3

/**
 * The user whose program is at the other end of a connection within this machine, as the kernel of Linux knows it. Undefined unless the kernel
 * names one user for exactly these two ends. An end that its program closed belongs to no socket any more, and the kernel then writes root.
 */
export function peerUser({ remoteAddress, remotePort, localAddress, localPort }: Ends): number | undefined {
  const near = endsIn(remoteAddress, remotePort)
  const far = endsIn(localAddress, localPort)
  for (let n = 0; n < readings; n++) {
    const found = tables.flatMap((table) => usersIn(table, near, far))
    if (found.length > 0) return new Set(found).size === 1 ? found[0] : undefined
  }
  return undefined
}

/** The users of the sockets between these ends. */
function usersIn(table: string, near: readonly string[], far: readonly string[]): (number | undefined)[] {
  return textOf(table)
    .split('\n')
    .flatMap((line) => {
      const [, local = '', remote = '', , , , , user, , inode] = line.trim().split(/\s+/)
      if (!near.includes(local) || !far.includes(remote)) return []
      return inode === undefined || inode === '0' ? [undefined] : [Number(user)]
    })
}

/** How the tables write an end: in IPv4, and as the IPv6 address that stands for it. The kernel writes words in the order of its machine. */
function endsIn(address = '', port = 0): string[] {
  if (!isIPv4(address)) return []
  const bytes = address.split('.').map(Number)
  const isLittle = endianness() === 'LE'
  const word = Buffer.from(isLittle ? bytes.toReversed() : bytes).toString('hex')
  const mapped = `${'0'.repeat(16)}${isLittle ? 'ffff0000' : '0000ffff'}${word}`
  const hexPort = port.toString(16).padStart(4, '0')
  return [word, mapped].map((each) => `${each}:${hexPort}`.toUpperCase())
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
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
  return user !== undefined && user === process.getuid?.()
}
