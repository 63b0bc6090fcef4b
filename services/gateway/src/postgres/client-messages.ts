import { createHash } from 'node:crypto'
import { ServiceError } from '@bailiwick/errors'
import { GatheredBytes, TypedMessages } from '@bailiwick/kit'

/** A statement that a client sent. */
export interface Statement {
  /** Counted from 1, in one connection. */
  readonly number: number
  readonly text: string
}

export interface ClientMessagesOptions {
  /** The hash of statements begins with it, so that equal statements of two connections have two hashes. */
  decisionId: string
  onStatement: (statement: Statement) => void
  /** Called when the agent's side sends a request to cancel. */
  onCancel: () => void
}

/**
 * The messages that a client may send after its start-up: simple and extended queries, COPY, and the end. Not FunctionCall, which names a function by
 * its number without a statement, and no messages of authentication.
 */
const allowed: ReadonlySet<string> = new Set('QPBEDCHSdcfX')
/** The agent's side sends it between two messages. PostgreSQL has no message of this type, and it is not sent on. */
export const cancelType = '!'
/** The longest text of a statement, and the longest message of any kind. */
const mostText = 1024 * 1024
const mostMessage = 64 * 1024 * 1024

const domain = 'bailiwick-postgres-statements-v1'
const hashOf = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Reads what a client sends, to name its statements in the evidence. It changes nothing, and holds no more than one statement. */
export class ClientMessages {
  readonly #options: ClientMessagesOptions
  readonly #messages = new TypedMessages()
  #type = ''
  #text: GatheredBytes | undefined
  #count = 0
  #chain: Buffer

  constructor(options: ClientMessagesOptions) {
    this.#options = options
    this.#chain = hashOf(domain, '\0', options.decisionId)
  }

  /** How the evidence names all statements so far: h0 = SHA-256(domain, 0, decision id), hn = SHA-256(hn-1, SHA-256(text n)). */
  get hash(): string {
    return this.#chain.toString('base64url')
  }

  /** Whether the client has ended its session (Terminate). */
  get isTerminated(): boolean {
    return this.#type === 'X'
  }

  /** The part of a chunk that goes to the server. Throws `request_malformed` for a forbidden message; then nothing of the chunk is sent. */
  read(chunk: Uint8Array): Buffer {
    const passed: Uint8Array[] = []
    try {
      this.#messages.read(chunk, {
        begin: (type, length, head) => {
          this.#begin(type, length)
          if (type !== cancelType) passed.push(head)
        },
        part: (bytes) => {
          this.#text?.push(bytes)
          passed.push(bytes)
        },
        end: () => this.#end(),
      })
    } catch (error) {
      throw error instanceof ServiceError ? error : malformed()
    }
    return Buffer.concat(passed)
  }

  #begin(type: string, length: number): void {
    const isStatement = type === 'Q' || type === 'P'
    if (type === cancelType ? length > 0 : !allowed.has(type)) throw malformed()
    if (length > (isStatement ? mostText : mostMessage)) throw malformed()
    this.#type = type
    this.#text = isStatement ? new GatheredBytes() : undefined
  }

  #end(): void {
    if (this.#type === cancelType) this.#options.onCancel()
    if (this.#text === undefined) return
    const text = statementIn(this.#type, this.#text.bytes())
    this.#text = undefined
    this.#chain = hashOf(this.#chain, hashOf(text))
    this.#options.onStatement({ number: ++this.#count, text: text.toString() })
  }
}

const malformed = () => new ServiceError('request_malformed', 'a message of PostgreSQL')

/** The text in a Query, or in a Parse after the name that the statement gets. */
function statementIn(type: string, body: Buffer): Buffer {
  const from = type === 'P' ? body.indexOf(0) + 1 : 0
  const to = body.indexOf(0, from)
  if (to < 0 || (type === 'Q' && to !== body.length - 1)) throw malformed()
  return body.subarray(from, to)
}
