import { type Action, encodeBase64url } from '@bailiwick/credentials'
import { errorCode, errorKinds } from '@bailiwick/errors'
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
import { denialCodeIn, deniedIn, endsTask, withoutOffer } from './denied.ts'
import { BeginDenied, type Gateway, gatewayAt } from './gateway.ts'
import { type Call, longestHoldSeconds } from './held.ts'
import { helloOf, serverInfo, withTools } from './hello.ts'
import { itemsOf, withMore } from './lists.ts'
import { OwnCalls } from './own-calls.ts'
import { ownTools } from './own-tools.ts'
import { type Behind, responseToNothing } from './server-asks.ts'
import { type Session, Sessions } from './sessions.ts'
import type { SidecarOptions } from './sidecar-options.ts'
import { type Asked, Tasks } from './tasks.ts'
import { ToolCalls } from './tool-calls.ts'
import { underFirst } from './under-first.ts'

export type { SidecarOptions }

export interface Sidecar extends AsyncDisposable {
  /** Answers one request of streamable HTTP. Never rejects. */
  exchange(request: McpRequest, signal: AbortSignal): Promise<ClientAnswer>
  /** Called when the list of tools is another. A front that can tell its client sets it before the first request. */
  onToolsChanged: (() => void) | undefined
  /** What was listed of a tool. */
  describedTool(name: string): JsonObject | undefined
}

const beginMs = 60_000
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
  readonly #calls: ToolCalls
  readonly #sessions = new Sessions()
  readonly #listed = new Map<string, JsonObject>()
  onToolsChanged: (() => void) | undefined

  constructor(options: SidecarOptions) {
    const { agent, grantId, standing, onCompleting, report = () => undefined } = options
    this.#options = options
    this.#gateway = gatewayAt(options)
    this.#tasks = new Tasks(agent, { grantId, standing, onCompleting, report, onChange: () => this.onToolsChanged?.() })
    const urlOf = (asked: Asked) => this.#urlOf(asked)
    this.#calls = new ToolCalls({
      ...{ tasks: this.#tasks, urlOf, random: options.random },
      forward: (call, action, grantId) => this.#forward(call, action, grantId),
      actionOf: (request) => this.#actionOf(request),
      holdMs: Math.min(options.holdSeconds ?? 0, longestHoldSeconds) * 1000,
    })
    this.#own = new OwnCalls({
      ...{ tasks: this.#tasks, urlOf },
      toolServer: () => this.#gateway.toolServer(),
      hold: (call, asked, then) => this.#calls.hold(call, asked, then),
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

  #call(call: Call): Promise<ClientAnswer> {
    const { name } = call.message.params
    return typeof name === 'string' && isReserved(name) ? this.#own.call(call, name) : this.#calls.answer(call)
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
    const grantId = under ?? this.#tasks.grantFor(action)
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
    const grants = this.#tasks.grantsFor(action)
    const attempt = (grantId?: string) => this.#forward(call, action, grantId)
    const { signal } = call
    const answer = await (grants.length === 0
      ? attempt()
      : underFirst(grants, { attempt, codeOf: denialCodeIn, signal }))
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
