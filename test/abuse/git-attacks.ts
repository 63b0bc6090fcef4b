import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { deflateSync } from 'node:zlib'
import { type GitWorld, git, gitAuthority, gitDone, openGitWorld } from '../e2e/git-world.ts'
import { exchangeRaw, passing, RawAgent, type RawAnswer } from './raw-request.ts'
import { eventually } from './scene.ts'

/** The repository that the grant allows, at the gateway. */
export const app = '/git/forge/team/app.git'
export const pushType = 'application/x-git-receive-pack-request'
/** The longest push that the gateway takes in these tests. */
export const mostPush = 1024 * 1024
export const none = '0'.repeat(40)
/** A branch that the grant allows, and that no control pushes. */
export const own = 'refs/heads/agent/own'
export const usual = 'report-status side-band-64k agent=git/2.39.5'

export interface Attack {
  method?: string
  target?: string
  body?: Buffer
  /** The media type of the body. */
  type?: string
  /** Instead of the fields that the request would have. */
  fields?: (fields: string[]) => string[]
}

export const packet = (text: string | Buffer) => {
  const bytes = Buffer.from(text as string)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}
export const flush = Buffer.from('0000')
export const list = (...packets: (string | Buffer)[]) =>
  Buffer.concat([...packets.map((each) => (typeof each === 'string' ? packet(each) : each)), flush])
/** A pack without objects: those of the commit are on the server. */
export const emptyPack = (() => {
  const head = Buffer.from('5041434b0000000200000000', 'hex')
  return Buffer.concat([head, createHash('sha1').update(head).digest()])
})()
export const plus =
  (...lines: string[]) =>
  (fields: string[]) => [...fields, ...lines]
export const replaced =
  (name: string, ...lines: string[]) =>
  (fields: string[]) => [...fields.filter((field) => !field.toLowerCase().startsWith(`${name}:`)), ...lines]
export const chunked = (...parts: Buffer[]): Pick<Attack, 'body' | 'fields'> => ({
  body: Buffer.concat([
    ...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ]),
  fields: replaced('content-length', 'Transfer-Encoding: chunked'),
})

/** A pack of one blob, written as long as it is (gitformat-pack). */
export function packOf(blob: Buffer): Buffer {
  const sizes = [(blob.length & 15) | 0x30]
  for (let rest = blob.length >> 4; rest > 0; rest >>= 7) {
    sizes[sizes.length - 1] = (sizes.at(-1) ?? 0) | 0x80
    sizes.push(rest & 127)
  }
  const head = Buffer.from('5041434b0000000200000001', 'hex')
  const pack = Buffer.concat([head, Buffer.from(sizes), deflateSync(blob, { level: 0 })])
  return Buffer.concat([pack, createHash('sha1').update(pack).digest()])
}

const deniedIn = ({ head }: RawAnswer): string | undefined => /\r\nbailiwick-denied: (\S+)/i.exec(head)?.[1]
const nonceIn = (head: string): string | undefined => /\r\ndpop-nonce: (\S+)/i.exec(head)?.[1]

/** An agent that attacks a real git server behind a gateway, with a credential that allows something. */
export class GitAttacker implements AsyncDisposable {
  readonly at: GitWorld
  readonly agent: RawAgent
  /** A commit that the server has. */
  readonly commit: string

  private constructor(at: GitWorld, agent: RawAgent, commit: string) {
    this.at = at
    this.agent = agent
    this.commit = commit
  }

  static async open(): Promise<GitAttacker> {
    await using opening = new AsyncDisposableStack()
    const at = opening.use(await openGitWorld({ entry: { most_push_bytes: mostPush } }))
    const tree = await gitDone(at.repository, 'hash-object', '-t', 'tree', '-w', '/dev/null')
    const commit = await gitDone(at.repository, 'commit-tree', tree, '-m', 'Begin')
    await gitDone(at.repository, 'update-ref', 'refs/heads/main', commit)
    await gitDone(at.repository, 'update-ref', 'refs/heads/agent/kept', commit)
    const { grantId } = await at.world.granted(gitAuthority())
    const agent = await RawAgent.open(at.world, grantId)
    opening.move()
    return new GitAttacker(at, agent, commit)
  }

  /** The first command of a push. */
  command(ref = own, { from = none, to = this.commit, capabilities = usual } = {}): string {
    return `${from} ${to} ${ref}\0 ${capabilities}`
  }

  push(ref?: string, more?: Parameters<GitAttacker['command']>[1]): Buffer {
    return Buffer.concat([list(this.command(ref, more)), emptyPack])
  }

  async onServer(ref: string): Promise<string> {
    return (await git(this.at.repository, 'rev-parse', '--verify', '--quiet', ref)).out.trim()
  }

  /** What came back, and what reached the server. Made again while a busy machine keeps it from being decided. */
  async attack({ method = 'POST', target = `${app}/git-receive-pack`, body, type, fields }: Attack) {
    const { world, backend } = this.at
    const service = target.split('/').at(-1)
    const [path = ''] = target.split('?')
    const answer = await eventually('it is decided', async () => {
      const lines = [
        `Host: ${new URL(world.url).host}`,
        'Connection: close',
        ...this.agent.fields(method, `${world.url}${path}`),
        ...(body === undefined
          ? []
          : [`Content-Type: ${type ?? `application/x-${service}-request`}`, `Content-Length: ${body.length}`]),
      ]
      backend.arrived.length = 0
      const request = { line: `${method} ${target} HTTP/1.1`, fields: fields?.(lines) ?? lines }
      const given = await exchangeRaw(world.url, body === undefined ? request : { ...request, body })
      const nonce = nonceIn(given.head)
      if (nonce !== undefined) this.agent.nonce = nonce
      // A machine too busy to confirm the grant in time cuts a call (V8).
      const isCut = given.body.includes('stream_cut') || (given.status === 200 && !given.isWhole)
      return nonce !== undefined || isCut || passing.has(deniedIn(given) ?? '') ? undefined : given
    })
    return { status: answer.status, denied: deniedIn(answer), body: answer.body, arrived: backend.arrived.length }
  }

  /** A push of which a part has reached the server. The rest does not come. */
  async begun(ref: string, by: RawAgent): Promise<Socket> {
    const { world, backend } = this.at
    const whole = Buffer.concat([list(this.command(ref)), packOf(Buffer.alloc(200_000))])
    const path = `${app}/git-receive-pack`
    return eventually('it is begun', async () => {
      const fields = [
        `Host: ${new URL(world.url).host}`,
        `Content-Type: ${pushType}`,
        `Content-Length: ${whole.length}`,
        ...by.fields('POST', `${world.url}${path}`),
      ]
      const socket = connect(Number(new URL(world.url).port), '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(`POST ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
      socket.write(whole.subarray(0, 100_000))
      const answered = once(socket, 'data').then(([answer]) => {
        by.nonce = nonceIn(String(answer)) ?? by.nonce
        socket.destroy()
        return undefined
      })
      const arrived = eventually('it reaches the server', () => backend.posted('git-receive-pack')[0])
      return Promise.race([arrived.then(() => socket), answered.catch(() => undefined)])
    })
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.at[Symbol.asyncDispose]()
  }
}
