import { readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { RandomSource } from '@bailiwick/kit'
import { type Caller, fillTemplate, type RelayRequest, secretsIn } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import { Shares } from '../mcp/shares.ts'
import { type DatabaseEntry, databaseManifest } from './database-entry.ts'
import { DatabaseUpstream } from './database-upstream.ts'
import { Keeper } from './keeper.ts'
import type { LogIn, ServerAddress } from './log-in.ts'

export interface DatabaseOptions extends EntryOptions<DatabaseEntry> {
  random: RandomSource
  logger: Logger
}

/** Stands for all agents. No agent has this name. */
const all = ''

/** One database: asks for a decision about each connection, and borrows a role for it. */
export class Database extends DecidedEntry<DatabaseEntry> {
  readonly #keeper: Keeper
  readonly #upstream: DatabaseUpstream
  /** The connections of all agents together, under one name. */
  readonly #together: Shares
  readonly #closing = new AbortController()

  /** Throws `config_invalid`. */
  constructor(options: DatabaseOptions) {
    const { name, entry, secrets, random, logger } = options
    const { each_agent, together } = entry.connections
    super(options, databaseManifest(entry), [connections(each_agent)])
    for (const reference of secretsIn(entry.broker.password)) secrets.check(reference)
    const address = addressOf(name, entry)
    this.#together = connections(together)
    const login = async (): Promise<LogIn> => ({
      user: entry.broker.user,
      password: (await fillTemplate(entry.broker.password, secrets)).text,
      database: entry.database,
      settings: { application_name: 'bailiwick', lock_timeout: '5s' },
    })
    this.#keeper = new Keeper({ name, address, login, random, logger })
    this.#upstream = new DatabaseUpstream({
      ...{ server: this.server, entry, address, random, logger },
      keeper: this.#keeper,
    })
  }

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    const { most_answer_bytes: mostAnswerBytes, minutes } = this.entry
    return this.admit(caller, async ({ relayTo }) => {
      this.#together.checkStreams(all)
      const upstream = this.#together.inShare(this.#upstream, all)
      const over = AbortSignal.any([gone, this.#closing.signal])
      return relayTo(upstream, { mostAnswerBytes, answerSeconds: minutes * 60 }).run(request, caller, over)
    })
  }

  protected async end(idle: Promise<void>): Promise<void> {
    this.#closing.abort()
    await idle
    await this.#keeper[Symbol.asyncDispose]()
  }
}

const connections = (streams: number) => new Shares(() => ({ streams, processes: 0, sessions: 0 }))

function addressOf(name: string, { host, port, tls, ca }: DatabaseEntry): ServerAddress {
  if (!tls) return { host, port, tls: 'off' }
  try {
    return { host, port, tls: { ca: ca === undefined ? undefined : readFileSync(ca, 'utf8') } }
  } catch (cause) {
    throw new ServiceError('config_invalid', `postgres.${name}.ca: ${ca} cannot be read`, { cause })
  }
}
