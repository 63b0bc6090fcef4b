import { type ChildProcess, spawn } from 'node:child_process'
import { ServiceError } from '@bailiwick/errors'
import { after, withResolvers } from '@bailiwick/kit'
import { Pace, type Rate } from './pace.ts'
import { killTree, markName } from './process-tree.ts'

export interface ServerProcessOptions {
  command: readonly string[]
  cwd?: string | undefined
  /** The whole environment of the server, secrets included. Only the mark is added to it. */
  env: Readonly<Record<string, string>>
  /** A random name, by which all processes that it starts are found. */
  mark: string
  /**
   * Called for each line that the server writes: one message, without its line end. Returns false for one that is for nothing that goes on.
   */
  onLine: (line: Uint8Array) => unknown
  /** Called once, when no further line will come. */
  onEnd: (reason: ServiceError) => void
  /** Receives what it writes to standard error, up to a bound. Absent: it is thrown away. */
  onError?: ((text: string) => void) | undefined
  /** How fast its output is read, and how much of it may be for nothing before it is ended. */
  rates?: { readonly read: Rate; readonly unclaimed: Rate } | undefined
}

const mebibyte = 1024 * 1024
/** One answer of the greatest length at once. */
const defaultRates = {
  read: { atOnce: 16 * mebibyte, eachSecond: 4 * mebibyte },
  unclaimed: { atOnce: 8 * mebibyte, eachSecond: mebibyte / 8 },
} as const

/** The longest message of a server, in bytes. */
const longestLine = 16 * 1024 * 1024
/** As much may wait until a server reads it, in bytes. */
const mostUnread = 16 * 1024 * 1024
/** This much of its standard error is passed on, in bytes. The rest is read and thrown away, so that the server does not block. */
const toldOfErrors = 16_384
const graceMs = 1000

/**
 * A server that speaks MCP on its standard input and output, in a process group of its own. `kill` ends it together with everything that
 * it started.
 */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly #options: ServerProcessOptions
  readonly #gone = withResolvers<void>()
  #kept: Uint8Array[] = []
  #keptBytes = 0
  #told = 0
  #isOver = false
  readonly #pace: Pace
  readonly #unclaimed: Pace
  /** What was received and not read yet, while its output is paused. */
  #unread: Uint8Array = new Uint8Array()
  #resuming: NodeJS.Timeout | undefined

  /** Throws `upstream_unreachable` if the command cannot be started. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const started = new ServerProcess(options)
    await new Promise<void>((resolve, reject) => {
      started.#child.once('spawn', resolve)
      started.#child.once('error', (cause) =>
        reject(new ServiceError('upstream_unreachable', 'the command of the server cannot be started', { cause })),
      )
    })
    return started
  }

  private constructor(options: ServerProcessOptions) {
    const { command, cwd, env, mark, onError } = options
    const [file = '', ...args] = command
    this.#options = options
    const { read, unclaimed } = options.rates ?? defaultRates
    this.#pace = new Pace(read)
    this.#unclaimed = new Pace(unclaimed)
    this.#child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: it can be killed as a whole, and gets no signal of the gateway's terminal.
      detached: true,
      env: { ...env, [markName]: mark },
      ...(cwd === undefined ? {} : { cwd }),
    })
    const { stdin, stdout, stderr } = this.#child
    stdin?.on('error', () => this.#end('the server closed its input'))
    stdout?.on('data', (chunk: Uint8Array) => this.#take(chunk))
    stdout?.on('close', () => this.#end('the server closed its output'))
    stderr?.on('data', (chunk: Uint8Array) => this.#tell(chunk, onError))
    this.#child.on('error', () => this.#end('the server could not be started'))
    this.#child.once('close', () => this.#gone.resolve())
    this.#child.once('exit', () => this.#end('the process of the server ended'))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * Sends one message. Throws `upstream_busy` if the server leaves too much unread: all of it stands in the gateway's memory.
   * Line ends, which JSON can have only between tokens, become spaces: on this transport they would end the message.
   */
  send(message: Uint8Array): void {
    if (this.#isOver) throw new ServiceError('upstream_unreachable', 'the process of the server is over')
    if ((this.#child.stdin?.writableLength ?? 0) > mostUnread)
      throw new ServiceError('upstream_busy', 'the server does not read')
    const line = Buffer.from(message)
    for (const [at, byte] of line.entries()) if (byte === 0x0a || byte === 0x0d) line[at] = 0x20
    this.#child.stdin?.write(line)
    this.#child.stdin?.write('\n')
  }

  /** Ends it and everything that it started, at once. Resolves when its output is closed. */
  async kill(): Promise<void> {
    this.#end('the process of the server was ended')
    // A process that escaped the kill may still hold the output open.
    await Promise.race([this.#gone.promise, after(graceMs)])
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  #end(detail: string): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#resuming)
    const { pid } = this.#child
    if (pid === undefined) this.#gone.resolve()
    else killTree(pid, this.#options.mark)
    this.#options.onEnd(new ServiceError('upstream_failed', detail))
  }

  #take(chunk: Uint8Array): void {
    let from = 0
    for (let at = chunk.indexOf(0x0a); at >= 0 && !this.#isOver; at = chunk.indexOf(0x0a, from)) {
      if (this.#pace.isOver) {
        this.#pause(chunk.subarray(from))
        return
      }
      const line = Buffer.concat([...this.#kept, chunk.subarray(from, at)])
      this.#kept = []
      this.#keptBytes = 0
      from = at + 1
      const end = line.at(-1) === 0x0d ? line.length - 1 : line.length
      if (end > 0) this.#read(line.subarray(0, end))
    }
    if (from === chunk.length || this.#isOver) return
    this.#kept.push(chunk.subarray(from))
    this.#keptBytes += chunk.length - from
    if (this.#keptBytes > longestLine) this.#end('the server wrote a message over the limit')
  }

  #read(line: Uint8Array): void {
    const isWanted = this.#options.onLine(line) !== false
    this.#pace.took(line.length)
    if (isWanted) return
    this.#unclaimed.took(line.length)
    if (this.#unclaimed.isOver) this.#end('the server wrote too much that nothing waits for')
  }

  /** Until it may be read again the server waits for the gateway, and not the gateway's other work for the server. */
  #pause(unread: Uint8Array): void {
    this.#child.stdout?.pause()
    this.#unread = unread
    const { pauseMs } = this.#pace
    if (!Number.isFinite(pauseMs)) return
    this.#resuming = setTimeout(() => {
      this.#child.stdout?.resume()
      this.#take(this.#unread)
    }, pauseMs)
  }

  #tell(chunk: Uint8Array, onError: ServerProcessOptions['onError']): void {
    if (onError === undefined || this.#told >= toldOfErrors) return
    const part = chunk.subarray(0, toldOfErrors - this.#told)
    this.#told += part.length
    onError(Buffer.from(part).toString('utf8'))
  }
}
