import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Runnable, runnable } from './container.ts'
import { freePorts, type PortSource } from './ports.ts'
import { needProgram, runProgram } from './programs.ts'
import { type ServerCommand, startServer, stopServer, untilReady } from './server-process.ts'
import { removeAtEnd } from './watchdog.ts'

export interface RedisOptions {
  /** The folder for snapshots and the log. Kept when given; otherwise it is removed with the server. */
  dir?: string
  /** A free port unless given. */
  port?: number
  /** The server that this one replicates from the start. */
  replicaOf?: { port: number }
  /** Settings of redis.conf that override ours: noeviction, no persistence. */
  config?: Record<string, string>
}

/** A Redis on the loopback, without a password, that ends with this process. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** The id of the running process, or of the last one. */
  readonly pid: number
  readonly dir: string
  /** After SIGKILL and SIGTERM, resolves when the process is gone. Without persistence, its data are gone as well. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again after a kill, on the same port and folder, and loads a snapshot that is there. Resolves when it answers. */
  start(): Promise<void>
  /** What `redis-cli` prints for a command; a Redis error is printed, not thrown. Resolves without the last newline. */
  cli(...args: string[]): Promise<string>
}

const defaults = {
  bind: '127.0.0.1',
  save: '',
  appendonly: 'no',
  'maxmemory-policy': 'noeviction',
  'repl-diskless-sync-delay': '0', // a replica in a test does not wait 5 s for others to come
}

const READY_SECONDS = 60
const GRACE_MILLIS = 2000

/** Starts Redis with `redis-server` from the path. Resolves when it answers, and has loaded its data. */
export async function startRedis(options: RedisOptions = {}, ports: PortSource = freePorts): Promise<RedisServer> {
  const program = runnable('redis-server')
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await ports(1))[0] ?? 0
    const redis = await openRedis(program, options, port)
    try {
      await redis.start()
      return redis
    } catch (error) {
      await redis[Symbol.asyncDispose]()
      // Another process took the port after it was found free.
      if (options.port !== undefined || tries === 3 || !/Address already in use/.test(String(error))) throw error
    }
  }
}

async function openRedis({ program, image }: Runnable, options: RedisOptions, port: number): Promise<RedisServer> {
  const { dir = mkdtempSync(join(tmpdir(), 'bailiwick-redis-')) } = options
  if (options.dir === undefined) removeAtEnd(dir)
  else mkdirSync(dir, { recursive: true, mode: 0o700 })
  const settings = {
    ...defaults,
    ...(options.replicaOf ? { replicaof: `127.0.0.1 ${options.replicaOf.port}` } : {}),
    ...options.config,
    port: String(port),
    dir,
  }
  const command: ServerCommand = {
    name: 'Redis',
    program,
    image,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...settingArguments(name, value)]),
    log: join(dir, 'redis.log'),
  }
  let server: ReturnType<typeof startServer> | undefined
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return server?.pid ?? 0
    },
    async kill(signal) {
      await server?.kill(signal)
    },
    async start() {
      if (server?.running()) return
      const started = startServer(command)
      server = started
      // In a container its number is another one.
      const own = started.container === undefined ? `\nprocess_id:${started.pid}\r` : `\n${dir}\r`
      await untilReady(command, started, () => serves(port, own), READY_SECONDS)
    },
    async cli(...args) {
      const [file, first] = server?.container
        ? ['docker', ['exec', server.container, 'redis-cli']]
        : [needProgram('redis-cli'), []]
      return (await runProgram(file, [...first, '-p', String(port), ...args], 30)).replace(/\n$/, '')
    },
    async [Symbol.asyncDispose]() {
      if (server) await stopServer(server, options.dir === undefined ? 0 : GRACE_MILLIS)
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** `replicaof` takes two arguments, a folder with a blank in its name takes one. */
function settingArguments(name: string, value: string): string[] {
  return name === 'replicaof' ? value.split(' ') : [value]
}

/**
 * True once this very process serves: its answer about itself contains its `own` words. An open port is not enough: when
 * another Redis has the port, ours is about to end, but still runs.
 */
function serves(port: number, own: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createConnection(port, '127.0.0.1')
  let answer = ''
  socket.setTimeout(1000, () => socket.destroy())
  socket.once('connect', () => socket.end('INFO server\r\nINFO persistence\r\nCONFIG GET dir\r\nQUIT\r\n'))
  socket.on('data', (bytes) => {
    answer += bytes.toString()
  })
  socket.on('error', () => {})
  socket.once('close', () => resolve(answer.includes(own) && answer.includes('\nloading:0\r')))
  return promise
}
