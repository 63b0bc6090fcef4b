import { copyFileSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type RedisServer, startRedis } from '@bailiwick/native'
import { eventually } from '../e2e/world.ts'

/** A Redis behind an address that stays, and what it loses: before the load, and in the middle of it. */
export interface LosingRedis extends AsyncDisposable {
  url: string
  /** Keeps what the loss needs of the state so far; called after some load, so that there is something to be set back to. */
  prepare(): Promise<void>
  lose(): Promise<void>
  /** What an operator would then do. */
  repair(): Promise<void>
}

const nothing = async () => {}
const dump = (server: RedisServer) => join(server.dir, 'dump.rdb')

/** Each way to lose what was acknowledged (DESIGN §5), on a server of its own. */
export const losses: Readonly<Record<string, () => Promise<LosingRedis>>> = {
  async 'is flushed'() {
    const server = await startRedis()
    return losing(server, { lose: async () => void (await server.cli('FLUSHALL')) })
  },

  async 'starts again, empty'() {
    const server = await startRedis()
    return losing(server, {
      async lose() {
        await server.kill('SIGKILL')
        rmSync(dump(server), { force: true })
        await server.start()
      },
    })
  },

  async 'starts again from an older snapshot'() {
    const server = await startRedis()
    return losing(server, {
      async prepare() {
        await server.cli('SAVE')
        copyFileSync(dump(server), `${dump(server)}.old`)
      },
      async lose() {
        await server.kill('SIGKILL')
        copyFileSync(`${dump(server)}.old`, dump(server))
        await server.start()
      },
    })
  },

  async 'fails over to a replica that missed writes'() {
    const primary = await startRedis()
    const replica = await startRedis({ replicaOf: primary })
    await eventually(async () => (await replica.cli('INFO', 'replication')).includes('link_status:up') || undefined)
    const address = await forwarding(primary.port)
    return {
      url: `redis://127.0.0.1:${address.port}`,
      async prepare() {
        await primary.cli('WAIT', '1', '5000')
        // It holds still and its link is cut: what is acknowledged from now on it will never have.
        await replica.kill('SIGSTOP')
        await primary.cli('CLIENT', 'KILL', 'TYPE', 'replica')
      },
      async lose() {
        await primary.kill('SIGKILL')
        await replica.kill('SIGCONT')
        await replica.cli('REPLICAOF', 'NO', 'ONE')
        address.to(replica.port)
      },
      repair: nothing,
      async [Symbol.asyncDispose]() {
        await address[Symbol.asyncDispose]()
        await replica.kill('SIGCONT')
        await replica[Symbol.asyncDispose]()
        await primary[Symbol.asyncDispose]()
      },
    }
  },

  async 'is set to evict, and does'() {
    const server = await startRedis()
    return losing(server, {
      async lose() {
        const used = Number(/used_memory:(\d+)/.exec(await server.cli('INFO', 'memory'))?.[1])
        await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', String(used + 100_000))
        // A hundred newer keys than all that is ours.
        const fill = "for n = 1, 100 do redis.call('SET', 'filler ' .. n, string.rep('x', 4000)) end"
        await server.cli('EVAL', fill, '0')
        await server.cli('EVAL', fill, '0')
      },
      async repair() {
        await server.cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0')
      },
    })
  },
}

function losing(server: RedisServer, how: Partial<LosingRedis> & Pick<LosingRedis, 'lose'>): LosingRedis {
  return {
    url: server.url,
    prepare: nothing,
    repair: nothing,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    ...how,
  }
}

/** One address, of whichever server is the primary: what a name, a virtual address or a proxy is to those who connect. */
async function forwarding(first: number) {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer((from) => {
    const to = createConnection(target, '127.0.0.1')
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return {
    port: address.port,
    to(port: number) {
      target = port
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
