import { connect } from 'node:net'
import { encodeBase64url, makeDpopProof, type SigningKey } from '@bailiwick/credentials'
import { systemRandom } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import type { GatewayWorld } from '../e2e/gateway-world.ts'
import { undecided } from './scene.ts'

/** The codes of answers that a busy machine brings about. */
export const passing: ReadonlySet<string> = new Set([...undecided, 'credential_unrecorded', 'queue_full'])

/** A request as bytes: no library normalises what an attack writes. */
export interface RawRequest {
  line: string
  /** Whole lines. */
  fields: readonly string[]
  body?: string | Buffer
  /** How many answers are awaited on the connection; one if left out. */
  answers?: number
}

export interface RawAnswer {
  status: number
  /** Of a problem document. */
  code: string | undefined
  head: string
  body: string
  /** Whether its end came, by its own length or its last chunk. */
  isWhole: boolean
}

/** Writes the bytes on a connection of their own, and reads what comes back until the other side closes or the answer is whole. */
export async function exchangeRaw(
  url: string,
  { line, fields, body = '', answers = 1 }: RawRequest,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname === 'localhost' ? '127.0.0.1' : hostname)
  const head = Buffer.from(`${[line, ...fields].join('\r\n')}\r\n\r\n`, 'latin1')
  socket.write(Buffer.concat([head, Buffer.from(body)]))
  let text = ''
  try {
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString('latin1')
      if (isWhole(final(text)) && text.split('HTTP/1.1 ').length > answers) break
    }
  } catch {
    // Reset: what came before it counts.
  } finally {
    socket.destroy()
  }
  text = final(text)
  const end = text.indexOf('\r\n\r\n')
  const content = end < 0 ? '' : text.slice(end + 4)
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(text) ?? []
  return {
    status: Number(status),
    code: codeIn(content),
    head: text.slice(0, end),
    body: content,
    isWhole: isWhole(text),
  }
}

/** Without the informational answers before it. */
const final = (text: string): string => text.replace(/^(HTTP\/1\.1 1\d\d.*?\r\n\r\n)+/s, '')

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, end + 2)) ?? []
  if (end < 0) return false
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length)
}

function codeIn(text: string): string | undefined {
  const [, code] = /"code":"([a-z_]+)"/.exec(text) ?? []
  return code
}

/** Signs requests of the sample agent by hand, with the nonce that the decision point last gave. */
export class RawAgent {
  nonce: string | undefined
  readonly #token: string
  readonly #key: SigningKey<'agent'>

  private constructor(token: string, key: SigningKey<'agent'>) {
    this.#token = token
    this.#key = key
  }

  static async open(world: Pick<GatewayWorld, 'agent' | 'system'>, grantId: string): Promise<RawAgent> {
    const { token } = await world.agent().credential({ grantId })
    return new RawAgent(token, sampleKey(world.system.data, 'reconciler') as SigningKey<'agent'>)
  }

  get token(): string {
    return this.#token
  }

  /** The fields that say who calls. */
  fields(htm: string, htu: string): string[] {
    return [`Authorization: DPoP ${this.#token}`, `DPoP: ${this.proof(htm, htu)}`]
  }

  proof(htm: string, htu: string): string {
    const jti = encodeBase64url(systemRandom(16))
    const { nonce } = this
    return makeDpopProof({ htm, htu, jti, now: Date.now(), accessToken: this.#token, nonce }, this.#key)
  }
}
