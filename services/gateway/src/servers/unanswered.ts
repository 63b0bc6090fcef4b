type Id = string | number

/** Requests that a session may have given up. */
const most = 1024

/**
 * The requests of one session that their server has not answered. On another stream than its request's, only its id says what a response
 * belongs to. So it is taken there only if no other request had this id, and only until its call is withdrawn.
 */
export class Unanswered {
  readonly #all = new Map<Id, 'own stream' | 'any stream' | 'ambiguous'>()
  /** More were given up than are remembered, so no id is known to be new. */
  #isFull = false

  /** A request was sent. */
  sent(id: Id): void {
    if (this.#all.has(id)) this.#all.set(id, 'ambiguous')
    else if (this.#all.size >= most) this.#isFull = true
    else this.#all.set(id, 'own stream')
  }

  /** Its response may also come on the stream of the session from now on. Returns whether that can be: its id is its own. */
  mayMove(id: Id): boolean {
    if (this.#isFull || this.#all.get(id) !== 'own stream') return false
    this.#all.set(id, 'any stream')
    return true
  }

  /** Its response came on its own stream. */
  answered(id: Id): void {
    if (this.#all.get(id) !== 'ambiguous') this.#all.delete(id)
  }

  /** Its call was withdrawn: nothing may come of it any more. */
  withdrawn(id: Id): void {
    if (this.#all.has(id)) this.#all.set(id, 'ambiguous')
  }

  /** Whether a response on the stream of the session may pass. It passes once. */
  moved(id: Id): boolean {
    return !this.#isFull && this.#all.get(id) === 'any stream' && this.#all.delete(id)
  }
}
