import { ServiceError } from '@bailiwick/errors'
import type { Clock } from '@bailiwick/kit'
import type { Hello, Manifest } from '../manifest/manifest.ts'
import type { Channel } from '../servers/channel.ts'
import type { Owner } from './claims.ts'

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
}

/**
 * The conversations with one upstream. Each belongs to one owner: its session means nothing to another, and it ends with the grant. A
 * client never learns the upstream's own name of a session, and cannot guess ours.
 */
export class Conversations implements AsyncDisposable {
  readonly #all = new Map<string, Conversation>()
  readonly #opening = new Map<string, Promise<Conversation>>()
  readonly #clock: Clock
  readonly #limits: ConversationLimits
  readonly #sweeper: NodeJS.Timeout

  constructor(clock: Clock, limits: ConversationLimits) {
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
    found.lastUsed = this.#clock.monotonic()
    return found
  }

  /** The owner's one conversation, if it is open. */
  known(owner: Owner): Conversation | undefined {
    const known = this.#all.get(owner.key)
    if (known === undefined || known.channel.isOver) return undefined
    known.lastUsed = this.#clock.monotonic()
    return known
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

  /** Opens a conversation. Throws `queue_full` if the owner, or the server, has too many. */
  async add(owner: Owner, session: string | undefined, open: () => Promise<Channel>): Promise<Conversation> {
    this.#sweep()
    const own = [...this.#all.values()].filter((each) => each.owner.key === owner.key)
    if (own.length >= this.#limits.perOwner || this.#all.size >= this.#limits.most)
      throw new ServiceError('queue_full', 'too many conversations with this server')
    const channel = await open()
    const conversation: Conversation = {
      owner,
      session,
      channel,
      hello: undefined,
      observed: undefined,
      lastUsed: this.#clock.monotonic(),
      watched: undefined,
    }
    channel.onListChanged = () => {
      conversation.observed = undefined
    }
    this.#all.set(session ?? owner.key, conversation)
    return conversation
  }

  async end(conversation: Conversation): Promise<void> {
    const name = conversation.session ?? conversation.owner.key
    if (this.#all.get(name) === conversation) this.#all.delete(name)
    conversation.watched?.[Symbol.dispose]()
    await conversation.channel.end()
  }

  /** Ends everything that a grant has here. */
  async endGrant(grant: string): Promise<void> {
    await Promise.all(
      [...this.#all.values()].filter(({ owner }) => owner.grant === grant).map((each) => this.end(each)),
    )
  }

  #sweep(): void {
    const since = this.#clock.monotonic() - this.#limits.idleMs
    for (const each of this.#all.values())
      if (each.channel.isOver || each.lastUsed < since) void this.end(each).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper)
    await Promise.all([...this.#all.values()].map((each) => this.end(each)))
  }
}
