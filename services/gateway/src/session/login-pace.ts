import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'

/** The pause after a login that failed, in ms. */
const pauseMs = 30_000

/**
 * The logins of one application. All of its sessions use the same account, and applications lock an account that fails often. So until a login
 * worked, each goes alone, and a login that failed stops all others for a while.
 */
export class LoginPace {
  readonly #clock: Pick<Clock, 'monotonic'>
  #failed: { error: ServiceError; until: number } | undefined
  /** Whether the last login worked. */
  #isProven = false
  #alone: Promise<unknown> | undefined

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  async run<T>(logIn: () => Promise<T>): Promise<T> {
    while (!this.#isProven && this.#alone !== undefined) await this.#alone
    if (this.#failed !== undefined && this.#clock.monotonic() < this.#failed.until)
      throw new ServiceError(this.#failed.error.code, this.#failed.error.detail)
    this.#failed = undefined
    const trying = logIn()
    if (!this.#isProven) {
      const alone = trying.then(
        () => undefined,
        () => undefined,
      )
      this.#alone = alone
      void alone.then(() => {
        if (this.#alone === alone) this.#alone = undefined
      })
    }
    try {
      const result = await trying
      this.#isProven = true
      return result
    } catch (error) {
      // A login that ended before it used the account shows nothing about the account.
      if (error instanceof ServiceError && error.code.startsWith('session_')) {
        this.#isProven = false
        this.#failed = { error, until: this.#clock.monotonic() + pauseMs }
      }
      throw error
    }
  }
}
