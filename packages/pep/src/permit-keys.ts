import { timestampSchema } from '@bailiwick/contracts'
import {
  anchorKey,
  type Trust,
  type VerifyingKey,
  verifyingKey,
  verifyServiceKeyCertificate,
} from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { z } from 'zod'
import type { PdpClient } from './pdp-client.ts'

interface PermitKey {
  key: VerifyingKey<'permit'>
  notBefore: number
  notAfter: number
}

/** As many keys as fit in an answer: a year's keys may be prepared at once. */
const jwksSchema = z.object({ keys: z.array(z.object({ certificate: z.string().max(32_768).optional() })) })
const timeOf = (timestamp: string) => Date.parse(timestampSchema.parse(timestamp))

/** A key that the PDP no longer lists stops counting within this time. */
const keptMs = 60_000
/** For a permit signed by an unknown key the set is fetched again, but not more often than this, because permits come from outside. */
const againAfterMs = 1000

/**
 * The keys that may sign permits. They are read from the PDP and believed only with the root's certificate (DESIGN §3). An impostor that
 * answers in the PDP's place has none.
 */
export class PermitKeys {
  readonly #pdp: PdpClient
  readonly #trust: Trust
  readonly #now: () => number
  #keys = new Map<string, PermitKey>()
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(pdp: PdpClient, trust: Trust, now: () => number) {
    this.#pdp = pdp
    this.#trust = trust
    this.#now = now
  }

  /** The key with this thumbprint, if it may sign permits now. Throws `pdp_unavailable` if the set cannot be read. */
  async find(kid: string): Promise<VerifyingKey<'permit'> | undefined> {
    const age = this.#now() - this.#readAt
    const wanted = age < 0 || age >= keptMs || (!this.#keys.has(kid) && age >= againAfterMs)
    if (wanted) await this.#read()
    const found = this.#keys.get(kid)
    const now = this.#now()
    return found && found.notBefore <= now && now < found.notAfter ? found.key : undefined
  }

  async #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readOnce(): Promise<void> {
    const at = this.#now()
    const { status, body } = await this.#pdp.call('GET', '/access/v1/jwks')
    const set = jwksSchema.safeParse(body)
    if (status !== 200 || !set.success) throw new ServiceError('pdp_unavailable', 'no permit keys')
    const keys = set.data.keys.flatMap(({ certificate }) => this.#certified(certificate) ?? [])
    this.#keys = new Map(keys.map((key) => [key.key.kid, key]))
    this.#readAt = at
  }

  /** The key inside the certificate, not the one next to it. */
  #certified(certificate: string | undefined): PermitKey | undefined {
    if (certificate === undefined) return undefined
    const { installation } = this.#trust
    const verified = verifyServiceKeyCertificate({ certificate, key: anchorKey(this.#trust, 'root'), installation })
    if (!verified.ok || verified.value.purpose !== 'permit') return undefined
    const { jwk, not_before, not_after } = verified.value
    const key = verifyingKey('permit', jwk)
    return key && { key, notBefore: timeOf(not_before), notAfter: timeOf(not_after) }
  }
}
