import { errorCode, ServiceError } from '@bailiwick/errors'
import { type RandomSource, SerialQueue, withDeadline } from '@bailiwick/kit'
import { type LoggedIn, type LogIn, logIn, type ServerAddress } from './log-in.ts'
import { errorFields, firstValue, messageOf, statementMessages } from './messages.ts'

export interface BrokerOptions {
  address: ServerAddress
  /** The broker's login. It is read again for each connection. `isRefused`: the database refused the last password, which may have been rotated. */
  login: (isRefused: boolean) => Promise<LogIn>
  random: RandomSource
}

/** How long one question may take. A role is dropped once its sessions are gone, which the database waits 5 s for. */
const mostMs = 10_000
/** How many may wait. */
const mostWaiting = 256

/** The database refused, and did nothing. */
export class Refused extends Error {}

/** One connection of the broker, opened when it is needed. Questions are asked one after the other. */
export class BrokerConnection {
  readonly #options: BrokerOptions
  readonly #onLost: () => void
  readonly #queue = new SerialQueue({ max: mostWaiting, maxPerKey: mostWaiting })
  #session: LoggedIn | undefined
  #isClosed = false

  /** `onLost` is called when an open connection has broken or was closed. */
  constructor(options: BrokerOptions, onLost: () => void = () => undefined) {
    this.#options = options
    this.#onLost = onLost
  }

  /** The first value of the answer. Rejects with `Refused`, or a ServiceError. */
  ask(sql: string, parameters: readonly string[] = []): Promise<string | undefined> {
    return this.#queue.serially('', () => this.#answer(sql, parameters))
  }

  /** Asks ahead of all questions that wait. */
  askFirst(sql: string, parameters: readonly string[]): Promise<string | undefined> {
    return this.#queue.first('', () => this.#answer(sql, parameters))
  }

  /** Resolves once all questions that were asked are answered. */
  async idle(): Promise<void> {
    await this.#queue.serially('', async () => undefined)
  }

  close(): void {
    this.#isClosed = true
    this.#session?.wire.send(messageOf('X'))
    this.#session?.socket.destroySoon()
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
    if (this.#session !== undefined) return this.#session
    if (this.#isClosed) throw new ServiceError('upstream_unreachable', 'the database')
    const session = await this.#logIn()
    if (this.#isClosed) {
      session.socket.destroy()
      throw new ServiceError('upstream_unreachable', 'the database')
    }
    this.#session = session
    session.socket.once('close', () => {
      this.#session = undefined
      this.#onLost()
    })
    return session
  }

  async #logIn(): Promise<LoggedIn> {
    const { address, login, random } = this.#options
    const first = await login(false)
    try {
      return await logIn(address, first, { random })
    } catch (error) {
      if (errorCode(error) !== 'upstream_failed') throw error
      const now = await login(true)
      if (now.password === first.password) throw error
      return logIn(address, now, { random })
    }
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
