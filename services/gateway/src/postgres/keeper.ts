import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import { type RandomSource, SerialQueue, withDeadline } from '@bailiwick/kit'
import { type LoggedIn, type LogIn, logIn, type ServerAddress } from './log-in.ts'
import { errorFields, firstValue, messageOf, statementMessages } from './messages.ts'

export interface KeeperOptions {
  /** The entry's name. */
  name: string
  address: ServerAddress
  /** The broker's login. It is read again for each connection: the password may have been rotated. */
  login: () => Promise<LogIn>
  random: RandomSource
  logger: Pick<Logger, 'warn' | 'info'>
  /** How often strays are looked for, in ms. */
  sweepMs?: number
}

/** How long one question may take. A role is dropped once its sessions are gone, which the database waits 5 s for. */
const mostMs = 10_000
/** How many may wait. */
const mostWaiting = 256

/** The database refused, and did nothing. */
class Refused extends Error {}

/**
 * The broker's connection to one database: it lends roles and takes them back. The database knows the loans of this connection, and takes
 * them back itself once the connection is gone, when any gateway next sweeps. So a gateway that is killed leaves no role for long.
 */
export class Keeper implements AsyncDisposable {
  readonly #options: KeeperOptions
  readonly #queue = new SerialQueue({ max: mostWaiting, maxPerKey: mostWaiting })
  readonly #timer: NodeJS.Timeout
  /** Roles that are lent, or may be, each with a callback for a broken connection, which turns its loans into strays. */
  readonly #lent = new Map<string, () => void>()
  /** Roles that the database could not take back yet. */
  readonly #owed = new Set<string>()
  #session: LoggedIn | undefined
  #isSweeping = false
  #isClosing = false
  #isClosed = false
  /** Whether the last sweep failed. A failure is logged once, not each time. */
  #isFailing = false

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#sweep(), options.sweepMs ?? 10_000).unref()
    void this.#sweep()
  }

  /**
   * Makes a role. `isLogged`: the DBA wants its statements in the log. `onLost` is called if the database may take the role back at any
   * moment. Rejects with `upstream_unreachable`, or `postgres_role_not_lent`: there is then no role, or a stray.
   */
  async lend(
    { template, role, verifier, seconds }: { template: string; role: string; verifier: string; seconds: number },
    onLost: () => void,
  ): Promise<{ isLogged: boolean }> {
    if (this.#isClosing) throw new ServiceError('upstream_unreachable', 'the database')
    this.#lent.set(role, onLost)
    try {
      const parameters = [template, role, verifier, String(seconds)]
      const lent = await this.#ask('SELECT bailiwick.lend($1, $2, $3, $4::integer)', parameters)
      return { isLogged: lent === 't' }
    } catch (error) {
      this.#lent.delete(role)
      if (error instanceof Refused) {
        this.#options.logger.warn({ database: this.#options.name, reason: error.message }, 'no role was lent')
        throw new ServiceError('postgres_role_not_lent')
      }
      // The role may exist after all.
      this.#owed.add(role)
      throw error
    }
  }

  /** Call it once its session has begun: no other session can then begin. */
  async closeDoor(role: string): Promise<void> {
    await this.#askFirst('SELECT bailiwick.close_door($1)', [role])
  }

  /** Cancels the running statement of a role. Never rejects: a client gets no answer to a request to cancel. */
  async cancel(role: string): Promise<void> {
    await this.#ask('SELECT bailiwick.cancel($1)', [role]).catch(() => undefined)
  }

  /** Ends the sessions of a role, and drops it: now, or once the database can. Never rejects. */
  async reclaim(role: string): Promise<void> {
    this.#lent.delete(role)
    this.#owed.add(role)
    await this.#takeBack(role)
  }

  async #takeBack(role: string): Promise<void> {
    try {
      await this.#askFirst('SELECT bailiwick.reclaim($1)', [role])
      this.#owed.delete(role)
    } catch (err) {
      this.#options.logger.warn({ err, database: this.#options.name, role }, 'A ROLE COULD NOT BE TAKEN BACK YET')
    }
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      const swept = Number(await this.#ask('SELECT bailiwick.sweep()', []))
      if (swept > 0) this.#options.logger.warn({ database: this.#options.name, swept }, 'stray roles were dropped')
      this.#isFailing = false
    } catch (err) {
      if (!this.#isFailing && !this.#isClosing)
        this.#options.logger.warn({ err, database: this.#options.name }, 'STRAY ROLES CANNOT BE LOOKED FOR')
      this.#isFailing = true
    } finally {
      for (const role of [...this.#owed]) if (!this.#isClosing) await this.#takeBack(role)
      this.#isSweeping = false
    }
  }

  /** The first value of the answer. */
  #ask(sql: string, parameters: readonly string[]): Promise<string | undefined> {
    return this.#queue.serially('', () => this.#answer(sql, parameters))
  }

  /** Asks ahead of all questions that wait. Used to close a door, and to take a role back. */
  #askFirst(sql: string, parameters: readonly string[]): Promise<string | undefined> {
    return this.#queue.first('', () => this.#answer(sql, parameters))
  }

  async #answer(sql: string, parameters: readonly string[]): Promise<string | undefined> {
    const session = await this.#connected()
    try {
      return await withDeadline(answerTo(session, sql, parameters), mostMs, 'upstream_timed_out')
    } catch (error) {
      if (!(error instanceof Refused)) session.socket.destroy()
      throw error instanceof Refused || error instanceof ServiceError
        ? error
        : new ServiceError('upstream_unreachable', 'the database', { cause: error })
    }
  }

  async #connected(): Promise<LoggedIn> {
    const { address, login, random } = this.#options
    if (this.#session !== undefined) return this.#session
    if (this.#isClosed) throw new ServiceError('upstream_unreachable', 'the database')
    const session = await logIn(address, await login(), { random })
    this.#session = session
    session.socket.once('close', () => {
      this.#session = undefined
      for (const onLost of this.#lent.values()) onLost()
    })
    return session
  }

  /** Takes back all lent roles. A role that cannot be taken back now becomes a stray. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#isClosing = true
    // Loans that are being made are finished by then.
    await this.#queue.serially('', async () => undefined)
    for (const role of [...this.#lent.keys(), ...this.#owed]) await this.#takeBack(role)
    this.#isClosed = true
    this.#session?.wire.send(messageOf('X'))
    this.#session?.socket.destroySoon()
  }
}

async function answerTo({ wire }: LoggedIn, sql: string, parameters: readonly string[]): Promise<string | undefined> {
  wire.send(statementMessages(sql, parameters))
  let value: string | undefined
  let refused: Refused | undefined
  for (;;) {
    const { type, body } = await wire.next()
    if (type === 'D') value = firstValue(body)
    if (type === 'E') refused = new Refused(errorFields(body).get('M'))
    if (type !== 'Z') continue
    if (refused !== undefined) throw refused
    return value
  }
}
