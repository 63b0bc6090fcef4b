import { createPrivateKey, type KeyObject } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import type { Permitted } from '@bailiwick/pep'
import { type Caller, type Executed, type RelayRequest, secretsIn, type Upstream } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import type { Claims } from '../mcp/claims.ts'
import { whole } from '../servers/channel.ts'
import { loginAction, loginOf } from './login-request.ts'
import { publicLine, rawOf, readPublicLine } from './public-key.ts'
import type { RevokedKeys } from './revoked-keys.ts'
import { type SshEntry, sshManifest } from './ssh-entry.ts'
import { userCertificate } from './user-certificate.ts'

export interface SshAuthorityOptions extends EntryOptions<SshEntry> {
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  revoked: RevokedKeys
}

/** Certificates of one entry that are valid at the same time: of all agents, and of one (V18). */
const [mostCertified, mostOfOneAgent] = [10_000, 500]
/** For a host whose clock is late. In seconds. */
const earlySeconds = 5

/** The hosts of one entry: asks for a decision about each login, and then signs one certificate for it. */
export class SshAuthority extends DecidedEntry<SshEntry, SshAuthorityOptions> {
  readonly #reference: string

  /** Throws `config_invalid`. */
  constructor(options: SshAuthorityOptions) {
    super(options, sshManifest(options.entry))
    const [reference = ''] = secretsIn(options.entry.ca)
    options.secrets.check(reference)
    this.#reference = reference
  }

  /** A file for `RevokedKeys` of sshd. */
  get revoked(): string {
    return this.options.revoked.text
  }

  /** A file for `TrustedUserCAKeys` of sshd. Throws `secret_unavailable`. */
  async publicKey(): Promise<string> {
    return `${publicLine(rawOf(await this.#ca()))}\n`
  }

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    return this.admit(caller, async ({ claims, relayTo }) => relayTo(this.#upstream(claims)).run(request, caller, gone))
  }

  #upstream(claims: Claims | undefined): Upstream {
    const { name, entry } = this.options
    return {
      toAction: (request) => loginAction(name, entry, request),
      execute: (permitted) => this.#sign(permitted, claims),
      async [Symbol.asyncDispose]() {
        // It holds nothing.
      },
    }
  }

  async #sign({ action, decisionId, permit }: Permitted, claims: Claims | undefined): Promise<Executed> {
    const { entry, now, random, revoked } = this.options
    const { host, account, command, key } = loginOf(action)
    const raw = readPublicLine(key)
    if (raw === undefined || claims === undefined)
      throw new ServiceError('invariant_broken', 'a login without a key or a credential')
    const { agent } = claims.owner
    if (revoked.size >= mostCertified || revoked.sizeOf(agent) >= mostOfOneAgent)
      throw new ServiceError('upstream_busy', 'too many certificates are valid')
    const ca = await this.#ca()
    const at = Math.floor(now() / 1000)
    // The decision point has verified the credential. No certificate outlives it.
    const validBefore = Math.min(at + entry.seconds, Math.floor(claims.credential.expiresAt))
    const certificate = userCertificate(
      {
        ...{ raw, command, validBefore, validAfter: at - earlySeconds, sourceAddresses: entry.source_addresses },
        serial: Buffer.from(random(8)).readBigUInt64BE(),
        keyId: `bailiwick ${permit.grant} ${claims.credential.id} ${decisionId}`,
        principal: `${account}@${host}`,
      },
      ca,
      random,
    )
    revoked.certified(key, { agent, decisionId, validBefore })
    return { status: 200, headers: ['content-type', 'text/plain'], body: whole(Buffer.from(`${certificate}\n`)) }
  }

  /** Throws `secret_unavailable`. */
  async #ca(): Promise<KeyObject> {
    const text = (await this.options.secrets.read(this.#reference)).reveal()
    const key = readKey(text)
    if (key?.asymmetricKeyType === 'ed25519') return key
    throw new ServiceError('secret_unavailable', `${this.#reference}: expected an Ed25519 key, in base64 of PKCS #8`)
  }

  protected async end(): Promise<void> {
    // Certificates outlive their entry.
  }
}

function readKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' })
  } catch {
    return undefined
  }
}
