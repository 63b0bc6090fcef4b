import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { ServiceError } from '@bailiwick/errors'

// Below the ports that systems give to outgoing connections (Linux from 32768, others from 49152): a server that is down
// for a moment must find its port free when it comes back, and clients that keep trying it open many connections.
const LOWEST = 20_000
const HIGHEST = 32_767

/** Gives so many ports. */
export type PortSource = (count: number) => Promise<number[]>

/** Different ports on the loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 1000) throw new ServiceError('service_unready', 'there is no free port on 127.0.0.1')
    const port = randomInt(LOWEST, HIGHEST + 1)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
