import { type Action, encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import {
  answerAction,
  declaredMapping,
  type Era,
  isObject,
  isReserved,
  type JsonObject,
  type Mapping,
  mappingOf,
  mayBeTask,
  type mcpAction,
  type Received,
  readReceived,
  showList,
  usableTools,
} from '@bailiwick/mcp'
import { type Found, type Refusal, retryAfterOf } from '@bailiwick/pep'
import type { Caller, Executed, RelayRequest } from '@bailiwick/relay'
import { eraOf, unbridgeable } from '../bridge/bridgeable.ts'
import type { ServerEntry } from '../gateway-file.ts'
import { type Described, describedIn, isSame } from '../manifest/manifest.ts'
import { helloOf, initialize } from '../manifest/observe.ts'
import { hashFor, hashOfUndescribed, isUsable, type Pin } from '../manifest/pins.ts'
import { type Observed, Readings } from '../manifest/readings.ts'
import type { Channel, Rewrite } from '../servers/channel.ts'
import { TaskRequests } from '../tasks/task-requests.ts'
import { Tasks } from '../tasks/tasks.ts'
import {
  type Answer,
  answerOf,
  asServiceError,
  denialAnswer,
  emptyAnswer,
  failedAnswer,
  refusedAnswer,
} from './answers.ts'
import { endOf, isSilence, searchFor } from './authenticate.ts'
import { Callers, type Shown } from './callers.ts'
import type { Claims, Owner } from './claims.ts'
import { type Conversation, Conversations } from './conversations.ts'
import { type Decide, type DecideOptions, defaultLimits, type McpLimits, type McpServerOptions } from './mcp-options.ts'
import { McpUpstream } from './mcp-upstream.ts'
import { endsSomething, notify } from './notifications.ts'
import { actionIn, idIn, sessionIn, wrongIn } from './requests.ts'
import { asksOf } from './server-requests.ts'
import type { Shares } from './shares.ts'

const described: Partial<Record<string, Described>> = { 'tools/call': 'tools', 'prompts/get': 'prompts' }
const kinds: Partial<Record<string, Described>> = { tools: 'tools', prompts: 'prompts', resourceTemplates: 'templates' }

/** One message of a caller that showed a credential. */
interface Asked extends Received, Shown {}

/** One MCP server behind the gateway: every message that reaches it was decided, or asks for nothing that needs a decision. */
export class McpServer implements AsyncDisposable {
  readonly #options: McpServerOptions
  readonly #limits: McpLimits
  readonly #conversations: Conversations
  readonly #callers: Callers
  readonly #tasks: TaskRequests
  readonly #readings: Readings
  readonly #server: string
  #denials: ServerEntry['denials']
  #pin: Pin | undefined

  constructor(options: McpServerOptions) {
    const { entry, clock, name, pin } = options
    this.#options = options
    this.#denials = entry.denials
    this.#pin = pin
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#server = entry.server ?? name
    const { access, onRead } = options
    const { freshMs } = this.#limits
    this.#readings = new Readings({ access, clock, freshMs, onRead, newId: () => this.#newId() })
    const onNothing = (refusal: Refusal, claims: Claims) => this.#heard(refusal, claims)
    this.#callers = new Callers({ ...options, server: this.#server, onNothing })
    const denied = (refusal: Refusal, id: string | number | null) => this.#denied(refusal, id)
    const onCut = (reason: string, owner: Owner) => this.#end(reason, owner)
    const [perOwner, kind] = 'command' in entry ? [entry.processes, 'processes' as const] : [16, 'sessions' as const]
    const { conversations: most, idleMs } = this.#limits
    const check = ({ agent }: Owner) => options.shares.checkHeld(kind, agent)
    this.#conversations = new Conversations(clock, { perOwner, most, idleMs, check }, options.held, [
      options.shares[kind],
    ])
    const { point } = options
    const [callers, conversations, share] = [this.#callers, this.#conversations, this.#share]
    this.#tasks = new TaskRequests({ callers, conversations, point, share, onCut, denied })
  }

  /** Conversations at this moment. */
  get conversations(): number {
    return this.#conversations.size
  }

  /** Takes over what concerns no session: the form of denials, and what people approved of the server. Call it with an entry alike. */
  adopt({ denials }: Pick<ServerEntry, 'denials'>, pin: Pin | undefined): void {
    this.#denials = denials
    this.#pin = pin
  }

  /** Ends what these owners have: sessions, processes and streams. */
  endOwners(isMeant: (key: string) => boolean): Promise<void> {
    return this.#conversations.endOwners(isMeant)
  }

  async post(request: RelayRequest, caller: Caller, signal: AbortSignal): Promise<Answer> {
    const received = readReceived(request)
    if ('refused' in received) return refusedAnswer(received, { id: idIn(request), era: 'modern' })
    const { message, era } = received
    if (message.kind === 'response') return this.#answered(received, { request, caller, signal })
    const id = message.kind === 'request' ? message.id : null
    const mapping = mappingOf(era, message.method)
    if (mapping === undefined || (message.kind === 'request') === message.method.startsWith('notifications/')) {
      const shown = /^[a-z]+(\/[A-Za-z_]+)*$/.test(message.method) ? message.method : 'the method'
      return refusedAnswer({ refused: 'mcp_method_unmapped', detail: shown }, { id, era })
    }
    const gap = unbridgeable(this.#options.entry, era, message)
    if (gap !== undefined) return refusedAnswer(gap, { id, era })
    try {
      const claims = this.#callers.claimsOf(caller)
      if ('reason' in claims) {
        if (mapping.handling !== 'decided' || claims.reason !== 'credential_missing') return this.#denied(claims, id)
        const offered = await this.#callers.askWithout({ request, caller, signal })
        return 'refused' in offered ? refusedAnswer(offered, { id, era: 'legacy' }) : this.#denied(offered, id)
      }
      if (!endsSomething(message)) this.#options.shares.checkStreams(claims.owner.agent)
      const asked: Asked = { ...received, request, caller, claims, signal }
      if (mapping.handling === 'decided') return await this.#decided(asked, id)
      if (mapping.handling === 'of_task') return await this.#tasks.answer(asked, id)
      const bounded = { ...asked, signal: AbortSignal.any([signal, AbortSignal.timeout(this.#limits.undecidedMs)]) }
      if (mapping.list !== undefined) return await this.#listed(bounded, mapping.list, id)
      return await this.#open(bounded, id)
    } catch (error) {
      return this.#failed(error, { id, era })
    }
  }

  /** A client's answer to a request of its server, which is decided like a call. If it is denied, the gateway answers the server. */
  async #answered(
    { message, era }: Received,
    { request, caller, signal }: Pick<Asked, 'request' | 'caller' | 'signal'>,
  ): Promise<Answer> {
    try {
      const claims = this.#callers.claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
      const session = era === 'legacy' ? sessionIn(request) : undefined
      const conversation = session === undefined ? undefined : this.#conversations.find(claims.owner, session)
      const id = message.kind === 'response' ? message.id : undefined
      const method = conversation?.asks?.take(id)
      if (conversation === undefined || id === undefined || method === undefined)
        return refusedAnswer({ refused: 'mcp_message_malformed', detail: 'a response to nothing' }, { id: null, era })
      let mayComeAgain = false
      try {
        const actionOf: typeof mcpAction = (server, answer) => answerAction(server, method, answer)
        const action = actionOf(this.#server, request)
        if ('refused' in action) return refusedAnswer(action, { id: null, era })
        const isRead = this.#readings.isFresh(conversation)
        const stranger = isRead ? undefined : await this.#callers.whyNothing({ request, caller, claims }, action)
        const manifest = stranger === undefined ? this.#hashOf(await this.#readings.of(conversation)) : undefined
        const decided = stranger ?? (await this.#decide(request, caller, conversation, { manifest, signal }, actionOf))
        if (!('refused' in decided) && decided.allowed) return answerOf(decided)
        const answer = 'refused' in decided ? refusedAnswer(decided, { id: null, era }) : this.#denied(decided, null)
        if (!('refused' in decided)) this.#heard(decided, claims)
        mayComeAgain = !('refused' in decided) && (answer.status === 401 || retryAfterOf(decided) !== undefined)
        if (!mayComeAgain) conversation.channel.deny(id, method)
        return answer.status === 200 ? { ...answer, status: 403 } : answer
      } finally {
        if (mayComeAgain) conversation.asks?.putBack(id)
        else conversation.asks?.answered(id)
      }
    } catch (error) {
      return this.#failed(error, { id: null, era })
    }
  }

  /** The stream of a session, on which a server of the legacy era reports changes. Clients read 405 as "there is none". */
  async get(request: RelayRequest, caller: Caller, signal: AbortSignal): Promise<Answer> {
    try {
      const claims = this.#callers.claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
      this.#options.shares.checkStreams(claims.owner.agent)
      const conversation = this.#conversations.find(claims.owner, sessionIn(request) ?? claims.owner.key)
      // The modern era has no such stream.
      if (conversation.channel.era !== 'legacy' || eraOf(this.#options.entry) === 'modern') return emptyAnswer(405)
      const decided = await this.#decide(request, caller, conversation, { manifest: undefined, signal, isLong: true })
      if ('refused' in decided) return emptyAnswer(405)
      if (decided.allowed) return answerOf(decided)
      this.#heard(decided, claims)
      const answer = this.#denied(decided, null)
      return answer.status === 401 ? answer : { ...answer, status: 405 }
    } catch (error) {
      return this.#failed(error, { id: null, era: 'legacy' })
    }
  }

  /** Ends a session. */
  async delete(request: RelayRequest, caller: Caller): Promise<Answer> {
    try {
      const claims = this.#callers.claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
      const session = sessionIn(request)
      if (session === undefined) return emptyAnswer(405)
      const conversation = this.#conversations.find(claims.owner, session)
      const refusal = await this.#callers.whyNothing({ request, caller, claims }, 'session/end')
      if (refusal !== undefined) return this.#denied(refusal, null)
      await this.#conversations.end(conversation)
      return emptyAnswer(200)
    } catch (error) {
      return this.#failed(error, { id: null, era: 'legacy' })
    }
  }

  async #decided(asked: Asked, id: string | number | null): Promise<Answer> {
    const { message, era, request, caller, claims, signal } = asked
    if (message.kind === 'response') throw new ServiceError('invariant_broken')
    const name = typeof message.params.name === 'string' ? message.params.name : undefined
    if (message.method === 'tools/call' && name !== undefined && isReserved(name))
      return refusedAnswer({ refused: 'mcp_tool_reserved', detail: 'a tool of the gateway' }, { id, era })
    const conversation = await this.#conversationOf(asked)
    const isCall = message.method === 'tools/call'
    if ('reason' in conversation) return this.#denied(conversation, id, isCall)
    const now = await this.#readings.of(conversation)
    const kind = described[message.method]
    const tool = isCall && name !== undefined ? describedIn(now.manifest, 'tools', name) : undefined
    const declared = declaredMapping(tool?.inputSchema, { params: message.params, token: claims.token })
    const isRefused = declared !== undefined && 'refused' in declared
    const wrong = wrongIn(asked, tool, conversation.tasks) ?? (isRefused ? declared : undefined)
    if (wrong !== undefined) {
      const refusal = await this.#callers.whyNothing(asked, this.#signedIn(request))
      return refusal === undefined ? refusedAnswer(wrong, { id, era }) : this.#denied(refusal, id, isCall)
    }
    const mayGoOn = mayBeTask(era, message)
    if (mayGoOn) conversation.tasks?.checkRoom()
    const manifest =
      kind !== undefined && name !== undefined && !isUsable(now.manifest, kind, name)
        ? hashOfUndescribed(now, kind, name)
        : hashFor(this.#pin, now, kind, name)
    const mapped = isRefused ? undefined : declared
    const isLong = mayGoOn || message.method === 'subscriptions/listen'
    const decided = await conversation.rounds.goOn(actionIn(this.#server, request), (continues) =>
      this.#decide(request, caller, conversation, { manifest, signal, isLong, continues, mapped }),
    )
    if ('refused' in decided) return refusedAnswer(decided, { id, era })
    if (decided.allowed) return answerOf(decided)
    this.#heard(decided, claims)
    return this.#denied(decided, id, isCall)
  }

  async #listed(
    asked: Asked,
    { member, used }: NonNullable<Mapping['list']>,
    id: string | number | null,
  ): Promise<Answer> {
    const { request, caller, claims } = asked
    const isTools = used === 'tools/call'
    const search = (manifest: string | undefined) =>
      searchFor(this.#options.searches, caller, {
        ...{ htm: request.method, server: this.#server, manifest },
        ...(isTools ? {} : { id: `${this.#server}/${used}` }),
      })
    // One search says who calls and what it could do, as long as the server stays what it was when it was read last.
    const known = this.#knownOf(asked)
    const expected = known?.observed && this.#hashOf(known.observed)
    let found: Found | Refusal = known === undefined ? await this.#callers.mayBegin(asked) : await search(expected)
    // A search that looked at nothing did not verify the caller either.
    const refusal =
      'allowed' in found || found.found.length > 0 || found.reason !== undefined
        ? found
        : await this.#callers.whyNothing(asked, used)
    if (refusal !== undefined && 'allowed' in refusal) {
      this.#heard(refusal, claims)
      return this.#denied(refusal, id)
    }
    const conversation = await this.#conversationOf(asked, { isVerified: true, mayBegin: known === undefined })
    if ('reason' in conversation) return this.#denied(conversation, id)
    conversation.observed = undefined
    const now = await this.#readings.of(conversation)
    const pin = this.#pin
    const kind = kinds[member]
    const manifest = this.#hashOf(now)
    if (manifest !== expected) found = await search(manifest)
    if ('allowed' in found) {
      this.#heard(found, claims)
      return this.#denied(found, id)
    }
    const { found: ids } = found
    const usable = usableTools(Object.keys(now.manifest.tools))
    const keep = (item: JsonObject): boolean => {
      const name = String(item[kind === 'templates' ? 'uriTemplate' : 'name'])
      // A description that differs from the one that was read and hashed is another thing under the same name.
      if (kind !== undefined && !isSame(describedIn(now.manifest, kind, name), item)) return false
      if (kind !== undefined && hashFor(pin, now, kind, name) !== manifest) return false
      return isTools ? usable.has(name) && ids.includes(`${this.#server}/${name}`) : ids.length > 0
    }
    const rewrite: Rewrite = (text, value) => showList(text, value, { member, keep })
    return answerOf({ executed: await this.#exchange(asked, conversation, rewrite) })
  }

  /** Makes an answer of an agent that was verified, if the agent has not too many. */
  readonly #share: Shares['of'] = (...answer) => this.#options.shares.of(...answer)

  /** Sends what no decision allowed. */
  #exchange(
    { request, claims, message, signal }: Asked,
    { channel }: Conversation,
    rewrite?: Rewrite,
  ): Promise<Executed> {
    const isRequest = message.kind === 'request'
    const make = () => (isRequest ? channel.exchange(request, signal, rewrite) : notify(channel, request, signal))
    return endsSomething(message) ? make() : this.#share(claims.owner.agent, signal, make)
  }

  /** The hash that a list of a server is asked with. */
  #hashOf(now: Observed): string {
    return hashFor(this.#pin, now, undefined, undefined)
  }

  /** The caller's conversation, if it has one for such a message. It proves nothing: the claims that name it are not verified. */
  #knownOf({ era, request, claims }: Asked): Conversation | undefined {
    const known = this.#conversations.peek(claims.owner, sessionIn(request))
    return known?.channel.era === era ? known : undefined
  }

  async #open(asked: Asked, id: string | number | null): Promise<Answer> {
    const { message } = asked
    if (message.kind === 'response') throw new ServiceError('invariant_broken')
    const begins = message.method === 'initialize' || this.#knownOf(asked) === undefined
    const verified = begins
      ? await this.#callers.mayBegin(asked)
      : await this.#callers.whyNothing(asked, message.method)
    if (verified !== undefined && 'allowed' in verified) return this.#denied(verified, id)
    if (message.method === 'initialize' && verified !== undefined) return this.#initialize(asked, verified)
    const conversation = await this.#conversationOf(asked, { isVerified: true, mayBegin: begins })
    if ('reason' in conversation) return this.#denied(conversation, id)
    const rewrite = message.method === 'server/discover' ? await this.#readings.asRead(conversation) : undefined
    return answerOf({ executed: await this.#exchange(asked, conversation, rewrite) })
  }

  /** Begins a session of the legacy era. The gateway gives it a random name, which no other client can guess, or use. */
  async #initialize(asked: Asked, reach: Found): Promise<Answer> {
    const { message, request, claims, signal } = asked
    const share = this.#share
    const mayAsk = message.kind === 'request' && eraOf(this.#options.entry) !== 'modern'
    const asks = mayAsk ? asksOf(message.params, this.#server, reach.found) : undefined
    let hello: Conversation['hello']
    let conversation: Conversation | undefined
    const rewrite: Rewrite = (text, value) => {
      hello = helloOf(isObject(value.result) ? value.result : undefined)
      if (conversation !== undefined) conversation.hello = hello
      return text
    }
    const begun = withResolvers<Executed>()
    const open = async () => {
      const channel = await this.#options.access.open('legacy')
      try {
        begun.resolve(await share(claims.owner.agent, signal, () => channel.exchange(request, signal, rewrite)))
        return channel
      } catch (error) {
        await channel.end()
        throw error
      }
    }
    const nameOf = (channel: Channel) =>
      !('hasSession' in channel) || channel.hasSession === true ? encodeBase64url(this.#options.random(16)) : undefined
    // It has its place before a process is started for it.
    conversation = await this.#conversations.add(claims.owner, nameOf, open)
    conversation.hello = hello
    conversation.asks = asks
    if (asks !== undefined) conversation.channel.mayAsk = (id, method) => asks.ask(id, method)
    const { session } = conversation
    const answer = answerOf({ executed: await begun.promise })
    return session === undefined ? answer : { ...answer, headers: [...answer.headers, 'mcp-session-id', session] }
  }

  /**
   * The conversation that a request belongs to. If there is none yet, it begins only for a caller whose grant could allow something here.
   * Nothing is read of the server for a caller that was not verified (`isVerified`).
   */
  async #conversationOf(
    asked: Asked,
    { isVerified = false, mayBegin = false }: { isVerified?: boolean; mayBegin?: boolean } = {},
  ): Promise<Conversation | Refusal> {
    const { era, request, claims } = asked
    const { entry, access } = this.#options
    const session = sessionIn(request)
    const isNamed = era === 'legacy' && (session !== undefined || 'command' in entry)
    const known = isNamed
      ? this.#conversations.find(claims.owner, session ?? '')
      : this.#conversations.known(claims.owner)
    if (known !== undefined && known.channel.era === era) {
      if (isVerified) this.#conversations.use(known)
      if (isVerified || this.#readings.isFresh(known)) return known
      return (await this.#callers.whyNothing(asked, this.#signedIn(request))) ?? known
    }
    if (!mayBegin) {
      const begins = await this.#callers.mayBegin(asked, actionIn(this.#server, request))
      if ('allowed' in begins) return begins
    }
    if (known !== undefined) await this.#conversations.end(known)
    const conversation = await this.#conversations.ofOwner(claims.owner, () => access.open(era))
    // The server has no sessions, and the client began at another replica or before a restart.
    if (era === 'legacy') conversation.hello ??= await initialize(conversation.channel, () => this.#newId())
    return conversation
  }

  /** What the proof of a request that is decided may be over. */
  #signedIn(request: RelayRequest): Action | string {
    return actionIn(this.#server, request) ?? request.method
  }

  async #decide(
    request: RelayRequest,
    caller: Caller,
    conversation: Conversation,
    options: DecideOptions,
    actionOf?: typeof mcpAction,
  ): ReturnType<Decide> {
    const onCut = (_: string, reason: string) => this.#end(reason, conversation.owner)
    const share = this.#share
    const newId = () => this.#newId()
    const { watch } = this.#options.point
    const tasksOf = (of: Conversation) => (of.tasks ??= new Tasks(of.channel, newId, watch))
    const upstream = new McpUpstream(this.#server, async () => conversation, { onCut, actionOf, share, tasksOf })
    const decided = await this.#options.decide(upstream, request, caller, options)
    if ('refused' in decided || !decided.allowed) return decided
    this.#conversations.use(conversation)
    this.#watch(conversation, decided.decisionId)
    return decided
  }

  /** A process goes on between calls, and must not outlive the grant that it was started for. */
  #watch(conversation: Conversation, decisionId: string): void {
    if (!('command' in this.#options.entry) || conversation.channel.isOver) return
    conversation.watched?.[Symbol.dispose]()
    conversation.watched = this.#options.point.watch(decisionId, (reason) => {
      // A watch ends with its first word. While the decision point is away no call reaches the process; then its grant must be asked about.
      if (isSilence(reason)) return this.#watch(conversation, decisionId)
      if (endOf(reason) === 'grant') this.#end(reason, conversation.owner)
      else void this.#conversations.end(conversation)
    })
  }

  /** Ends the processes and sessions of a grant that is over, or of the one holder of it that is. */
  #heard({ reason }: Refusal, { owner }: Claims): void {
    this.#end(reason, owner)
  }

  #end(reason: string, owner: Owner): void {
    const end = endOf(reason)
    if (end === 'grant') void this.#conversations.endGrant(owner.grant)
    if (end === 'holder') void this.#conversations.endOwner(owner)
  }

  #denied(refusal: Refusal, id: string | number | null, isCall = false): Answer {
    const { metadataUrl } = this.#options
    return denialAnswer(refusal, { id, asResult: isCall && this.#denials === 'result', metadataUrl })
  }

  #failed(thrown: unknown, { id, era }: { id: string | number | null; era: Era }): Answer {
    const error = asServiceError(thrown)
    if (error.code === 'mcp_session_unknown')
      return refusedAnswer({ refused: error.code, detail: 'begin again' }, { id, era })
    return failedAnswer(error, id)
  }

  #newId(): string {
    return `bailiwick-${encodeBase64url(this.#options.random(16))}`
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#conversations[Symbol.asyncDispose]()
  }
}
