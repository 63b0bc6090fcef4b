import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { HttpServer } from './http-server.ts'

/** A connection that a route may take out of HTTP. */
export interface UpgradableConnection {
  readonly socket: Socket
  /** What the client sent after the head, without waiting for the answer. */
  readonly head: Buffer
  /** Takes the connection: HTTP writes nothing more on it. Call it after `reply.hijack()`, and destroy the socket in the end. */
  take(): void
}

/** Decides for each server whether a request leaves. */
const letLeave = new WeakMap<object, (request: IncomingMessage) => boolean>()

/**
 * Lets requests for which `isMeant` is true leave HTTP. They go through the same hooks and routes as all others, and their route decides. A
 * request for which it is false stays an ordinary one, with its field `Upgrade`. Returns the connection of a request that may leave.
 */
export function upgradable(
  app: HttpServer,
  isMeant: (request: IncomingMessage) => boolean,
): (request: IncomingMessage) => UpgradableConnection | undefined {
  const connections = new WeakMap<IncomingMessage, UpgradableConnection>()
  /** The requests that other callers of this function let leave are theirs. */
  const own = new WeakSet<IncomingMessage>()
  const earlier = letLeave.get(app.server) ?? (() => false)
  const lets = (request: IncomingMessage): boolean => {
    if (!isMeant(request)) return earlier(request)
    own.add(request)
    return true
  }
  letLeave.set(app.server, lets)
  // Without a listener for 'upgrade', Node would ask no one; with one, it would take every request with such a field for one that leaves.
  Object.assign(app.server, { shouldUpgradeCallback: lets })
  app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!own.has(request)) return
    // Node has removed its own listeners, and with them every limit of time: a client that stays silent would keep the connection.
    socket.on('error', () => socket.destroy()).on('timeout', () => socket.destroy())
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    try {
      response.assignSocket(socket)
    } catch {
      // An earlier request on this connection has no answer yet, and a client must wait for it. The error would end the process.
      socket.destroy()
      return
    }
    // Ends both directions: a client that leaves its own open must not keep the connection.
    const end = () => socket.destroySoon()
    response.once('finish', end)
    connections.set(request, {
      socket,
      head,
      take() {
        response.off('finish', end)
        response.detachSocket(socket)
        // It may be silent for as long as the call lives.
        socket.setTimeout(0)
        socket.once('close', () => {
          // Only so do the hooks hear that the request is over, which count and log it.
          response.statusCode = 101
          response.emit('finish')
        })
      },
    })
    app.routing(request, response)
  })
  return (request) => connections.get(request)
}
