import { readFileSync } from 'node:fs'
import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { Clock, RandomSource } from '@bailiwick/kit'
import { type Caller, fillTemplate, type RelayRequest, secretsIn } from '@bailiwick/relay'
import { type Called, DecidedEntry, type EntryOptions } from '../decided-entry.ts'
import { Shares } from '../mcp/shares.ts'
import { connectAction, ofSeconds } from './database-action.ts'
import { type DatabaseEntry, databaseManifest } from './database-entry.ts'
import { DatabaseUpstream, type DatabaseUpstreamOptions } from './database-upstream.ts'
import { Keeper } from './keeper.ts'
import type { LogIn, ServerAddress } from './log-in.ts'

export interface DatabaseOptions extends EntryOptions<DatabaseEntry> {
  clock: Pick<Clock, 'monotonic'>
  random: RandomSource
  logger: Logger
}

/** Stands for all agents. No agent has this name. */
const all = ''

/** One database: asks for a decision about each connection, and borrows a role for it. */
export class Database extends DecidedEntry<DatabaseEntry, DatabaseOptions> {
  readonly #keeper: Keeper
  readonly #address: ServerAddress
  /** The connections of all agents together, under one name. */
  readonly #together: Shares
  readonly #closing = new AbortController()

  /** Throws `config_invalid`. */
  constructor(options: DatabaseOptions) {
    const { name, entry, secrets, random, logger } = options
    const { each_agent, together } = entry.connections
    super(options, databaseManifest(entry), [connections(each_agent)])
    const references = secretsIn(entry.broker.password)
    for (const reference of references) secrets.check(reference)
    this.#address = addressOf(name, entry)
    this.#together = connections(together)
    const login = async (isRefused: boolean): Promise<LogIn> => {
      if (isRefused) for (const reference of references) secrets.doubt(reference)
      const password = (await fillTemplate(entry.broker.password, secrets)).text
      const settings = { application_name: 'bailiwick', lock_timeout: '5s' }
      return { user: entry.broker.user, password, database: entry.database, settings }
    }
    this.#keeper = new Keeper({ name, address: this.#address, login, random, logger })
  }

  call(request: RelayRequest, caller: Caller, gone: AbortSignal): Promise<Called> {
    const { entry, server } = this
    const { clock, random, logger } = this.options
    return this.admit(caller, async ({ relayTo }) => {
      this.#together.checkStreams(all)
      const { seconds, isCounted } = await this.#secondsFor(request, caller)
      const upstream = new DatabaseUpstream({
        ...{ server, entry, seconds, isCounted, clock, random, logger },
        ...{ address: this.#address, keeper: this.#keeper },
      })
      const over = AbortSignal.any([gone, this.#closing.signal])
      const limits = { mostAnswerBytes: entry.most_answer_bytes, answerSeconds: seconds }
      return relayTo(this.#together.inShare(upstream, all), limits).run(request, caller, over)
    })
  }

  /** The entry's minutes, or what the caller's budget has left of them. The decision reserves them, or denies. */
  async #secondsFor(
    request: RelayRequest,
    caller: Caller,
  ): Promise<Pick<DatabaseUpstreamOptions, 'seconds' | 'isCounted'>> {
    const most = this.entry.minutes * 60
    const action = connectAction(this.server, this.entry, request, most)
    if ('refused' in action) return { seconds: most, isCounted: false }
    const left = await this.left(action, caller, request.method)
    if ('allowed' in left || !left.isCounted) return { seconds: most, isCounted: false }
    const seconds = Math.floor(Number(left.amountOf(ofSeconds)))
    return { seconds: seconds >= 1 && seconds < most ? seconds : most, isCounted: true }
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
