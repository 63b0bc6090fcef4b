import { setImmediate } from 'node:timers/promises'
import { type Action, actionDigest, makeDpopProof, type SigningKey, signCallerAssertion } from '@bailiwick/credentials'
import { sample, sampleKey } from '@bailiwick/standalone/sample'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import type { Place } from '../place.ts'
import { Load, postOf } from './load.ts'
import { folderRequest } from './policy-files.ts'

export const boxcar = 50

/** Makes requests that are allowed, each a new one. */
export interface Caller {
  /** `count` evaluations, one in each request. They must be sent within 30 s. */
  singles(count: number): Promise<Buffer[]>
  /** `count` requests of `boxcar` evaluations. */
  boxcars(count: number): Promise<Buffer[]>
  /** Proofs from the seconds around a start need a nonce: a call without one fetches it. */
  learnNonce?(url: string): Promise<void>
}

const singlePath = '/access/v1/evaluation'
const boxcarPath = '/access/v1/evaluations'

/** Calls a plain decision point. */
export class PlainCaller implements Caller {
  #made = 0

  async singles(count: number): Promise<Buffer[]> {
    return Array.from({ length: count }, () => postOf(singlePath, JSON.stringify(folderRequest(this.#made++))))
  }

  async boxcars(count: number): Promise<Buffer[]> {
    const items = () => Array.from({ length: boxcar }, () => folderRequest(this.#made++))
    return Array.from({ length: count }, () => postOf(boxcarPath, JSON.stringify({ evaluations: items() })))
  }
}

const action = { name: 'tools/call', properties: { invoice: 'INV-1' } }
const resource = { type: 'tool', id: `${sample.toolServer}/read` }
const digest = actionDigest({ ...action, resource } satisfies Action)
/** A credential lives 600 s here, and an assertion and a proof a minute. */
const tokensForMs = 240_000

/** Calls a decision point with grants as an enforcement point does, for an agent under its grants in turn. */
export class GrantCaller implements Caller {
  readonly #place: Place
  readonly #callerKey: SigningKey<'pep-caller'>
  #tokens: { all: string[]; until: number } = { all: [], until: 0 }
  #nonce: string | undefined
  #made = 0

  constructor(place: Place) {
    this.#place = place
    this.#callerKey = sampleKey(place.data, 'point-caller')
  }

  async singles(count: number): Promise<Buffer[]> {
    await this.#renew()
    const headers = this.#headers()
    return this.#each(count, () => {
      const body = { ...this.#named(), context: this.#context() }
      return postOf(singlePath, JSON.stringify(body), headers)
    })
  }

  async boxcars(count: number): Promise<Buffer[]> {
    await this.#renew()
    const headers = this.#headers()
    return this.#each(count, () => {
      const evaluations = Array.from({ length: boxcar }, () => ({ context: this.#context() }))
      return postOf(boxcarPath, JSON.stringify({ ...this.#named(), evaluations }), headers)
    })
  }

  async learnNonce(url: string): Promise<void> {
    using load = await Load.open(url, 1)
    this.#nonce = undefined
    const [request] = await this.singles(1)
    const { body } = await load.ask(request as Buffer)
    this.#nonce = (JSON.parse(body) as { context?: { dpop_nonce?: string } }).context?.dpop_nonce
  }

  /** Pauses, so that answers are read in between. */
  async #each(count: number, make: () => Buffer): Promise<Buffer[]> {
    const made: Buffer[] = []
    while (made.length < count) {
      made.push(make())
      if (made.length % 20 === 0) await setImmediate()
    }
    return made
  }

  async #renew(): Promise<void> {
    if (performance.now() < this.#tokens.until) return
    const agent = sampleAgent(this.#place, 'reconciler')
    const credentials = this.#place.grantIds.map((grantId) => agent.credential({ grantId }))
    const all = (await Promise.all(credentials)).map(({ token }) => token)
    this.#tokens = { all, until: performance.now() + tokensForMs }
  }

  #named() {
    return { subject: { type: 'agent', id: this.#place.agent }, action, resource }
  }

  #context() {
    const n = ++this.#made
    const { invoicesUrl, key } = this.#place
    const credential = this.#tokens.all[n % this.#tokens.all.length] as string
    const htu = `${invoicesUrl}/read`
    const proof = makeDpopProof(
      {
        ...{ htm: 'POST', htu, accessToken: credential, actionDigest: digest, now: Date.now() },
        jti: `bench-${process.pid}-${String(n).padStart(12, '0')}`,
        ...(this.#nonce === undefined ? {} : { nonce: this.#nonce }),
      },
      key,
    )
    return { bailiwick: { credential, proof, htm: 'POST', htu, action_digest: digest } }
  }

  #headers() {
    const iat = Math.floor(Date.now() / 1000)
    const iss = sample.enforcementPoint
    const jti = `bench-${process.pid}-${this.#made}`
    const claims = { iss, sub: iss, aud: this.#place.url, iat, exp: iat + 60, jti }
    return { authorization: `Bearer ${signCallerAssertion(claims, this.#callerKey)}` }
  }
}
