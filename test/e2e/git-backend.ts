import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A request that reached the git server. */
export interface ArrivedAtGit {
  method: string
  url: string
  headers: IncomingMessage['headers']
  /** What came of it until now. */
  readonly body: Buffer
}

/** A real git server: `git http-backend` behind HTTP, for all bare repositories in a folder. It wants a secret, and keeps what it gets. */
export class GitBackend implements AsyncDisposable {
  readonly arrived: ArrivedAtGit[] = []
  /** Holds an answer after so many bytes, until its client goes. */
  holdAfter = Number.POSITIVE_INFINITY
  /** How many requests are not over. */
  open = 0
  /** How many answers were held. */
  held = 0
  readonly #folder: string
  readonly #secret: string
  readonly #server: Server
  readonly #children = new Set<ChildProcessByStdio<Writable, Readable, null>>()

  private constructor(folder: string, secret: string) {
    this.#folder = folder
    this.#secret = secret
    this.#server = createServer((request, response) => {
      this.open++
      response.on('close', () => this.open--)
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  static async start(folder: string, secret: string): Promise<GitBackend> {
    const backend = new GitBackend(folder, secret)
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve))
    return backend
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What reached a service of a repository, without what was asked before. */
  posted(service: string): ArrivedAtGit[] {
    return this.arrived.filter(({ method, url }) => method === 'POST' && url.endsWith(service))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const chunks: Buffer[] = []
    this.arrived.push({
      ...{ method, url, headers },
      get body() {
        return Buffer.concat(chunks)
      },
    })
    if (headers.authorization !== `Bearer ${this.#secret}`) {
      response.writeHead(401).end()
      return
    }
    const [path = '', query = ''] = url.split('?')
    const child = spawn('git', ['http-backend'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        PATH: process.env.PATH ?? '',
        GIT_PROJECT_ROOT: this.#folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_NOSYSTEM: '1',
        HOME: this.#folder,
        REMOTE_USER: 'gateway',
        REQUEST_METHOD: method,
        PATH_INFO: path,
        QUERY_STRING: query,
        CONTENT_TYPE: headers['content-type'] ?? '',
        ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
        ...(headers['content-encoding'] === undefined ? {} : { HTTP_CONTENT_ENCODING: headers['content-encoding'] }),
        ...(headers['git-protocol'] === undefined ? {} : { GIT_PROTOCOL: String(headers['git-protocol']) }),
      },
    })
    this.#children.add(child)
    child.on('close', () => this.#children.delete(child))
    response.on('close', () => child.kill())
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    const sent = pipeline(request, child.stdin).catch(() => child.kill())
    await this.#pass(child.stdout, response)
    await sent
  }

  /** From CGI (RFC 3875 §6) to HTTP. */
  async #pass(output: Readable, response: ServerResponse): Promise<void> {
    let head = Buffer.alloc(0)
    let isBegun = false
    let length = 0
    for await (const chunk of output as AsyncIterable<Buffer>) {
      let body = chunk
      if (!isBegun) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) continue
        isBegun = true
        const fields = head
          .toString('latin1', 0, end)
          .split('\r\n')
          .map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string])
        const status = fields.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200'
        for (const [name, value] of fields) if (name.toLowerCase() !== 'status') response.setHeader(name, value)
        response.writeHead(Number.parseInt(status, 10))
        body = head.subarray(end + 4)
      }
      length += body.length
      response.write(body)
      if (length <= this.holdAfter) continue
      this.held++
      return
    }
    response.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    for (const child of this.#children) child.kill('SIGKILL')
  }
}
