import { connect, type Socket } from 'node:net'
import type { PostgresWorld } from '../e2e/postgres-world.ts'
import { without } from './api-attacks.ts'
import { passing, RawAgent } from './raw-request.ts'
import { eventually } from './scene.ts'
import { type Handshake, RawWebSocket } from './websocket-client.ts'

export const orders = '/postgres/orders'

/** A message of PostgreSQL: its type, and its body or the length that it claims to have. */
export function message(type: string, body: string | Buffer = '', claimed?: number): string {
  const bytes = Buffer.from(body as string)
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(claimed ?? bytes.length + 4, 1)
  return Buffer.concat([head, bytes]).toString('latin1')
}
export const query = (sql: string): string => message('Q', `${sql}\0`)

/** A packet of a start-up: a length, a code and what follows. */
export function packet(code: number, rest: string | Buffer = '', claimed?: number): string {
  const bytes = Buffer.from(rest as string)
  const head = Buffer.alloc(8)
  head.writeInt32BE(claimed ?? bytes.length + 8, 0)
  head.writeInt32BE(code, 4)
  return Buffer.concat([head, bytes]).toString('latin1')
}
export const startup = (parameters: Record<string, string>, code = 196_608): string =>
  packet(code, `${Object.entries(parameters).flat().join('\0')}\0\0`)

const usual = (fields: string[]) => [
  ...without(without(fields, 'upgrade'), 'sec-websocket-key').filter((each) => !/^sec-websocket/i.test(each)),
  'Upgrade: postgresql',
]

/** An agent with a grant that writes what it wants on a connection that the gateway opened. */
export class PostgresAttacker {
  readonly at: PostgresWorld
  readonly agent: RawAgent
  readonly clients: RawWebSocket[] = []

  private constructor(at: PostgresWorld, agent: RawAgent) {
    this.at = at
    this.agent = agent
  }

  static async open(at: PostgresWorld, grantId: string): Promise<PostgresAttacker> {
    return new PostgresAttacker(at, await RawAgent.open(at.world, grantId))
  }

  /** The request for a connection. */
  handshake({ fields = (all) => all, target = orders, path = orders, ...more }: Handshake = {}): Handshake {
    return { ...more, target, path, fields: (all) => fields(usual(all)) }
  }

  /** Opens a connection, and again while a busy machine keeps it from being decided. */
  async connect(handshake: Handshake = {}): Promise<RawWebSocket> {
    return eventually('it is decided', async () => {
      const client = RawWebSocket.open(this.at.world.url, this.agent, this.handshake(handshake))
      this.clients.push(client)
      await eventually('it is answered', () => client.isAnswered || client.isClosed)
      if (client.nonce !== undefined) this.agent.nonce = client.nonce
      return client.nonce !== undefined || passing.has(client.code ?? '') ? undefined : client
    })
  }

  end(): void {
    for (const client of this.clients.splice(0)) client[Symbol.dispose]()
  }
}

/** A client of the port on this machine, as bytes. */
export class LocalClient implements Disposable {
  readonly #socket: Socket
  received = ''
  isClosed = false

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => {
      this.received += text
    })
    this.#socket.on('error', () => undefined)
    this.#socket.on('close', () => {
      this.isClosed = true
    })
  }

  send(text: string): void {
    this.#socket.write(Buffer.from(text, 'latin1'))
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
