import type { GatewayFile, ServerEntry } from '../gateway-file.ts'
import { type Pin, readPin } from '../manifest/pins.ts'
import { type Behind, mostAfterMs, type Prepared, Served } from '../served.ts'
import type { ServerAccess } from '../servers/upstreams.ts'
import type { Answer } from './answers.ts'
import { readClaims } from './claims.ts'
import type { Held } from './conversations.ts'
import { Flowing } from './flowing.ts'
import type { McpServer } from './mcp-server.ts'

/**
 * Opens one server of the file. `held` is what callers have of the server of this name, however it is or was reached: its limits hold for all
 * of it. Throws `config_invalid`.
 */
type OpenServer = (name: string, entry: ServerEntry, pin: Pin | undefined, held: Held) => Opened

interface Opened {
  readonly server: Pick<
    McpServer,
    'post' | 'get' | 'delete' | 'conversations' | 'adopt' | 'endOwners' | typeof Symbol.asyncDispose
  >
  readonly access: Pick<ServerAccess, typeof Symbol.asyncDispose>
}

/** An entry, and what its pin file holds. */
interface PinnedEntry {
  readonly entry: ServerEntry
  readonly pin: Pin | undefined
}

/** The servers of the file that is in use. */
export class McpServers implements AsyncDisposable {
  readonly #served: Served<PinnedEntry, OneServer>

  constructor(open: OpenServer) {
    this.#served = new Served({
      open(name, { entry, pin }, earlier) {
        const held: Held = earlier?.held ?? new Set()
        return new OneServer(entry, held, open(name, entry, pin, held))
      },
      // The form of denials and the pin concern no session.
      keyOf: ({ entry: { denials: _, pin: __, ...way } }) => JSON.stringify(way),
      adopt: (served, { entry, pin }) => served.adopt(entry, pin),
    })
  }

  get names(): readonly string[] {
    return this.#served.names
  }

  has(name: string): boolean {
    return this.#served.get(name) !== undefined
  }

  /** A server's name in the registry: what an agent names in the action that it signs. */
  toolServer(name: string): string | undefined {
    const entry = this.#served.get(name)?.entry
    return entry === undefined ? undefined : (entry.server ?? name)
  }

  /** Sessions and processes with a server. */
  conversations(name: string): number {
    return this.#served.get(name)?.server.conversations ?? 0
  }

  /** A message to a server. Undefined if there is no server of that name. */
  post(name: string, ...message: Parameters<McpServer['post']>): Promise<Answer> | undefined {
    const served = this.#served.get(name)
    // What the credential claims is not verified. A caller that claims to be another owner keeps that owner's sessions for a moment, at most.
    const owner = readClaims(message[1].credential)?.owner.key ?? ''
    return served?.flowing.of(owner, () => served.server.post(...message))
  }

  /** As `post`, for the stream of a session: it ends with its session, so nothing waits for it. */
  get(name: string, ...request: Parameters<McpServer['get']>): Promise<Answer> | undefined {
    return this.#served.get(name)?.server.get(...request)
  }

  delete(name: string, ...request: Parameters<McpServer['delete']>): Promise<Answer> | undefined {
    return this.#served.get(name)?.server.delete(...request)
  }

  /**
   * Opens the servers of a file (`Served.prepare`). Those that are reached as before take over a new pin. One that is reached in another way
   * counts in the limits of the new one until its answers end. With `onUnreadablePin`, a server whose pin file cannot be read is served
   * without one, which only hides more of it: it must not keep a change of another server from being used.
   */
  prepare(entries: GatewayFile['mcp'], onUnreadablePin?: (name: string, error: unknown) => void): Prepared {
    const pinned = Object.entries(entries).map(([name, entry]): [string, PinnedEntry] => {
      const pin = pinOf(entry, onUnreadablePin && ((error) => onUnreadablePin(name, error)))
      return [name, { entry, pin }]
    })
    return this.#served.prepare(Object.fromEntries(pinned))
  }

  /** Takes over what people approved of a server, which its pin file does not say yet. */
  repin(name: string, pin: Pin): void {
    const served = this.#served.get(name)
    served?.adopt(served.entry, pin)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#served[Symbol.asyncDispose]()
  }
}

/** One server, as its entry says to reach it. */
class OneServer implements Behind {
  entry: ServerEntry
  readonly server: Opened['server']
  readonly flowing = new Flowing()
  /** What callers have of the server of this name, however it is or was reached. */
  readonly held: Held
  readonly #access: Opened['access']

  constructor(entry: ServerEntry, held: Held, { server, access }: Opened) {
    this.entry = entry
    this.held = held
    this.server = server
    this.#access = access
  }

  adopt(entry: ServerEntry, pin: Pin | undefined): void {
    this.entry = entry
    this.server.adopt(entry, pin)
  }

  /** Ends what an owner has once no answer of the owner flows. What waits for nothing must not stand in the way of a new beginning. */
  retire(): Promise<void> {
    const endIdle = () => void this.server.endOwners((owner) => !this.flowing.has(owner)).catch(() => undefined)
    this.flowing.onIdle = endIdle
    endIdle()
    return this.flowing.over(mostAfterMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.#access[Symbol.asyncDispose]()
  }
}

function pinOf({ pin }: ServerEntry, onUnreadable: ((error: unknown) => void) | undefined): Pin | undefined {
  try {
    return pin === undefined ? undefined : readPin(pin)
  } catch (error) {
    if (onUnreadable === undefined) throw error
    onUnreadable(error)
    return undefined
  }
}
