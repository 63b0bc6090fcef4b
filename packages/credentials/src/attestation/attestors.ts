import { readFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { Agent, Attestor as Registered } from '@bailiwick/contracts'
import { ServiceError } from '@bailiwick/errors'
import { jcs } from '../canonical.ts'
import type { Refused } from '../verified.ts'
import type { Attested, Attestor, Presented } from './attestor.ts'
import { type AuthorityKeys, objectIn, parseAuthorityKeys } from './authority-keys.ts'
import { type Fetch, fetchBytes, maxAnswerBytes } from './fetch-bytes.ts'
import { JoinTokens } from './join-token.ts'
import { jwtSvidAttestor, svidUses } from './jwt-svid.ts'
import { KeySource, type Monotonic } from './key-source.ts'
import { oidcAttestor, oidcUses } from './oidc.ts'
import { registeredKeyAttestor } from './registered-key.ts'

type Place = { file: string } | { url: string }

/** More agents than any installation has. The oldest attestor is dropped first; its keys are then read again. */
const maxAttestors = 10_000

/** The attestor of every agent, according to its registration. Use one per process: what it remembers is in memory. */
export class Attestors implements Attestor {
  readonly joinTokens = new JoinTokens()
  readonly #registeredKeys = registeredKeyAttestor()
  readonly #fetch: Fetch
  readonly #clock: Monotonic
  /** Keyed by registration, so that a changed registration starts with its own keys. */
  readonly #made = new Map<string, Attestor>()

  constructor(options: { clock: Monotonic; fetch?: Fetch }) {
    this.#clock = options.clock
    this.#fetch = options.fetch ?? globalThis.fetch
  }

  attest(token: string, presented: Presented): Promise<Attested | Refused> {
    return this.#of(presented.agent).attest(token, presented)
  }

  #of({ id, attestor }: Agent): Attestor {
    if (attestor.kind === 'registered_key' || attestor.kind === 'emergency') return this.#registeredKeys
    if (attestor.kind === 'join_token') return this.joinTokens
    const name = jcs([id, attestor])
    const known = this.#made.get(name)
    if (known !== undefined) return known
    const made = this.#make(attestor)
    this.#made.set(name, made)
    if (this.#made.size > maxAttestors) this.#made.delete(this.#made.keys().next().value ?? name)
    return made
  }

  #make(attestor: Extract<Registered, { kind: 'jwt_svid' | 'oidc' }>): Attestor {
    if (attestor.kind === 'jwt_svid')
      return jwtSvidAttestor(new KeySource(() => this.#keysAt(attestor.bundle, svidUses), this.#clock))
    return oidcAttestor(attestor, new KeySource(() => this.#oidcKeys(attestor), this.#clock))
  }

  async #keysAt(place: Place, uses: readonly (string | undefined)[]): Promise<AuthorityKeys | undefined> {
    return parseAuthorityKeys('url' in place ? await fetchBytes(place.url, this.#fetch) : await fileBytes(place), uses)
  }

  /** OpenID Connect Discovery §4: the document must come from exactly the issuer that was asked for. */
  async #oidcKeys({ issuer, jwks }: Extract<Registered, { kind: 'oidc' }>): Promise<AuthorityKeys | undefined> {
    if (jwks !== undefined) return this.#keysAt(jwks, oidcUses)
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const found = objectIn(await fetchBytes(url, this.#fetch))
    if (found === undefined || found.issuer !== issuer || typeof found.jwks_uri !== 'string') return undefined
    return this.#keysAt({ url: found.jwks_uri }, oidcUses)
  }
}

/** Requires an absolute path: the meaning of a relative one depends on where the process was started. */
async function fileBytes({ file }: { file: string }): Promise<Uint8Array> {
  if (!isAbsolute(file)) throw new ServiceError('attestation_unavailable', 'not an absolute path')
  const bytes = await readFile(file)
  if (bytes.length > maxAnswerBytes) throw new ServiceError('attestation_unavailable', 'the file is too long')
  return bytes
}
