import type { Agent, Attestor } from '@bailiwick/contracts'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { generateKey } from '../keys.ts'

export const agentId = 'spiffe://acme.example/agent/ledger'
export const audience = 'https://bailiwick.example'
export const now = 1_767_225_600_000

export const anAgent = (attestor: Attestor, id = agentId): Agent => ({
  id,
  name: 'ledger',
  owner: 'olga',
  attestor,
  labels: [],
  proactive_requests: true,
})

export const workloadKey = generateKey('agent')

/** An authority that vouches for workloads, with one key. */
export class Authority {
  readonly kid: string
  readonly alg: string
  readonly #privateKey: CryptoKey
  readonly jwk: JWK

  private constructor(kid: string, alg: string, privateKey: CryptoKey, jwk: JWK) {
    this.kid = kid
    this.alg = alg
    this.#privateKey = privateKey
    this.jwk = jwk
  }

  static async open(kid = 'authority-1', alg = 'RS256'): Promise<Authority> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    return new Authority(kid, alg, privateKey, { ...(await exportJWK(publicKey)), kid })
  }

  set(use?: string, more: object = {}): string {
    return JSON.stringify({ keys: [use === undefined ? this.jwk : { ...this.jwk, use }], ...more })
  }

  sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: this.alg, kid: this.kid, ...header }).sign(this.#privateKey)
  }
}

export const seconds = (ms: number) => Math.floor(ms / 1000)
