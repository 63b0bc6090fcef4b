import { once } from 'node:events'
import { chmodSync, lchownSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { mostConnections } from '@bailiwick/agent/sidecar'
import type { OwnUser } from './own-user.ts'
import { makeRunFolder } from './run-folder.ts'

/** Of a program that has no network of the machine, but a loopback of its own with the ports of its run. */
export interface OwnNetwork extends AsyncDisposable {
  /** The folder has a socket for each port, named by its number. Only this command can change it, and only the program's user can connect. */
  readonly folder: string
  /** Has connections to this port of the program's own loopback accepted here. */
  serve(port: number, accept: (socket: Socket) => void): Promise<void>
}

/** `user`: the program's user, if it is not that of this command. */
export function openOwnNetwork(user: Pick<OwnUser, 'uid' | 'gid'> | undefined): OwnNetwork {
  const opened = new AsyncDisposableStack()
  const folder = makeRunFolder('bailiwick-net-') // for its owner alone
  opened.defer(() => rmSync(folder, { recursive: true, force: true }))
  // The folder stays this command's. In a folder of their own, the user could replace a socket by a link, and get the file that it leads to.
  if (user !== undefined) chmodSync(folder, 0o755)
  return {
    folder,
    async serve(port, accept) {
      const sockets = new Set<Socket>()
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        accept(socket)
      })
      server.maxConnections = mostConnections
      const path = join(folder, String(port))
      listenForOwner(server, path)
      await once(server, 'listening')
      if (user !== undefined) lchownSync(path, user.uid, user.gid)
      opened.defer(async () => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()))
        for (const socket of sockets) socket.destroy()
        await closed
      })
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Other users must not connect, not even before the socket has its mode. */
function listenForOwner(server: Server, path: string): void {
  const before = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
}

/**
 * A program of Node.js that runs in the namespaces, before the command: it listens at the ports on the namespace's own loopback, hands each
 * connection to the socket of that port, and then starts the command. It holds no secret, and the command cannot look into it: it is in a more
 * powerful user namespace. It ignores the signals that the command may handle, as the processes around it do.
 */
export const bridgeScript = `
const { createServer, connect } = require('node:net')
const { readdirSync } = require('node:fs')
const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const [folder, file, ...args] = process.argv.slice(1)
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(name, () => {})
const listen = (port) => new Promise((resolve, reject) => {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: folder + '/' + port, allowHalfOpen: true })
    for (const [one, other] of [[near, far], [far, near]]) {
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  server.on('error', reject)
  server.listen(Number(port), '127.0.0.1', resolve)
})
Promise.all(readdirSync(folder).map(listen)).then(() => {
  const child = spawn(file, args, { stdio: 'inherit' })
  child.on('error', () => process.exit(127))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}, () => process.exit(98))
`
