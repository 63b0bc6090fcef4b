import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '@bailiwick/agent'
import { GatewayWorld, type GatewayWorldOptions, mostTries, passing, upstreamSecret } from './gateway-world.ts'
import { GitBackend } from './git-backend.ts'

/** What a run of git said. */
export interface GitRun {
  code: number
  out: string
  /** What its user sees. */
  said: string
}

/** Runs git without the configuration of this machine, and without prompts. */
export function git(cwd: string, ...args: string[]): Promise<GitRun> {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: cwd,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Agent',
    GIT_AUTHOR_EMAIL: 'agent@acme.example',
    GIT_COMMITTER_NAME: 'Agent',
    GIT_COMMITTER_EMAIL: 'agent@acme.example',
  }
  return new Promise((resolve) => {
    execFile('git', args, { cwd, env, maxBuffer: 64 * 1024 * 1024 }, (error, out, said) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, said })
    })
  })
}

/** What git says of an answer that was cut, as the gateway cuts it on a machine too busy to confirm the grant in time (V8). */
const cut = /RPC failed|unexpected disconnect|early EOF|unable to rewind|Empty reply|transfer closed/

/** As `git`, for what goes through the gateway: again while a busy machine cuts it. */
export async function gitThrough(cwd: string, ...args: string[]): Promise<GitRun> {
  for (let tries = 1; ; tries++) {
    const run = await git(cwd, ...args)
    if (run.code === 0 || !cut.test(run.said) || tries === mostTries) return run
  }
}

/** As `git`, for what must succeed. */
export async function gitDone(cwd: string, ...args: string[]): Promise<string> {
  const { code, out, said } = await gitThrough(cwd, ...args)
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${said}`)
  return out.trim()
}

/** What a coding agent may do: read one repository, and push to branches below `agent/`; delete nothing. */
export const gitAuthority = (more: object[] = []) => ({
  type: 'bailiwick_task',
  task: 'mend-a-bug',
  permissions: [
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'forge/read' },
      where: { '/repository': { eq: 'team/app.git' } },
    },
    {
      actions: ['tools/call'],
      resource: { type: 'tool', id: 'forge/push' },
      where: { '/repository': { eq: 'team/app.git' }, '/ref': { prefix: 'refs/heads/agent/' } },
    },
    ...more,
  ],
  budget: { calls: 1000 },
  max_depth: 0,
  max_children: 0,
})

/** An installation, its gateway in front of a real git server, and an agent whose program is git. */
export interface GitWorld extends AsyncDisposable {
  world: GatewayWorld
  backend: GitBackend
  /** A folder for clones. */
  folder: string
  /** The bare repository that the server has. */
  repository: string
  /** The address at which git reaches the gateway under a grant: what listens there signs each request. */
  remote(grantId: string): Promise<string>
}

export async function openGitWorld(
  options: Omit<GatewayWorldOptions, 'gits'> & { entry?: object } = {},
): Promise<GitWorld> {
  const { entry, ...rest } = options
  await using opening = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'bailiwick-git-'))
  opening.defer(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'server')
  const repository = join(root, 'team/app.git')
  mkdirSync(repository, { recursive: true })
  await gitDone(repository, 'init', '--quiet', '--bare', '--initial-branch=main')
  await gitDone(repository, 'config', 'http.receivepack', 'true')
  const backend = opening.use(await GitBackend.start(root, upstreamSecret))
  const inject = { headers: { authorization: `Bearer \${secret:env:UPSTREAM_SECRET}` } }
  const world = opening.use(
    await GatewayWorld.open({ ...rest, gits: { forge: { ...entry, ...{ url: backend.url, inject } } } }),
  )
  const owned = opening.move()
  return {
    ...{ world, backend, folder, repository },
    async remote(grantId) {
      const proxy = owned.use(await SigningProxy.start(world.agent(), grantId, world.url))
      return `${proxy.url}/git/forge/team/app.git`
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

const passed = ['accept', 'content-type', 'content-encoding', 'git-protocol']

/** Signs the requests of a program that cannot: it adds the agent's credential and a proof to each, and sends it to the gateway. */
class SigningProxy implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    this.#pass(request, response).catch(() => response.destroy())
  })
  readonly #agent: Agent
  readonly #grantId: string
  readonly #gateway: string

  private constructor(agent: Agent, grantId: string, gateway: string) {
    this.#agent = agent
    this.#grantId = grantId
    this.#gateway = gateway
  }

  static async start(agent: Agent, grantId: string, gateway: string): Promise<SigningProxy> {
    const proxy = new SigningProxy(agent, grantId, gateway)
    // git cannot send a long push again on another connection, and may take seconds to make the pack.
    proxy.#server.keepAliveTimeout = 0
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = 'GET', url = '/' } = request
    const headers = Object.fromEntries(
      passed.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, String(request.headers[name])]])),
    )
    const init = { method, headers, ...(method === 'POST' ? { body: new Uint8Array(Buffer.concat(chunks)) } : {}) }
    const answer = await this.#ask(`${this.#gateway}${url}`, init)
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    for await (const chunk of answer.body ?? []) response.write(chunk)
    response.end()
  }

  /** Only the address is signed. Asks again while a busy machine keeps it from being decided. */
  async #ask(url: string, init: { method: string; headers: Record<string, string> }): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#agent.fetch(url, init, { grant: { grantId: this.#grantId }, patienceMs: 0 })
      if (tries === mostTries || !passing.has(answer.headers.get('bailiwick-denied'))) return answer
      await answer.body?.cancel()
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
