import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { ServiceError } from '@bailiwick/errors'

// Below the ports that systems give to outgoing connections (Linux from 32768, others from 49152). A server that is
// down for a moment must find its port free when it returns, while clients that keep trying it open many connections.
const LOWEST = 20_000
const HIGHEST = 32_767

/** Returns this many ports. */
export type PortSource = (count: number) => Promise<number[]>

/**
 * Different free ports on the loopback. No other caller, in any process, is given them while this process lives: a
 * service may take seconds until it listens on its port, and may be killed and started again.
 */
export async function freePorts(count: number, draw = () => randomInt(LOWEST, HIGHEST + 1)): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 1000) throw new ServiceError('service_unready', 'there is no free port on 127.0.0.1')
    const port = draw()
    const mark = await markOf(port)
    if (mark && (await isFree(port))) found.add(port)
    else mark?.close()
  }
  return [...found]
}

/** The unused UDP port of the same number, held until this process ends; undefined when another process has it. */
function markOf(port: number): Promise<{ close(): void } | undefined> {
  const { promise, resolve } = Promise.withResolvers<{ close(): void } | undefined>()
  const socket = createSocket('udp4')
  socket.once('error', () => resolve(undefined))
  socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(socket.unref()))
  return promise
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
