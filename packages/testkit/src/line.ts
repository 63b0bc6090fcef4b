import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'

/** A line between two ports of the loopback, which can be cut. */
export interface Line extends AsyncDisposable {
  /**
   * From now on nothing passes, and no caller gets an error: connections stay open, bytes wait, and new callers get no answer.
   * As when a network drops packets, and unlike a process that ends.
   */
  cut(): void
  /** From now on new callers get no answer, and open connections continue. */
  hold(): void
  /** Waiting bytes and callers pass again. */
  mend(): void
}

/** Takes connections on the port `from`, and passes each on to the port `to`. */
export async function openLine(from: number, to: number): Promise<Line> {
  const sockets = new Set<Socket>()
  const waiting = new Set<Socket>()
  let whole = true
  let answers = true
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  }
  // Not `pipe`, because it makes a source flow again on its own, even a held one.
  const feed = (source: Socket, sink: Socket) => {
    source.on('data', (bytes) => sink.write(bytes) || source.pause())
    sink.on('drain', () => whole && source.resume())
    source.once('close', () => sink.destroy())
  }
  const passOn = (caller: Socket) => {
    if (caller.destroyed) return
    const called = createConnection(to, '127.0.0.1')
    keep(called)
    feed(caller, called)
    feed(called, caller)
  }
  const server = createServer((caller) => {
    keep(caller)
    if (answers) passOn(caller)
    else waiting.add(caller)
  })
  server.listen(from, '127.0.0.1')
  await once(server, 'listening')
  return {
    cut() {
      whole = answers = false
      for (const socket of sockets) socket.pause()
    },
    hold() {
      answers = false
    },
    mend() {
      whole = answers = true
      for (const socket of sockets) socket.resume()
      for (const caller of waiting) passOn(caller)
      waiting.clear()
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
