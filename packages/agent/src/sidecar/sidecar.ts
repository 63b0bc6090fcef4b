import { type Action, actionDigest, encodeBase64url } from '@bailiwick/credentials'
import { errorCode, errorKinds } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import {
  addElements,
  type Era,
  isId,
  isObject,
  isReserved,
  type JsonObject,
  legacyVersions,
  type McpRequest,
  mappingOf,
  mcpAction,
  memberSpan,
  modernVersion,
  type Received,
  readReceived,
  showList,
} from '@bailiwick/mcp'
import {
  type ClientAnswer,
  emptyAnswer,
  errorAnswer,
  type Id,
  jsonAnswer,
  parsed,
  refusedAnswer,
  resultMessage,
  rewritten,
  wholeOf,
} from './answers.ts'
import { type Denied, denialCodeIn, deniedIn, deniedMessage, endsTask, withoutOffer } from './denied.ts'
import { BeginDenied, type Gateway, gatewayAt } from './gateway.ts'
import { type Call, held, longestHoldSeconds } from './held.ts'
import { helloOf, serverInfo, showsUrls, withTools } from './hello.ts'
import { itemsOf, withMore } from './lists.ts'
import { OwnCalls } from './own-calls.ts'
import { ownTools, requestAccess } from './own-tools.ts'
import { type Behind, responseToNothing } from './server-asks.ts'
import { keepNewest, type Session, Sessions } from './sessions.ts'
import type { SidecarOptions } from './sidecar-options.ts'
import { type Asked, Tasks } from './tasks.ts'

export type { SidecarOptions }

export interface Sidecar extends AsyncDisposable {
  /** Answers one request of streamable HTTP. Never rejects. */
  exchange(request: McpRequest, signal: AbortSignal): Promise<ClientAnswer>
  /** Called when the list of tools is another. A front that can tell its client sets it before the first request. */
  onToolsChanged: (() => void) | undefined
  /** What was listed of a tool. */
  describedTool(name: string): JsonObject | undefined
}

/** The decision point may learn of an approval a moment after the agent. */
const afterApproval = { tries: 25, ms: 200 }
const beginMs = 60_000
/** Begins the `requestState` of the sidecar's own questions. */
const ownState = 'bailiwick.'

interface Waiting {
  readonly asked: Asked
  readonly digest: string
}

/**
 * Makes an agent of a program that speaks plain MCP. What it sends goes on to the gateway with the agent's credential, a proof of its key
 * and a signature over the action. The three tools `bailiwick_…` are answered here, because a request for access is signed with the key.
 */
export function openSidecar(options: SidecarOptions): Sidecar {
  return new McpSidecar(options)
}

class McpSidecar implements Sidecar {
  readonly #options: SidecarOptions
  readonly #tasks: Tasks
  readonly #gateway: Gateway
  readonly #own: OwnCalls
  readonly #holdMs: number
  readonly #sessions = new Sessions()
  readonly #waiting = new Map<string, Waiting>()
  readonly #listed = new Map<string, JsonObject>()
  onToolsChanged: (() => void) | undefined

  constructor(options: SidecarOptions) {
    const { agent, grantId, onCompleting, report = () => undefined } = options
    this.#options = options
    this.#holdMs = Math.min(options.holdSeconds ?? 0, longestHoldSeconds) * 1000
    this.#gateway = gatewayAt(options)
    this.#tasks = new Tasks(agent, { grantId, onCompleting, report, onChange: () => this.onToolsChanged?.() })
    this.#own = new OwnCalls({
      tasks: this.#tasks,
      toolServer: () => this.#gateway.toolServer(),
      urlOf: (asked) => this.#urlOf(asked),
      hold: (call, asked, then) => this.#hold(call, asked, then),
    })
  }

  describedTool(name: string): JsonObject | undefined {
    return this.#listed.get(name)
  }

  async exchange(request: McpRequest, signal: AbortSignal): Promise<ClientAnswer> {
    let id: Id = null
    try {
      if (request.method !== 'POST') return await this.#bare(request, signal)
      const received = readReceived(request)
      if ('refused' in received) return refusedAnswer(received, { id: idIn(request), era: 'modern' })
      const { message, era } = received
      if (message.kind === 'response') return await this.#answered(message.id, received, request, signal)
      if (message.kind !== 'request') return await this.#note(request, era, signal)
      id = message.id
      return await this.#answer({ message, era, request, signal })
    } catch (error) {
      const code = errorCode(error)
      if (code === 'mcp_session_unknown') return errorAnswer(404, id, -32600, errorKinds[code].title, { code })
      return errorAnswer(200, id, -32603, errorKinds[code].title, { code })
    }
  }

  #answer(call: Call): Promise<ClientAnswer> | ClientAnswer {
    const { message, era } = call
    if (message.method === 'tools/call') return this.#call(call)
    if (message.method === 'initialize') return this.#initialize(call)
    const hasTask = this.#tasks.current !== undefined
    if (message.method === 'server/discover') return this.#discover(call)
    const { list } = mappingOf(era, message.method) ?? {}
    if (list !== undefined) return this.#list(call, list.member)
    if (mappingOf(era, message.method)?.handling === 'decided') return this.#decided(call)
    if (!hasTask && ['ping', 'logging/setLevel'].includes(message.method))
      return jsonAnswer(200, resultMessage(message.id, era, {}))
    return this.#forward(call)
  }

  /** A stream of notifications, or the end of a session. */
  async #bare(request: McpRequest, signal: AbortSignal): Promise<ClientAnswer> {
    const session = this.#sessions.of(request)
    const grantId = this.#tasks.current?.grantId
    const behinds = (await session?.behind.among(this.#tasks.grants)) ?? []
    if (request.method === 'DELETE' && session !== undefined) {
      this.#sessions.end(request)
      await this.#sendToAll(request, behinds, signal)
      return emptyAnswer(200)
    }
    const behind = behinds.find((each) => each.grantId === grantId) ?? behinds[0]
    if (grantId === undefined || (session !== undefined && behind === undefined)) return emptyAnswer(405)
    const asked = request.method === 'GET' ? await this.#actionOf(request) : undefined
    const action = asked === undefined || 'refused' in asked ? undefined : asked
    const under = behind?.grantId ?? grantId
    const answer = await this.#gateway.send(request, { grantId: under, action, session: behind?.id, signal })
    return session === undefined ? answer : session.asks.shown(answer, behind)
  }

  /** Notifications. One that is about a request goes to all sessions of the server: another than the request's ignores it. */
  async #note(request: McpRequest, era: Era, signal: AbortSignal): Promise<ClientAnswer> {
    const session = era === 'legacy' ? this.#sessions.of(request) : undefined
    const grantId = this.#tasks.current?.grantId
    if (grantId === undefined) return emptyAnswer(202)
    if (session === undefined) return this.#gateway.send(request, { grantId, signal })
    await this.#sendToAll(request, await session.behind.among(this.#tasks.grants), signal)
    return emptyAnswer(202)
  }

  /** What needs no answer. */
  async #sendToAll(request: McpRequest, behinds: readonly Behind[], signal: AbortSignal): Promise<void> {
    await Promise.allSettled(
      behinds.map(async ({ grantId, id: session }) => {
        const { body } = await this.#gateway.send(request, { grantId, session, signal })
        if (!(body instanceof Uint8Array)) await body[Symbol.asyncIterator]().return?.()
      }),
    )
  }

  /** An answer to a request of the server, which servers make in sessions alone. */
  async #answered(
    id: string | number | undefined,
    { era }: Received,
    request: McpRequest,
    signal: AbortSignal,
  ): Promise<ClientAnswer> {
    const session = era === 'legacy' ? this.#sessions.of(request) : undefined
    if (session === undefined) return responseToNothing()
    const onDenied = (code: string, { method, grantId }: { method: string; grantId: string }) => {
      if (endsTask(code)) this.#tasks.lost(grantId)
      this.#options.report?.(`the client's answer to ${method} did not reach the server: ${code}`)
    }
    return session.asks.answer({ id, request, signal }, { gateway: this.#gateway, onDenied })
  }

  async #initialize(call: Call): Promise<ClientAnswer> {
    const { message, request, signal } = call
    const grantId = this.#tasks.current?.grantId
    if (grantId !== undefined) {
      const begun = await this.#unlessOver(grantId, this.#gateway.begin(request, { grantId, signal }))
      if (begun !== undefined && !this.#isOver(begun.answer, grantId)) {
        const { answer, session } = begun
        if (session === undefined) return rewritten(answer, (text) => withTools(text, this.#tells))
        const behind = { grantId, id: session }
        const { asks } = this.#sessions.open(session, message.params, behind)
        const headers = [...answer.headers, 'mcp-session-id', session]
        return rewritten(asks.shown({ ...answer, headers }, behind), (text) => withTools(text, this.#tells))
      }
    }
    const session = encodeBase64url(this.#options.random(16))
    this.#sessions.open(session, message.params, undefined)
    const { protocolVersion } = message.params
    const known = typeof protocolVersion === 'string' && legacyVersions.includes(protocolVersion)
    return jsonAnswer(
      200,
      resultMessage(message.id, 'legacy', {
        protocolVersion: known ? protocolVersion : legacyVersions.at(-1),
        ...helloOf(this.#options.server, this.#tells),
        serverInfo,
      }),
      ['mcp-session-id', session],
    )
  }

  async #discover(call: Call): Promise<ClientAnswer> {
    const { message, era } = call
    if (this.#tasks.current !== undefined)
      return rewritten(await this.#forward(call), (text) => withTools(text, this.#tells))
    // A client then begins with `initialize`.
    if (this.#options.era !== 'modern') return errorAnswer(404, message.id, -32601, 'Method not found')
    const shown = {
      supportedVersions: [modernVersion],
      ...helloOf(this.#options.server, this.#tells),
      ttlMs: 0,
      cacheScope: 'private',
    }
    const meta = { _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo } }
    return jsonAnswer(200, resultMessage(message.id, era, { ...shown, ...meta }))
  }

  async #list(call: Call, member: string): Promise<ClientAnswer> {
    const { message, era } = call
    const isTools = member === 'tools'
    const grantId = this.#tasks.current?.grantId
    if (grantId !== undefined) {
      const answer = await this.#unlessOver(grantId, this.#forward(call))
      if (answer !== undefined && !this.#isOver(answer, grantId)) {
        const more = message.params.cursor === undefined ? await this.#listedElsewhere(call, member, grantId) : []
        const all =
          more.length === 0 ? answer : await rewritten(answer, (text, value) => withMore(text, value, { member, more }))
        return isTools ? rewritten(all, (text, value) => this.#withOwn(text, value, message.params)) : all
      }
    }
    const items = isTools ? [...ownTools(this.#options.server), ...this.#catalogue()] : []
    this.#remember(items)
    const caching = era === 'modern' ? { ttlMs: 0, cacheScope: 'private' } : {}
    return jsonAnswer(200, resultMessage(message.id, era, { [member]: items, ...caching }))
  }

  /** What a list has under the other grants of the task: the gateway shows under each only what that one allows. */
  async #listedElsewhere(call: Call, member: string, grantId: string): Promise<JsonObject[]> {
    const others = [...this.#tasks.grants].filter((each) => each !== grantId)
    const found = others.map((other) => itemsOf(call, member, (page) => this.#forward(page, undefined, other)))
    return (await Promise.allSettled(found)).flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
  }

  /** Whether the client can be told that the list of tools is another. */
  get #tells(): boolean {
    return this.onToolsChanged !== undefined
  }

  #catalogue(): readonly JsonObject[] {
    return (this.#options.catalogue ?? []).filter(({ name }) => typeof name === 'string' && !isReserved(name))
  }

  /** A server's tool with a name of ours is left out, also if the gateway let it through: a model would take it for ours. */
  #withOwn(text: string, value: JsonObject, { cursor }: JsonObject): string {
    const result = isObject(value.result) ? value.result : {}
    const listed = Array.isArray(result.tools) ? result.tools.filter(isObject) : []
    this.#remember(listed)
    const shown = showList(text, value, { member: 'tools', keep: ({ name }) => !isReserved(String(name)) })
    const span = memberSpan(shown, ['result', 'tools'])
    if (span === undefined || result.nextCursor !== undefined) return shown
    const names = new Set(listed.map(({ name }) => name))
    const more = cursor === undefined ? this.#catalogue().filter(({ name }) => !names.has(name)) : []
    return addElements(shown, span, [...more, ...ownTools(this.#options.server)])
  }

  #remember(tools: readonly JsonObject[]): void {
    for (const tool of tools)
      if (typeof tool.name === 'string' && this.#listed.size < 4096) this.#listed.set(tool.name, tool)
  }

  async #call(call: Call): Promise<ClientAnswer> {
    const { message, request } = call
    const { name, requestState } = message.params
    if (typeof name === 'string' && isReserved(name)) return this.#own.call(call, name)
    if (typeof requestState === 'string' && requestState.startsWith(ownState))
      return this.#secondRound(call, requestState)
    const action = await this.#actionOf(request)
    if ('refused' in action) return refusedAnswer(action, { id: message.id, era: call.era })
    const answer = await this.#attempt(call, action)
    return 'code' in answer ? this.#denied(call, action, answer) : answer
  }

  /** The gateway's answer to a call, or its denial. */
  async #attempt(call: Call, action: Action): Promise<ClientAnswer | Denied> {
    const grantId = this.#tasks.grantFor(action.resource.id)
    let answer: ClientAnswer
    try {
      answer = await this.#forward(call, action)
    } catch (error) {
      const code = errorCode(error)
      if (grantId === undefined || this.#tasks.grants.has(grantId)) throw error
      return { code, reason: `The task is over. Call ${requestAccess} if you still need it.`, denial: undefined }
    }
    if (denialCodeIn(answer) === undefined) return answer
    const body = await wholeOf(answer.body)
    const denied = deniedIn(parsed(body.toString('utf8')) ?? {}, action)
    if (denied === undefined) return { ...answer, body }
    // A denial that waits for a yes is of its grant alone, and no task answers it.
    if (denied.denial !== undefined && denied.code !== 'step_up_required') this.#tasks.denied(denied.denial)
    if (grantId !== undefined && endsTask(denied.code)) this.#tasks.lost(grantId)
    return denied
  }

  /** A call that waits for a human's yes is asked for, if its client can wait, or can show the human where to answer. */
  async #denied(call: Call, action: Action, denied: Denied): Promise<ClientAnswer> {
    const grantId = this.#tasks.grantFor(action.resource.id)
    const canWait = this.#holdMs > 0 || showsUrls(call)
    if (denied.code !== 'step_up_required' || denied.denial === undefined || grantId === undefined || !canWait)
      return this.#refusal(call, denied)
    let asked: Asked
    try {
      asked = await this.#tasks.askForAction(grantId, action, denied.denial)
    } catch (error) {
      const code = errorCode(error)
      return this.#refusal(call, {
        ...denied,
        reason: `A human could not be asked (${code}): ${errorKinds[code].title}.`,
      })
    }
    return this.#hold(call, asked, () => this.#afterAnswer(call, action, asked, denied))
  }

  #refusal({ message, era }: Call, denied: Denied): ClientAnswer {
    return jsonAnswer(200, deniedMessage(message.id, era, denied, String(message.params.name)))
  }

  #hold(call: Call, asked: Asked, then: () => Promise<ClientAnswer>): Promise<ClientAnswer> {
    return held({ call, asked, url: this.#urlOf(asked), holdMs: this.#holdMs }, then)
  }

  async #afterAnswer(call: Call, action: Action, asked: Asked, denied: Denied): Promise<ClientAnswer> {
    const { status } = asked.state
    if (status === 'approved') {
      for (let tries = 1; ; tries++) {
        const answer = await this.#attempt(call, action)
        if (!('code' in answer)) return answer
        if (answer.code !== 'step_up_required' || tries === afterApproval.tries) return this.#refusal(call, answer)
        await after(afterApproval.ms, call.signal)
      }
    }
    const url = this.#urlOf(asked)
    if (status !== 'pending')
      return this.#refusal(call, { code: denied.code, reason: `The human's answer is: ${status}.`, denial: undefined })
    if (showsUrls(call)) return this.#inputRequired(call, action, asked)
    const reason = `A human was asked, and has not answered yet. The request is ${asked.requestId}, at ${url}. Call the tool again later.`
    return this.#refusal(call, { code: denied.code, reason, denial: undefined })
  }

  /** Asks the client to show the human where to answer (2026-07-28, `input_required`). */
  #inputRequired({ message }: Call, action: Action, asked: Asked): ClientAnswer {
    const requestState = `${ownState}${encodeBase64url(this.#options.random(16))}`
    keepNewest(this.#waiting, requestState, { asked, digest: actionDigest(action) })
    const params = { mode: 'url', message: 'This call needs your approval.', url: this.#urlOf(asked) }
    const inputRequests = { bailiwick_approval: { method: 'elicitation/create', params } }
    const result = { resultType: 'input_required', inputRequests, requestState }
    return jsonAnswer(200, { jsonrpc: '2.0', id: message.id, result })
  }

  /**
   * The call again, after the client showed the page. The state comes from the client: it only finds what is kept here, and is good for the
   * same call alone. What the client says of the human's answer counts for nothing, except for a no.
   */
  async #secondRound(call: Call, state: string): Promise<ClientAnswer> {
    const { message } = call
    const { requestState: _, inputResponses, ...params } = message.params
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, method: message.method, params }))
    const again: Call = { ...call, message: { ...message, params }, request: { ...call.request, body } }
    const action = await this.#actionOf(again.request)
    const waiting = this.#waiting.get(state)
    if ('refused' in action) return refusedAnswer(action, { id: message.id, era: call.era })
    if (waiting === undefined || waiting.digest !== actionDigest(action))
      return errorAnswer(200, message.id, -32602, 'requestState: not of this call')
    this.#waiting.delete(state)
    const { asked } = waiting
    const said = isObject(inputResponses) ? inputResponses.bailiwick_approval : undefined
    const denied: Denied = { code: 'step_up_required', reason: '', denial: undefined }
    if (isObject(said) && said.action !== 'accept' && asked.state.status === 'pending') {
      await this.#tasks.cancel(asked).catch(() => undefined)
      return this.#refusal(again, { ...denied, reason: 'The human did not open the page. The request was withdrawn.' })
    }
    return this.#hold(again, asked, () => this.#afterAnswer(again, action, asked, denied))
  }

  #urlOf({ requestId }: Asked): string {
    return `${this.#options.publicUrl.replace(/\/+$/, '')}/console/requests/${requestId}`
  }

  async #actionOf(request: McpRequest) {
    return mcpAction(await this.#gateway.toolServer(), request)
  }

  /** Sends a request under the current task, or without a credential if there is none: the gateway then says what to do. */
  async #forward({ request, era, message, signal }: Call, given?: Action, under?: string): Promise<ClientAnswer> {
    const mapping = mappingOf(era, message.method)
    const decided = given ?? (mapping?.handling === 'decided' ? await this.#actionOf(request) : undefined)
    const action = decided === undefined || 'refused' in decided ? undefined : decided
    const grantId = under ?? this.#tasks.grantFor(action?.resource.id)
    const session = era === 'legacy' ? this.#sessions.of(request) : undefined
    try {
      for (let tries = 1; ; tries++) {
        const behind = grantId === undefined ? undefined : await this.#behind(session, grantId)
        const answer = await this.#gateway.send(request, { grantId, action, session: behind?.id, signal })
        if (answer.status !== 404 || session === undefined || grantId === undefined || tries > 1)
          return session === undefined ? answer : session.asks.shown(answer, behind)
        // The gateway was restarted, or ended the session: nothing was done under it.
        if (behind !== undefined) await session.behind.lost(behind)
      }
    } catch (error) {
      if (error instanceof BeginDenied) return error.answerTo(message.id)
      if (grantId !== undefined && endsTask(errorCode(error))) this.#tasks.lost(grantId)
      throw error
    }
  }

  /** The session behind a client's session: each grant has its own, and the gateway shows nothing of one to the other. */
  async #behind(session: Session | undefined, grantId: string): Promise<Behind | undefined> {
    // It is for all calls that wait for it, so it does not end with the first one.
    const signal = () => AbortSignal.timeout(beginMs)
    return session?.behind.of(grantId, () => this.#gateway.beginAgain(session.params, { grantId, signal: signal() }))
  }

  /** What is decided and is no call of a tool. The binding token of a denial stays here. */
  async #decided(call: Call): Promise<ClientAnswer> {
    const action = await this.#actionOf(call.request)
    if ('refused' in action) return refusedAnswer(action, { id: call.message.id, era: call.era })
    const answer = await this.#forward(call, action)
    if (denialCodeIn(answer) === undefined) return answer
    const message = parsed((await wholeOf(answer.body)).toString('utf8')) ?? {}
    const { code, denial } = deniedIn(message, action) ?? {}
    if (denial !== undefined && code !== 'step_up_required') this.#tasks.denied(denial)
    return { ...answer, body: Buffer.from(JSON.stringify(withoutOffer(message))) }
  }

  /** Undefined if the task turned out to be over: the client is then served as one without a task. */
  async #unlessOver<T>(grantId: string, sent: Promise<T>): Promise<T | undefined> {
    try {
      return await sent
    } catch (error) {
      if (!endsTask(errorCode(error))) throw error
      this.#tasks.lost(grantId)
      return undefined
    }
  }

  /** Whether the gateway says that the task is over. */
  #isOver(answer: ClientAnswer, grantId: string): boolean {
    const code = denialCodeIn(answer)
    if (code === undefined || !endsTask(code)) return false
    this.#tasks.lost(grantId)
    return true
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#tasks[Symbol.asyncDispose]()
  }
}

function idIn({ body }: McpRequest): Id {
  const { id } = parsed(Buffer.from(body).toString('utf8')) ?? {}
  return isId(id) ? id : null
}
