import { openSessionWorld, type SessionWorld, sessionAuthority } from '../e2e/session-world.ts'
import { exchangeRaw, passing, RawAgent, type RawAnswer } from './raw-request.ts'
import { eventually } from './scene.ts'

export interface SessionAttack {
  method?: string
  /** Below `/session/app`. */
  target: string
  body?: string | Buffer
  type?: string
  /** Further lines of the head. */
  lines?: string[]
  /** The path of the proof, if it is not that of the target. */
  path?: string
}

/** An agent with a grant that attacks a web application behind a gateway. */
export class SessionAttacker {
  readonly at: SessionWorld
  readonly agent: RawAgent
  readonly requestId: string
  readonly grantId: string

  private constructor(at: SessionWorld, agent: RawAgent, ids: { requestId: string; grantId: string }) {
    this.at = at
    this.agent = agent
    this.requestId = ids.requestId
    this.grantId = ids.grantId
  }

  static async open(at: SessionWorld): Promise<SessionAttacker> {
    const ids = await at.world.granted(sessionAuthority)
    return new SessionAttacker(at, await RawAgent.open(at.world, ids.grantId), ids)
  }

  /** What came back. Made again while a busy machine keeps it from being decided. */
  async attack(made: SessionAttack): Promise<RawAnswer & { arrived: number }> {
    const { app } = this.at
    const before = app.arrived.length
    const answer = await eventually('it is decided', async () => {
      const given = await this.send(made)
      const [, nonce] = /\r\ndpop-nonce: (\S+)/i.exec(given.head) ?? []
      if (nonce !== undefined) this.agent.nonce = nonce
      return nonce !== undefined || passing.has(given.code ?? '') ? undefined : given
    })
    return { ...answer, arrived: app.arrived.length - before }
  }

  send({ method = 'GET', target, body, type = form, lines = [], path }: SessionAttack): Promise<RawAnswer> {
    const { url } = this.at.world
    const own = `/session/app${target}`
    const fields = [
      `Host: ${new URL(url).host}`,
      'Accept: text/html',
      'Connection: close',
      ...this.agent.fields(method, `${url}${path ?? own.split('?')[0]}`),
      ...(body === undefined ? [] : [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`]),
      ...lines,
    ]
    const made = { line: `${method} ${own} HTTP/1.1`, fields }
    return exchangeRaw(url, body === undefined ? made : { ...made, body })
  }
}

export const form = 'application/x-www-form-urlencoded'
export { openSessionWorld }
