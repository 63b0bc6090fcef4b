import { isObject, type JsonObject } from '@bailiwick/mcp'

/** What a server of the legacy era may ask of its client, by the capability that a client declares for it. */
const methods = { sampling: 'sampling/createMessage', elicitation: 'elicitation/create', roots: 'roots/list' } as const

/** The methods that a client says it answers, in the parameters of its `initialize`. */
export function declaredBy({ capabilities }: JsonObject): string[] {
  const declared = isObject(capabilities) ? capabilities : {}
  return Object.entries(methods).flatMap(([name, method]) => (isObject(declared[name]) ? [method] : []))
}

/** What a server may ask of the client of a session: what the client declared that it answers, and its grant could allow (`found`). */
export function asksOf(params: JsonObject, server: string, found: readonly string[]): ServerRequests | undefined {
  const declared = declaredBy(params)
  if (declared.length === 0) return undefined
  return new ServerRequests(declared.filter((method) => found.includes(`${server}/${method}`)))
}

/** Requests of a server that wait for their client at once. */
const mostWaiting = 32

/**
 * The requests of a server to its client, in one session. One passes only if the client declared that it answers such requests, and if the
 * grant could allow the answer. The answer itself is decided like a call.
 */
export class ServerRequests {
  readonly #allowed: ReadonlySet<string>
  /** An id is taken until its answer was decided: under another question, the answer would be another action. */
  readonly #waiting = new Map<string | number, { method: string; isDecided: boolean }>()

  constructor(allowed: Iterable<string>) {
    this.#allowed = new Set(allowed)
  }

  /** Whether a request may pass to the client. It then waits for its answer. */
  ask(id: string | number, method: string): boolean {
    if (!this.#allowed.has(method) || this.#waiting.has(id) || this.#waiting.size >= mostWaiting) return false
    this.#waiting.set(id, { method, isDecided: false })
    return true
  }

  /** The method that this answers, for one caller: a second answer answers nothing. */
  take(id: string | number | undefined): string | undefined {
    const waiting = id === undefined ? undefined : this.#waiting.get(id)
    if (waiting === undefined || waiting.isDecided) return undefined
    waiting.isDecided = true
    return waiting.method
  }

  /** It was not decided: its client may answer again. */
  putBack(id: string | number): void {
    const waiting = this.#waiting.get(id)
    if (waiting !== undefined) waiting.isDecided = false
  }

  /** It was answered, by its client or by the gateway. */
  answered(id: string | number): void {
    this.#waiting.delete(id)
  }
}
