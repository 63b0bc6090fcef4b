import { Writable } from 'node:stream'
import { ServiceError } from '@bailiwick/errors'
import type { Logger } from '@bailiwick/host'
import type { Clock, RandomSource } from '@bailiwick/kit'
import type { Permitted } from '@bailiwick/pep'
import { bodyOf, type Executed, type Upstream } from '@bailiwick/relay'
import { ClientMessages } from './client-messages.ts'
import { connectAction, ofSeconds, settingsOf } from './database-action.ts'
import type { DatabaseEntry } from './database-entry.ts'
import type { Keeper } from './keeper.ts'
import { type LoggedIn, logIn, type ServerAddress } from './log-in.ts'
import { messageOf } from './messages.ts'
import { verifierOf } from './scram.ts'

export interface DatabaseUpstreamOptions {
  /** The tool server's name in the registry. */
  server: string
  entry: DatabaseEntry
  /** How long a connection may last, and whether a budget counts it: an outcome states no cost that was not reserved. */
  seconds: number
  isCounted: boolean
  address: ServerAddress
  keeper: Pick<Keeper, 'lend' | 'closeDoor' | 'cancel' | 'reclaim'>
  clock: Pick<Clock, 'monotonic'>
  random: RandomSource
  logger: Pick<Logger, 'info' | 'warn'>
}

/** How long a session may go on once its client has closed its side. */
const lingerMs = 2000

/** A database as the upstream of a relay: borrows a role for each permit, and passes the session's bytes on in both directions. */
export class DatabaseUpstream implements Upstream {
  readonly #options: DatabaseUpstreamOptions

  constructor(options: DatabaseUpstreamOptions) {
    this.#options = options
  }

  toAction(request: Parameters<Upstream['toAction']>[0]) {
    const { server, entry, seconds } = this.#options
    return connectAction(server, entry, request, seconds)
  }

  async execute({ action, decisionId, signal, owed }: Permitted): Promise<Executed> {
    const { entry, seconds, isCounted, address, keeper, clock, random, logger } = this.#options
    // Before there is a role.
    if (owed.redact.length > 0)
      throw new ServiceError('answer_withheld', 'fields must be hidden, and a database has none')
    const role = `bailiwick_${decisionId}`
    const password = Buffer.from(random(24)).toString('base64url')
    const verifier = await verifierOf(password, random)
    signal.throwIfAborted()
    const lost = new AbortController()
    const onLost = () => lost.abort(new ServiceError('upstream_failed', 'the connection that lends the role broke'))
    const over = AbortSignal.any([signal, lost.signal])
    const begun = clock.monotonic()
    const { isLogged } = await keeper.lend({ template: entry.template, role, verifier, seconds }, onLost)
    const end = () => void keeper.reclaim(role)
    let session: LoggedIn
    try {
      const settings = { ...settingsOf(action), application_name: decisionId }
      session = await logIn(
        address,
        { user: role, password, database: entry.database, settings },
        { random, signal: over },
      )
    } catch (error) {
      end()
      throw error
    }
    try {
      await keeper.closeDoor(role)
      session.wire.release()
    } catch (cause) {
      session.socket.destroy()
      end()
      throw cause instanceof ServiceError ? cause : new ServiceError('upstream_failed', undefined, { cause })
    }
    let isCancelling = false
    const messages = new ClientMessages({
      decisionId,
      // One at a time, however often an agent asks: all agents share the keeper's queue.
      onCancel() {
        if (isCancelling) return
        isCancelling = true
        void keeper.cancel(role).finally(() => {
          isCancelling = false
        })
      },
      onStatement({ number, text }) {
        if (isLogged) logger.info({ decision_id: decisionId, number, text }, 'a statement was sent')
      },
    })
    return {
      ...{ status: 101, headers: [], detailHash: () => messages.hash },
      used: () =>
        isCounted ? { cost: { amount: String(lasted(clock.monotonic() - begun, seconds)), currency: ofSeconds } } : {},
      // A session that its client did not end may have lost its last statements.
      failed: () => (messages.isTerminated ? false : undefined),
      ...flowing(session, messages, over, end),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its roles end with the keeper.
  }
}

/** Each second that was begun counts as a whole one. */
const lasted = (ms: number, most: number): number => Math.min(most, Math.ceil(ms / 1000))

/** Both directions of a session. `end` is called once, when the session ends. */
function flowing(
  { socket, parameters }: LoggedIn,
  messages: ClientMessages,
  over: AbortSignal,
  end: () => void,
): Pick<Executed, 'body' | 'writable'> {
  let fault: unknown
  const fail = (error: unknown) => {
    fault ??= error
    socket.destroy()
  }
  const abort = () => fail(over.reason)
  over.addEventListener('abort', abort, { once: true })
  socket.once('close', () => {
    over.removeEventListener('abort', abort)
    end()
  })
  if (over.aborted) abort()
  const greeting = Buffer.concat([...parameters.map((body) => messageOf('S', body)), messageOf('Z', Buffer.from('I'))])
  let isGreeted = false
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (!isGreeted && fault === undefined) {
      isGreeted = true
      return { done: false, value: greeting }
    }
    const next = await chunks.next().catch((cause: unknown) => {
      throw fault ?? new ServiceError('upstream_failed', undefined, { cause })
    })
    if (fault !== undefined) throw fault
    return next
  }
  const writable = new Writable({
    write(chunk: Uint8Array, _, done) {
      try {
        const passed = messages.read(chunk)
        if (passed.length === 0 || socket.write(passed)) return done()
        const go = () => {
          socket.off('drain', go).off('close', go)
          done()
        }
        socket.once('drain', go).once('close', go)
      } catch (error) {
        fail(error)
        done(error as Error)
      }
    },
    // The server closes its side at once if nothing runs. A statement would keep it from noticing that the client has gone.
    final(done) {
      socket.end()
      const timer = setTimeout(() => socket.destroy(), lingerMs)
      socket.once('close', () => clearTimeout(timer))
      done()
    },
  })
  writable.on('error', () => undefined)
  return { body: bodyOf(next, () => socket.destroy()), writable }
}
