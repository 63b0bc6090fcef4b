import { createPrivateKey, type KeyObject } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import type { EnforcementPoint, Permitted, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  type Executed,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
  secretsIn,
  type Upstream,
} from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, type Claims, readClaims } from '../mcp/claims.ts'
import type { Behind } from '../served.ts'
import { whole } from '../servers/channel.ts'
import { loginAction, readLoginRequest } from './login-request.ts'
import { publicLine, rawOf } from './public-key.ts'
import type { RevokedKeys } from './revoked-keys.ts'
import { type SshEntry, sshManifest } from './ssh-entry.ts'
import { userCertificate } from './user-certificate.ts'

export interface SshAuthorityOptions {
  name: string
  entry: SshEntry
  point: EnforcementPoint
  secrets: SecretPort
  /** ms since the epoch */
  now: () => number
  random: (n: number) => Uint8Array
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every entry: the gateway's address, and the installation's. */
  audiences: readonly string[]
  revoked: RevokedKeys
}

/** Certificates of one entry that are valid at the same time. */
const mostCertified = 10_000
/** For a host whose clock is late. In seconds. */
const earlySeconds = 5

/** The hosts of one entry: asks for a decision about each login, and then signs one certificate for it. */
export class SshAuthority implements Behind {
  readonly #options: SshAuthorityOptions
  readonly #reference: string
  readonly #manifest: string
  readonly #calls = new Calls()

  /** Throws `config_invalid`. */
  constructor(options: SshAuthorityOptions) {
    this.#options = options
    const [reference = ''] = secretsIn(options.entry.ca)
    options.secrets.check(reference)
    this.#reference = reference
    this.#manifest = sshManifest(options.entry)
  }

  get address(): string {
    return this.#options.address
  }

  /** The tool server that it is in the registry. */
  get toolServer(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  /** A file for `RevokedKeys` of sshd. */
  get revoked(): string {
    return this.#options.revoked.text
  }

  /** A file for `TrustedUserCAKeys` of sshd. Throws `secret_unavailable`. */
  async publicKey(): Promise<string> {
    return `${publicLine(rawOf(await this.#ca()))}\n`
  }

  /** Rejects with a ServiceError for what happened after the permit. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(async () => {
      const { point, address, audiences } = this.#options
      const reason = audienceFault(caller.credential, [address, ...audiences])
      if (reason !== undefined) return { allowed: false, reason }
      const upstream = this.#upstream(readClaims(caller.credential))
      return openRelay({ point, upstream, manifest: this.#manifest }).run(request, caller, gone)
    })
  }

  #upstream(claims: Claims | undefined): Upstream {
    const { name, entry } = this.#options
    return {
      toAction: (request) => {
        const asked = readLoginRequest(name, entry, request)
        return 'refused' in asked ? asked : loginAction(this.toolServer, asked)
      },
      execute: (permitted, request) => this.#sign(permitted, request, claims),
      async [Symbol.asyncDispose]() {
        // It holds nothing.
      },
    }
  }

  async #sign({ decisionId, permit }: Permitted, request: RelayRequest, claims: Claims | undefined): Promise<Executed> {
    const { name, entry, now, random, revoked } = this.#options
    const asked = readLoginRequest(name, entry, request)
    if ('refused' in asked || claims === undefined)
      throw new ServiceError('invariant_broken', 'a login without an action')
    if (revoked.size >= mostCertified) throw new ServiceError('upstream_busy', 'too many certificates are valid')
    const ca = await this.#ca()
    const at = Math.floor(now() / 1000)
    // The decision point has verified the credential. No certificate outlives it.
    const validBefore = Math.min(at + entry.seconds, Math.floor(claims.credential.expiresAt))
    const { host, account, command, raw, key } = asked
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
    revoked.certified(key, { decisionId, validBefore })
    return { status: 200, headers: ['content-type', 'text/plain'], body: whole(Buffer.from(`${certificate}\n`)) }
  }

  /** Throws `secret_unavailable`. */
  async #ca(): Promise<KeyObject> {
    const text = (await this.#options.secrets.read(this.#reference)).reveal()
    const key = readKey(text)
    if (key?.asymmetricKeyType === 'ed25519') return key
    throw new ServiceError('secret_unavailable', `${this.#reference}: expected an Ed25519 key, in base64 of PKCS #8`)
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#calls.retire()
  }
}

function readKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' })
  } catch {
    return undefined
  }
}
