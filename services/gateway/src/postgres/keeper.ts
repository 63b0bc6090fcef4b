import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import { BrokerConnection, type BrokerOptions, Refused } from './broker-connection.ts'

export interface KeeperOptions extends BrokerOptions {
  /** The entry's name. */
  name: string
  logger: Pick<Logger, 'warn' | 'info'>
  /** How often strays are looked for, in ms. */
  sweepMs?: number
}

/**
 * Lends roles of one database and takes them back, on two connections of the broker. The database knows the loans of the connection that
 * lends, and takes them back itself once that is gone, when any gateway next sweeps. So a gateway that is killed leaves no role for long.
 */
export class Keeper implements AsyncDisposable {
  readonly #options: KeeperOptions
  /** Its loans end with it. */
  readonly #lending: BrokerConnection
  /** A role may own so much that taking it back takes too long. No loan depends on this connection. */
  readonly #taking: BrokerConnection
  readonly #timer: NodeJS.Timeout
  /** Roles that are lent, or may be, each with a callback for a broken connection, which turns its loans into strays. */
  readonly #lent = new Map<string, () => void>()
  /** Roles that the database could not take back yet. */
  readonly #owed = new Set<string>()
  #isSweeping = false
  #isClosing = false
  /** Whether the last sweep failed. A failure is logged once, not each time. */
  #isFailing = false

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#lending = new BrokerConnection(options, () => {
      for (const onLost of this.#lent.values()) onLost()
    })
    this.#taking = new BrokerConnection(options)
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
      const lent = await this.#lending.ask('SELECT bailiwick.lend($1, $2, $3, $4::integer)', parameters)
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
    await this.#lending.askFirst('SELECT bailiwick.close_door($1)', [role])
  }

  /** Cancels the running statement of a role. Never rejects: a client gets no answer to a request to cancel. */
  async cancel(role: string): Promise<void> {
    await this.#lending.ask('SELECT bailiwick.cancel($1)', [role]).catch(() => undefined)
  }

  /** Ends the sessions of a role, and drops it: now, or once the database can. Never rejects. */
  async reclaim(role: string): Promise<void> {
    this.#lent.delete(role)
    this.#owed.add(role)
    await this.#takeBack(role)
  }

  async #takeBack(role: string): Promise<void> {
    try {
      await this.#taking.askFirst('SELECT bailiwick.reclaim($1)', [role])
      this.#owed.delete(role)
    } catch (err) {
      this.#options.logger.warn({ err, database: this.#options.name, role }, 'A ROLE COULD NOT BE TAKEN BACK YET')
    }
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping) return
    this.#isSweeping = true
    try {
      const swept = Number(await this.#taking.ask('SELECT bailiwick.sweep()'))
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

  /** Takes back all lent roles. A role that cannot be taken back now becomes a stray. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#isClosing = true
    // Loans that are being made are finished by then.
    await this.#lending.idle()
    for (const role of [...this.#lent.keys(), ...this.#owed]) await this.#takeBack(role)
    // A sweep may still be logging in.
    await this.#taking.idle().catch(() => undefined)
    for (const each of [this.#lending, this.#taking]) each.close()
  }
}
