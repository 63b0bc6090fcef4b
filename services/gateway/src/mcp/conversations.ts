import { ServiceError } from '@bailiwick/errors'
import { type Clock, withDeadline } from '@bailiwick/kit'
import type { Hello, Manifest } from '../manifest/manifest.ts'
import { Rounds } from '../rounds/rounds.ts'
import type { Channel } from '../servers/channel.ts'
import type { Tasks } from '../tasks/tasks.ts'
import type { Owner } from './claims.ts'
import type { ServerRequests } from './server-requests.ts'

/** What the gateway knows of one conversation with an upstream. */
export interface Conversation {
  readonly owner: Owner
  /** The session that the client names; undefined where there is one conversation for each owner. */
  readonly session: string | undefined
  readonly channel: Channel
  /** What the server said of itself when the conversation began. */
  hello: Hello | undefined
  /** What the server was found to be, and when (monotonic ms). Undefined: it must be read before the next call. */
  observed: { manifest: Manifest; hash: string; at: number } | undefined
  /** What the server may ask of the client, in a session. */
  asks: ServerRequests | undefined
  /** Calls that go on as tasks of the server, once there was one. */
  tasks: Tasks | undefined
  /** Calls that the server answered with questions. */
  readonly rounds: Rounds
  lastUsed: number
  /** Watches the grant, if something goes on under it between calls. */
  watched: Disposable | undefined
}

export interface ConversationLimits {
  /** How many conversations one owner may have at the same time. */
  perOwner: number
  /** How many conversations with the server there may be. */
  most: number
  /** How long one may be silent, in ms. */
  idleMs: number
  /** Whether the gateway as a whole has room for one more of this owner. Throws `queue_full` if it does not. */
  check?: (owner: Owner) => void
}

/** How long a server may take to end its tasks before its session ends, in ms. */
const farewellMs = 1000

/** What callers have of one server: conversations, and room for those that are being opened. */
export type Held = Set<{ readonly owner: Owner }>

interface Room {
  readonly owner: Owner
  /** What it is for was ended before it was open. */
  isLate: boolean
}

/**
 * The conversations with one upstream. Each belongs to one owner: its session means nothing to another, and it ends with the grant. A
 * client never learns the upstream's own name of a session, and cannot guess ours.
 */
export class Conversations implements AsyncDisposable {
  readonly #all = new Map<string, Conversation>()
  /** Room for those that are being opened. */
  readonly #rooms = new Set<Room>()
  readonly #opening = new Map<string, Promise<Conversation>>()
  readonly #held: readonly Held[]
  readonly #own: Held
  readonly #clock: Clock
  readonly #limits: ConversationLimits
  readonly #sweeper: NodeJS.Timeout
  #isOver = false

  /**
   * `held` counts in the limits too: what callers have of the server as it was reached before. What is in it is also in `others`, which
   * `limits.check` looks at.
   */
  constructor(clock: Clock, limits: ConversationLimits, held: Held = new Set(), others: readonly Held[] = []) {
    this.#held = [held, ...others]
    this.#own = held
    this.#clock = clock
    this.#limits = limits
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(limits.idleMs, 10_000)).unref()
  }

  get size(): number {
    return this.#all.size
  }

  /** The grants that have a conversation. */
  get grants(): ReadonlySet<string> {
    return new Set([...this.#all.values()].map(({ owner }) => owner.grant))
  }

  /** The conversation of a session. Throws `mcp_session_unknown`, also for the session of another owner. */
  find(owner: Owner, session: string): Conversation {
    const found = this.#all.get(session)
    if (found === undefined || found.owner.key !== owner.key || found.channel.isOver)
      throw new ServiceError('mcp_session_unknown', 'there is no such session of this caller')
    return found
  }

  /** The owner's one conversation, if it is open. */
  known(owner: Owner): Conversation | undefined {
    const known = this.#all.get(owner.key)
    return known === undefined || known.channel.isOver ? undefined : known
  }

  /** Counts as a use of it. Call it for a caller that was verified: what is only claimed must not keep anything open. */
  use(conversation: Conversation): void {
    conversation.lastUsed = this.#clock.monotonic()
  }

  /** What there is for a session of this owner, or for the owner. Does not count as a use of it. */
  peek(owner: Owner, session: string | undefined): Conversation | undefined {
    const found = this.#all.get(session ?? owner.key)
    return found?.owner.key === owner.key && !found.channel.isOver ? found : undefined
  }

  /** The owner's one conversation, opened if there is none. Callers at the same moment share the opening. */
  async ofOwner(owner: Owner, open: () => Promise<Channel>): Promise<Conversation> {
    const known = this.known(owner)
    if (known !== undefined) return known
    const opening =
      this.#opening.get(owner.key) ?? this.add(owner, undefined, open).finally(() => this.#opening.delete(owner.key))
    this.#opening.set(owner.key, opening)
    return opening
  }

  /**
   * Opens a conversation, in place of the one that has its name. `nameOf` is the session that the client will name, and is asked once it is
   * open. Throws `queue_full`, before it opens anything, if the owner, or the server, has too many; those that are being opened count.
   */
  async add(
    owner: Owner,
    nameOf: string | undefined | ((channel: Channel) => string | undefined),
    open: () => Promise<Channel>,
  ): Promise<Conversation> {
    const room = this.#room(owner)
    try {
      const channel = await open()
      if (room.isLate) {
        await channel.end()
        throw new ServiceError('mcp_session_unknown', 'it was ended while it began')
      }
      return await this.#put(owner, typeof nameOf === 'function' ? nameOf(channel) : nameOf, channel)
    } finally {
      this.#rooms.delete(room)
      for (const held of this.#held) held.delete(room)
    }
  }

  #room(owner: Owner): Room {
    if (this.#isOver) throw new ServiceError('upstream_unreachable', 'the server is no longer behind this gateway')
    this.#sweep()
    const own = [...this.#own].filter((each) => each.owner.key === owner.key)
    if (own.length >= this.#limits.perOwner || this.#own.size >= this.#limits.most)
      throw new ServiceError('queue_full', 'too many conversations with this server')
    this.#limits.check?.(owner)
    const room = { owner, isLate: false }
    this.#rooms.add(room)
    for (const held of this.#held) held.add(room)
    return room
  }

  async #put(owner: Owner, session: string | undefined, channel: Channel): Promise<Conversation> {
    const conversation: Conversation = {
      owner,
      session,
      channel,
      hello: undefined,
      observed: undefined,
      asks: undefined,
      tasks: undefined,
      rounds: new Rounds(this.#clock),
      lastUsed: this.#clock.monotonic(),
      watched: undefined,
    }
    channel.onListChanged = () => {
      conversation.observed = undefined
    }
    const before = this.#all.get(session ?? owner.key)
    this.#all.set(session ?? owner.key, conversation)
    for (const held of this.#held) held.add(conversation)
    if (before !== undefined) await this.end(before)
    return conversation
  }

  async end(conversation: Conversation): Promise<void> {
    const name = conversation.session ?? conversation.owner.key
    if (this.#all.get(name) === conversation) this.#all.delete(name)
    for (const held of this.#held) held.delete(conversation)
    conversation.watched?.[Symbol.dispose]()
    const told = conversation.tasks?.end()
    // A server that ends a session may go on with its tasks. A process cannot: it is killed at once.
    if (told !== undefined && !('pid' in conversation.channel))
      await withDeadline(told, farewellMs).catch(() => undefined)
    await conversation.channel.end()
  }

  /** Ends everything that a grant has here. */
  async endGrant(grant: string): Promise<void> {
    await this.#endAll((owner) => owner.grant === grant)
  }

  /** Ends everything that one holder of a grant has here. */
  async endOwner({ key }: Owner): Promise<void> {
    await this.#endAll((owner) => owner.key === key)
  }

  /** Ends everything that these owners have here. */
  async endOwners(isMeant: (key: string) => boolean): Promise<void> {
    await this.#endAll(({ key }) => isMeant(key))
  }

  async #endAll(isMeant: (owner: Owner) => boolean): Promise<void> {
    for (const room of this.#rooms) if (isMeant(room.owner)) room.isLate = true
    await Promise.all([...this.#all.values()].filter(({ owner }) => isMeant(owner)).map((each) => this.end(each)))
  }

  #sweep(): void {
    const since = this.#clock.monotonic() - this.#limits.idleMs
    for (const each of this.#all.values())
      if (each.channel.isOver || (each.lastUsed < since && each.tasks?.areRunning !== true))
        void this.end(each).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    clearInterval(this.#sweeper)
    await this.#endAll(() => true)
  }
}
