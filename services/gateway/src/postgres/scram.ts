import { createHash, createHmac, pbkdf2 as derive, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { RandomSource } from '@bailiwick/kit'

const pbkdf2 = promisify(derive)
const iterationsOfOurs = 4096
/** Without this limit, a server could keep a core busy for minutes. */
const mostIterations = 1_000_000

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()
const salted = (password: string, salt: Uint8Array, iterations: number): Promise<Buffer> =>
  pbkdf2(password, salt, iterations, 32, 'sha256')

/** The verifier of a password of visible ASCII. The statement that makes the role has this verifier instead of the password. */
export async function verifierOf(password: string, random: RandomSource): Promise<string> {
  const salt = Buffer.from(random(16))
  const key = await salted(password, salt, iterationsOfOurs)
  const stored = hash(hmac(key, 'Client Key'))
  const base64 = (bytes: Buffer) => bytes.toString('base64')
  return `SCRAM-SHA-256$${iterationsOfOurs}:${base64(salt)}$${base64(stored)}:${base64(hmac(key, 'Server Key'))}`
}

/** The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for a password of visible ASCII. Each step throws if the server is wrong. */
export class ScramClient {
  readonly #password: string
  readonly #nonce: string
  #authMessage = ''
  #serverKey: Buffer | undefined

  constructor(password: string, random: RandomSource) {
    this.#password = password
    this.#nonce = Buffer.from(random(18)).toString('base64')
  }

  first(): string {
    return `n,,${this.#bareFirst()}`
  }

  async final(serverFirst: string): Promise<string> {
    const [, nonce = '', salt = '', count = ''] =
      /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,7})$/.exec(serverFirst) ?? []
    const iterations = Number(count)
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) throw new Error('the nonce')
    if (iterations < iterationsOfOurs || iterations > mostIterations) throw new Error('the number of iterations')
    const key = await salted(this.#password, Buffer.from(salt, 'base64'), iterations)
    const clientKey = hmac(key, 'Client Key')
    const withoutProof = `c=biws,r=${nonce}`
    this.#authMessage = `${this.#bareFirst()},${serverFirst},${withoutProof}`
    const signature = hmac(hash(clientKey), this.#authMessage)
    this.#serverKey = hmac(key, 'Server Key')
    return `${withoutProof},p=${Buffer.from(clientKey.map((byte, n) => byte ^ (signature[n] ?? 0))).toString('base64')}`
  }

  /** The server proves that it knows the password too. */
  verify(serverFinal: string): void {
    const [, given = ''] = /^v=([A-Za-z0-9+/=]+)/.exec(serverFinal) ?? []
    const signature = Buffer.from(given, 'base64')
    const wanted = this.#serverKey === undefined ? undefined : hmac(this.#serverKey, this.#authMessage)
    if (wanted === undefined || signature.length !== wanted.length || !timingSafeEqual(signature, wanted))
      throw new Error('the server does not know the password')
  }

  #bareFirst(): string {
    return `n=,r=${this.#nonce}`
  }
}
