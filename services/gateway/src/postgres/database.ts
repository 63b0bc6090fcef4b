import { readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { RandomSource } from '@bailiwick/kit'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import {
  type Caller,
  fillTemplate,
  openRelay,
  type Refused,
  type Relayed,
  type RelayRequest,
  type SecretPort,
  secretsIn,
} from '@bailiwick/relay'
import { Calls } from '../calls.ts'
import { audienceFault, readClaims } from '../mcp/claims.ts'
import { Shares } from '../mcp/shares.ts'
import type { Behind } from '../served.ts'
import { type DatabaseEntry, databaseManifest } from './database-entry.ts'
import { DatabaseUpstream } from './database-upstream.ts'
import { Keeper } from './keeper.ts'
import type { LogIn, ServerAddress } from './log-in.ts'

export interface DatabaseOptions {
  name: string
  entry: DatabaseEntry
  point: EnforcementPoint
  secrets: SecretPort
  shares: Pick<Shares, 'checkStreams' | 'inShare'>
  random: RandomSource
  logger: Logger
  /** Its address as agents know it, without a slash at its end: the audience of credentials for it alone. */
  address: string
  /** Further audiences that mean every server: the gateway's address, and the installation's. */
  audiences: readonly string[]
}

/** Stands for all agents. No agent has this name. */
const all = ''

/** One database: asks for a decision about each connection, and borrows a role for it. */
export class Database implements Behind {
  readonly #options: DatabaseOptions
  readonly #keeper: Keeper
  readonly #upstream: DatabaseUpstream
  readonly #manifest: string
  readonly #calls = new Calls()
  /** The connections of each agent, and those of all together under one name. */
  readonly #ofEach: Shares
  readonly #together: Shares
  readonly #closing = new AbortController()

  /** Throws `config_invalid`. */
  constructor(options: DatabaseOptions) {
    const { name, entry, secrets, random, logger } = options
    for (const reference of secretsIn(entry.broker.password)) secrets.check(reference)
    const address = addressOf(name, entry)
    this.#options = options
    this.#manifest = databaseManifest(entry)
    const { each_agent, together } = entry.connections
    this.#ofEach = new Shares(() => ({ streams: each_agent, processes: 0, sessions: 0 }))
    this.#together = new Shares(() => ({ streams: together, processes: 0, sessions: 0 }))
    const login = async (): Promise<LogIn> => ({
      user: entry.broker.user,
      password: (await fillTemplate(entry.broker.password, secrets)).text,
      database: entry.database,
      settings: { application_name: 'bailiwick', lock_timeout: '5s' },
    })
    this.#keeper = new Keeper({ name, address, login, random, logger })
    this.#upstream = new DatabaseUpstream({
      ...{ server: this.toolServer, entry, address, random, logger },
      keeper: this.#keeper,
    })
  }

  get address(): string {
    return this.#options.address
  }

  /** The tool server that it is in the registry. */
  get toolServer(): string {
    const { name, entry } = this.#options
    return entry.server ?? name
  }

  /** Decides a connection, and opens it. As `Relay.run`. */
  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Relayed | Refusal | Refused> {
    return this.#calls.run(async () => {
      const { entry, point, shares, address, audiences } = this.#options
      const reason = audienceFault(caller.credential, [address, ...audiences])
      if (reason !== undefined) return { allowed: false, reason }
      const agent = readClaims(caller.credential)?.owner.agent
      if (agent !== undefined) for (const each of [shares, this.#ofEach]) each.checkStreams(agent)
      this.#together.checkStreams(all)
      const upstream = this.#together.inShare(this.#upstream, all)
      const relay = openRelay({
        ...{ point, manifest: this.#manifest, mostAnswerBytes: entry.most_answer_bytes },
        answerSeconds: entry.minutes * 60,
        upstream: agent === undefined ? upstream : shares.inShare(this.#ofEach.inShare(upstream, agent), agent),
      })
      return relay.run(request, caller, AbortSignal.any([gone, this.#closing.signal]))
    })
  }

  retire(): Promise<void> {
    return this.#calls.retire()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = this.#calls.retire()
    this.#closing.abort()
    await idle
    await this.#keeper[Symbol.asyncDispose]()
  }
}

function addressOf(name: string, { host, port, tls, ca }: DatabaseEntry): ServerAddress {
  if (!tls) return { host, port, tls: 'off' }
  try {
    return { host, port, tls: { ca: ca === undefined ? undefined : readFileSync(ca, 'utf8') } }
  } catch (cause) {
    throw new ServiceError('config_invalid', `postgres.${name}.ca: ${ca} cannot be read`, { cause })
  }
}
