import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { endWithThis } from '@bailiwick/native'
import { cli } from '../judges/installation.ts'

interface Answer {
  result?: { content?: { text?: string }[]; tools?: { name: string }[]; structuredContent?: unknown }
  error?: { message: string; data?: unknown }
}

/**
 * A plain client of MCP 2025-11-25 on standard input and output, which starts its server as any client does. It knows nothing of
 * Bailiwick.
 */
export class PlainClient implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #ended: Promise<unknown>
  readonly #answered = new Map<number, (answer: Answer) => void>()
  #errors = ''
  #lastId = 0

  /** `sidecar`: the words after `bailiwick` that start the server, in the folder `cwd`. */
  static async open(sidecar: readonly string[], cwd = '.'): Promise<PlainClient> {
    const client = new PlainClient(sidecar, cwd)
    await client.begin()
    return client
  }

  private constructor(sidecar: readonly string[], cwd: string) {
    this.#child = spawn(process.execPath, [cli, ...sidecar], { stdio: 'pipe', cwd })
    endWithThis(this.#child)
    this.#ended = once(this.#child, 'close').then(() => {
      const error = { message: `the client's server ended: ${this.#errors.slice(-500)}` }
      for (const answered of this.#answered.values()) answered({ error })
    })
    this.#child.stdin.on('error', () => undefined)
    this.#child.stderr.on('data', (chunk) => (this.#errors += String(chunk)))
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const message = JSON.parse(line)
      if (message.method !== undefined) return
      this.#answered.get(message.id)?.(message)
      this.#answered.delete(message.id)
    })
  }

  /** Begins a session; a second time, another one. */
  async begin(): Promise<void> {
    const clientInfo = { name: 'plain-client', version: '1.0.0' }
    const { error } = await this.#ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
    if (error !== undefined) throw new Error(textOf({ error }))
    this.#write({ method: 'notifications/initialized' })
  }

  /** The names of the tools that the client is shown. */
  async tools(): Promise<string[]> {
    const { result } = await this.#ask('tools/list', {})
    return (result?.tools ?? []).map(({ name }) => name)
  }

  /** Calls a tool; resolves with what a model is shown of the answer. */
  async call(name: string, args: object = {}): Promise<string> {
    const _meta = { progressToken: this.#lastId + 1 }
    return textOf(await this.#ask('tools/call', { name, arguments: args, _meta }))
  }

  #ask(method: string, params: object): Promise<Answer> {
    const id = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.#answered.set(id, resolve)
    this.#write({ id, method, params })
    return promise
  }

  #write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    await this.#ended
  }
}

function textOf({ result, error }: Answer): string {
  if (error !== undefined) return `${error.message} ${JSON.stringify(error.data ?? {})}`
  return (result?.content ?? []).map(({ text }) => text ?? '').join('\n')
}
