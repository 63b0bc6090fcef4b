import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'

export interface PassThrough extends AsyncDisposable {
  url: string
}

/**
 * A proxy that passes on bytes of the connection, and changes none unless told: the least that a gateway may do. `alter` sees each piece
 * of what the server sends, and must keep its length.
 */
export async function passThrough(to: string, alter?: (piece: string) => string): Promise<PassThrough> {
  const target = new URL(to)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => undefined) // either side may leave at any time
    }
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.pipe(far)
    if (alter) far.pipe(altering(alter)).pipe(near)
    else far.pipe(near)
  })
  server.listen(0, target.hostname)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${target.hostname}:${port}${target.pathname}`,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function altering(alter: (piece: string) => string): Transform {
  return new Transform({
    transform(piece: Buffer, _, done) {
      done(null, Buffer.from(alter(piece.toString('latin1')), 'latin1'))
    },
  })
}
