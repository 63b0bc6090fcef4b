import type { GatewayFile, ServerEntry } from '../gateway-file.ts'
import { type Pin, readPin } from '../manifest/pins.ts'
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

/** The names of servers, by what a new file did to them. */
export interface Changes {
  readonly added: readonly string[]
  /** Reached in another way than before: its sessions begin again. */
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

interface Served extends Opened {
  entry: ServerEntry
  readonly flowing: Flowing
  readonly held: Held
}

/** How long the answers of a server that was changed may flow on: as long as any answer to a call. */
const mostMs = 300_000

/** The servers of the file that is in use. A new file is put into use as a whole, or not at all. */
export class McpServers implements AsyncDisposable {
  readonly #open: OpenServer
  readonly #all = new Map<string, Served>()
  /** Servers that are in no file any more, and whose last answers still flow. */
  readonly #leaving = new Set<Served>()

  constructor(open: OpenServer) {
    this.#open = open
  }

  get names(): readonly string[] {
    return [...this.#all.keys()]
  }

  has(name: string): boolean {
    return this.#all.has(name)
  }

  /** A server's name in the registry: what an agent names in the action that it signs. */
  toolServer(name: string): string | undefined {
    const entry = this.#all.get(name)?.entry
    return entry === undefined ? undefined : (entry.server ?? name)
  }

  /** Sessions and processes with a server. */
  conversations(name: string): number {
    return this.#all.get(name)?.server.conversations ?? 0
  }

  /** A message to a server. Undefined if there is no server of that name. */
  post(name: string, ...message: Parameters<McpServer['post']>): Promise<Answer> | undefined {
    const served = this.#all.get(name)
    // What the credential claims is not verified. A caller that claims to be another owner keeps that owner's sessions for a moment, at most.
    const owner = readClaims(message[1].credential)?.owner.key ?? ''
    return served?.flowing.of(owner, () => served.server.post(...message))
  }

  /** As `post`, for the stream of a session: it ends with its session, so nothing waits for it. */
  get(name: string, ...request: Parameters<McpServer['get']>): Promise<Answer> | undefined {
    return this.#all.get(name)?.server.get(...request)
  }

  delete(name: string, ...request: Parameters<McpServer['delete']>): Promise<Answer> | undefined {
    return this.#all.get(name)?.server.delete(...request)
  }

  /**
   * Puts the servers of a file into use. Those that are reached as before keep their processes, sessions and streams, and take over a new
   * pin. One that is reached in another way gets no new request, and ends after the answers that flow; until then they count in the limits of
   * the new one. One that is gone ends at once.
   * Throws `config_invalid`; then nothing was changed. With `onUnreadablePin`, a server whose pin file cannot be read is served without one,
   * which only hides more of it: it must not keep a change of another server from being used.
   */
  apply(entries: GatewayFile['mcp'], onUnreadablePin?: (name: string, error: unknown) => void): Changes {
    const opened = new Map<string, Served>()
    const adopted: (() => void)[] = []
    try {
      for (const [name, entry] of Object.entries(entries)) {
        const pin = pinOf(entry, onUnreadablePin && ((error) => onUnreadablePin(name, error)))
        const known = this.#all.get(name)
        if (known === undefined || !isReachedAlike(known.entry, entry))
          opened.set(name, this.#opened(name, entry, pin, known?.held ?? new Set()))
        else
          adopted.push(() => {
            known.entry = entry
            known.server.adopt(entry, pin)
          })
      }
    } catch (error) {
      for (const served of opened.values()) this.#leave(served, Promise.resolve())
      throw error
    }
    for (const adopt of adopted) adopt()
    const removed = this.names.filter((name) => !Object.hasOwn(entries, name))
    const changed = [...opened.keys()].filter((name) => this.#all.has(name))
    const added = [...opened.keys()].filter((name) => !this.#all.has(name))
    for (const name of [...removed, ...changed]) {
      const served = this.#all.get(name)
      this.#all.delete(name)
      if (served === undefined) continue
      if (removed.includes(name)) this.#leave(served, Promise.resolve())
      else this.#drain(served)
    }
    for (const [name, served] of opened) this.#all.set(name, served)
    return { added, changed, removed }
  }

  /** Takes over what people approved of a server, which its pin file does not say yet. */
  repin(name: string, pin: Pin): void {
    const served = this.#all.get(name)
    served?.server.adopt(served.entry, pin)
  }

  #opened(name: string, entry: ServerEntry, pin: Pin | undefined, held: Held): Served {
    return { ...this.#open(name, entry, pin, held), entry, flowing: new Flowing(), held }
  }

  /** Ends what an owner has once no answer of the owner flows. What waits for nothing must not stand in the way of a new beginning. */
  #drain(served: Served): void {
    const { flowing, server } = served
    const endIdle = () => void server.endOwners((owner) => !flowing.has(owner)).catch(() => undefined)
    flowing.onIdle = endIdle
    endIdle()
    this.#leave(served, flowing.over(mostMs))
  }

  #leave(served: Served, over: Promise<void>): void {
    this.#leaving.add(served)
    void over
      .then(() => end(served))
      .catch(() => undefined)
      .finally(() => this.#leaving.delete(served))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all.values(), ...this.#leaving].map((served) => end(served)))
  }
}

async function end({ server, access }: Opened): Promise<void> {
  await server[Symbol.asyncDispose]()
  await access[Symbol.asyncDispose]()
}

/** Whether two entries mean the same server, reached in the same way. The form of denials and the pin concern no session. */
function isReachedAlike(before: ServerEntry, after: ServerEntry): boolean {
  const way = ({ denials: _, pin: __, ...rest }: ServerEntry) => JSON.stringify(rest)
  return way(before) === way(after)
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
