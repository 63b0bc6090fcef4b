import { type Action, encodeBase64url } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { withResolvers } from '@bailiwick/kit'
import {
  answerAction,
  checkParameters,
  type Era,
  isObject,
  isReserved,
  type JsonObject,
  type Mapping,
  mappingOf,
  type mcpAction,
  type Received,
  readReceived,
  showList,
  usableTools,
} from '@bailiwick/mcp'
import { type Refusal, retryAfterOf } from '@bailiwick/pep'
import type { Caller, Executed, RelayRequest } from '@bailiwick/relay'
import { eraOf, unbridgeable } from '../bridge/bridgeable.ts'
import type { ServerEntry } from '../gateway-file.ts'
import { type Described, describedIn, isSame } from '../manifest/manifest.ts'
import { helloOf, initialize, observe } from '../manifest/observe.ts'
import { hashFor, hashOfUndescribed, isUsable, type Pin } from '../manifest/pins.ts'
import type { Channel, Rewrite } from '../servers/channel.ts'
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
import { type Claims, type Owner, readClaims } from './claims.ts'
import { type Conversation, Conversations } from './conversations.ts'
import { type Decide, type DecideOptions, defaultLimits, type McpLimits, type McpServerOptions } from './mcp-options.ts'
import { McpUpstream } from './mcp-upstream.ts'
import { actionIn, idIn, sessionIn } from './requests.ts'
import { declaredBy, ServerRequests } from './server-requests.ts'

const described: Partial<Record<string, Described>> = { 'tools/call': 'tools', 'prompts/get': 'prompts' }
const kinds: Partial<Record<string, Described>> = { tools: 'tools', prompts: 'prompts', resourceTemplates: 'templates' }

/** One request of a caller that showed a credential. */
interface Asked extends Received {
  readonly request: RelayRequest
  readonly caller: Caller
  readonly claims: Claims
  readonly signal: AbortSignal
}

/** One MCP server behind the gateway: every message that reaches it was decided, or asks for nothing that needs a decision. */
export class McpServer implements AsyncDisposable {
  readonly #options: McpServerOptions
  readonly #limits: McpLimits
  readonly #conversations: Conversations
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
    const limits = {
      perOwner: 'processes' in entry ? entry.processes : 16,
      most: this.#limits.conversations,
      idleMs: this.#limits.idleMs,
    }
    this.#conversations = new Conversations(clock, limits, options.held)
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
      const claims = this.#claimsOf(caller)
      if ('reason' in claims && mapping.handling !== 'decided') return this.#denied(claims, id)
      if ('reason' in claims) return await this.#askWithout(request, caller, claims, { id, signal })
      const asked: Asked = { ...received, request, caller, claims, signal }
      if (mapping.handling === 'decided') return await this.#decided(asked, id)
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
      const claims = this.#claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
      const session = era === 'legacy' ? sessionIn(request) : undefined
      const conversation = session === undefined ? undefined : this.#conversations.find(claims.owner, session)
      const manifest = conversation?.asks && this.#hashOf(await this.#observed(conversation))
      const id = message.kind === 'response' ? message.id : undefined
      const method = conversation?.asks?.take(id)
      if (conversation === undefined || id === undefined || method === undefined)
        return refusedAnswer({ refused: 'mcp_message_malformed', detail: 'a response to nothing' }, { id: null, era })
      let mayComeAgain = false
      try {
        const actionOf: typeof mcpAction = (server, answer) => answerAction(server, method, answer)
        const decided = await this.#decide(request, caller, conversation, { manifest, signal }, actionOf)
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
      const claims = this.#claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
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
      const claims = this.#claimsOf(caller)
      if ('reason' in claims) return this.#denied(claims, null)
      const session = sessionIn(request)
      if (session === undefined) return emptyAnswer(405)
      const conversation = this.#conversations.find(claims.owner, session)
      const refusal = await this.#refusalOf(caller, 'DELETE', 'session/end', claims)
      if (refusal !== undefined) return this.#denied(refusal, null)
      await this.#conversations.end(conversation)
      return emptyAnswer(200)
    } catch (error) {
      return this.#failed(error, { id: null, era: 'legacy' })
    }
  }

  /** What the credential claims, or why it cannot serve here. The decision point verifies it afterwards. */
  #claimsOf({ credential }: Caller): Claims | Refusal {
    if (credential === undefined) return { allowed: false, reason: 'credential_missing' }
    const claims = readClaims(credential)
    if (claims === undefined) return { allowed: false, reason: 'credential_malformed' }
    const { url, audiences } = this.#options
    // The decision point knows this point's addresses, but not which server a path means: a credential for one must not work at another.
    const isMeant = claims.audiences.some((audience) => [url, ...audiences].includes(audience.replace(/\/$/, '')))
    return isMeant ? claims : { allowed: false, reason: 'credential_audience_wrong' }
  }

  /** Without a usable credential nothing can be allowed, but the decision point says where to ask. */
  async #askWithout(
    request: RelayRequest,
    caller: Caller,
    refusal: Refusal,
    { id, signal }: { id: string | number | null; signal: AbortSignal },
  ): Promise<Answer> {
    if (refusal.reason !== 'credential_missing') return this.#denied(refusal, id)
    const upstream = new McpUpstream(this.#server, async () => {
      throw new ServiceError('invariant_broken', 'a call without a credential was allowed')
    })
    const decided = await this.#options.decide(upstream, request, caller, { manifest: undefined, signal })
    if ('refused' in decided) return refusedAnswer(decided, { id, era: 'legacy' })
    if (!decided.allowed) return this.#denied(decided, id)
    throw new ServiceError('invariant_broken', 'a call without a credential was allowed')
  }

  async #decided(asked: Asked, id: string | number | null): Promise<Answer> {
    const { message, era, request, caller, claims, signal } = asked
    if (message.kind === 'response') throw new ServiceError('invariant_broken')
    const name = typeof message.params.name === 'string' ? message.params.name : undefined
    if (message.method === 'tools/call' && name !== undefined && isReserved(name))
      return refusedAnswer({ refused: 'mcp_tool_reserved', detail: 'a tool of the gateway' }, { id, era })
    const conversation = await this.#conversationOf(asked)
    if ('reason' in conversation) return this.#denied(conversation, id)
    const now = await this.#observed(conversation)
    const kind = described[message.method]
    const tool =
      message.method === 'tools/call' && name !== undefined ? describedIn(now.manifest, 'tools', name) : undefined
    if (tool !== undefined) {
      const wrong = checkParameters(
        request.headers,
        tool,
        isObject(message.params.arguments) ? message.params.arguments : {},
        era,
      )
      if (wrong !== undefined) return refusedAnswer(wrong, { id, era })
    }
    const manifest =
      kind !== undefined && name !== undefined && !isUsable(now.manifest, kind, name)
        ? hashOfUndescribed(now, kind, name)
        : hashFor(this.#pin, now, kind, name)
    const decided = await this.#decide(request, caller, conversation, {
      ...{ manifest, signal },
      isLong: message.method === 'subscriptions/listen',
    })
    if ('refused' in decided) return refusedAnswer(decided, { id, era })
    if (decided.allowed) return answerOf(decided)
    this.#heard(decided, claims)
    return this.#denied(decided, id, message.method === 'tools/call')
  }

  async #listed(
    asked: Asked,
    { member, used }: NonNullable<Mapping['list']>,
    id: string | number | null,
  ): Promise<Answer> {
    const { request, caller, claims, signal } = asked
    const isTools = used === 'tools/call'
    const search = (manifest: string | undefined) =>
      searchFor(this.#options.searches, caller, {
        ...{ htm: request.method, server: this.#server, manifest },
        ...(isTools ? {} : { id: `${this.#server}/${used}` }),
      })
    // One search says who calls and what it could do, as long as the server stays what it was when it was read last.
    const expected = this.#lastHash(asked)
    let found = await search(expected)
    // A search that looked at nothing did not verify the caller either.
    const refusal =
      'allowed' in found || found.found.length > 0 || found.reason !== undefined
        ? found
        : await this.#refusalOf(caller, request.method, used, claims)
    if (refusal !== undefined && 'allowed' in refusal) {
      this.#heard(refusal, claims)
      return this.#denied(refusal, id)
    }
    const conversation = await this.#conversationOf(asked, { isVerified: true })
    if ('reason' in conversation) return this.#denied(conversation, id)
    conversation.observed = undefined
    const now = await this.#observed(conversation)
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
    return answerOf({ executed: await conversation.channel.exchange(request, signal, rewrite) })
  }

  /** The hash that a list of a server is asked with. */
  #hashOf(now: NonNullable<Conversation['observed']>): string {
    return hashFor(this.#pin, now, undefined, undefined)
  }

  /** The hash under which the caller's conversation was read last, if it has one. It proves nothing: what it is used for is read again. */
  #lastHash({ request, claims }: Asked): string | undefined {
    const observed = this.#conversations.peek(claims.owner, sessionIn(request))?.observed
    return observed === undefined ? undefined : this.#hashOf(observed)
  }

  async #open(asked: Asked, id: string | number | null): Promise<Answer> {
    const { message, request, caller, claims, signal } = asked
    if (message.kind === 'response') throw new ServiceError('invariant_broken')
    const refusal = await this.#refusalOf(caller, request.method, message.method, claims)
    if (refusal !== undefined) return this.#denied(refusal, id)
    if (message.method === 'initialize') return this.#initialize(asked)
    const conversation = await this.#conversationOf(asked, { isVerified: true })
    if ('reason' in conversation) return this.#denied(conversation, id)
    const rewrite = message.method === 'server/discover' ? await this.#asRead(conversation) : undefined
    return answerOf({ executed: await conversation.channel.exchange(request, signal, rewrite) })
  }

  /** What a server tells a client of itself is what was read and hashed: people would have approved one text, and a model would get another. */
  async #asRead(conversation: Conversation): Promise<Rewrite> {
    const { server_info, instructions } = (await this.#observed(conversation)).manifest
    return (text, { result }) => {
      const told = helloOf(isObject(result) ? result : undefined)
      if (told === undefined || (isSame(told.serverInfo, server_info) && isSame(told.instructions, instructions)))
        return text
      conversation.observed = undefined
      throw new ServiceError('answer_malformed', 'the server describes itself otherwise to its client')
    }
  }

  /** What the server may ask of the client of a session: what it declared that it answers, and its grant could allow. */
  async #asks({ message, request, caller }: Asked): Promise<ServerRequests | undefined> {
    const declared = message.kind === 'request' ? declaredBy(message.params) : []
    if (declared.length === 0 || eraOf(this.#options.entry) === 'modern') return undefined
    const found = await searchFor(this.#options.searches, caller, { htm: request.method, server: this.#server })
    if ('allowed' in found) return undefined
    return new ServerRequests(declared.filter((method) => found.found.includes(`${this.#server}/${method}`)))
  }

  /** Begins a session of the legacy era. The gateway gives it a random name, which no other client can guess, or use. */
  async #initialize(asked: Asked): Promise<Answer> {
    const { request, claims, signal } = asked
    const asks = await this.#asks(asked)
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
        begun.resolve(await channel.exchange(request, signal, rewrite))
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

  /** The conversation that a request belongs to. If there is none yet, it is opened only for a caller that was verified. */
  async #conversationOf(
    { era, request, caller, claims }: Asked,
    { isVerified = false }: { isVerified?: boolean } = {},
  ): Promise<Conversation | Refusal> {
    const { entry, access } = this.#options
    const session = sessionIn(request)
    if (era === 'legacy' && (session !== undefined || 'command' in entry))
      return this.#conversations.find(claims.owner, session ?? '')
    const known = this.#conversations.known(claims.owner)
    if (known !== undefined && known.channel.era === era) return known
    if (!isVerified) {
      const signed = actionIn(this.#server, request)
      const refusal = await this.#refusalOf(caller, request.method, 'initialize', claims, signed)
      if (refusal !== undefined) return refusal
    }
    if (known !== undefined) await this.#conversations.end(known)
    const conversation = await this.#conversations.ofOwner(claims.owner, () => access.open(era))
    // The server has no sessions, and the client began at another replica or before a restart.
    if (era === 'legacy') conversation.hello ??= await initialize(conversation.channel, () => this.#newId())
    return conversation
  }

  /** Why the caller gets nothing at all; undefined for one whose grant lives. */
  async #refusalOf(
    caller: Caller,
    htm: string,
    method: string,
    claims: Claims,
    signed?: Action,
  ): Promise<Refusal | undefined> {
    // If the proof is over the action of the call, it is valid for no other question.
    const about =
      signed === undefined
        ? { id: `${this.#server}/${method}` }
        : { id: signed.resource.id, properties: signed.properties }
    const found = await searchFor(this.#options.searches, caller, { htm, server: this.#server, ...about })
    if (!('allowed' in found)) return undefined
    this.#heard(found, claims)
    return found
  }

  /**
   * What the server now says of itself over this conversation. It is read before the first call, for each list, and again when the last
   * reading is no longer fresh.
   */
  async #observed(conversation: Conversation): Promise<NonNullable<Conversation['observed']>> {
    const { clock, access } = this.#options
    const known = conversation.observed
    if (known !== undefined && clock.monotonic() - known.at < this.#limits.freshMs) return known
    const at = clock.monotonic()
    const { hello, channel } = conversation
    const read = await observe(channel, { identity: access.identity(), hello, newId: () => this.#newId() })
    conversation.observed = { ...read, at }
    return conversation.observed
  }

  async #decide(
    request: RelayRequest,
    caller: Caller,
    conversation: Conversation,
    options: DecideOptions,
    actionOf?: typeof mcpAction,
  ): ReturnType<Decide> {
    const onCut = (_: string, reason: string) => this.#end(reason, conversation.owner)
    const upstream = new McpUpstream(this.#server, async () => conversation, onCut, actionOf)
    const decided = await this.#options.decide(upstream, request, caller, options)
    if (!('refused' in decided) && decided.allowed) this.#watch(conversation, decided.decisionId)
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
