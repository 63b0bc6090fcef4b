import { type Action, actionDigest, encodeBase64url } from '@bailiwick/credentials'
import { errorCode, errorKinds } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { isObject, type McpRequest, type mcpAction } from '@bailiwick/mcp'
import { type ClientAnswer, errorAnswer, jsonAnswer, parsed, refusedAnswer, wholeOf } from './answers.ts'
import { type Denied, denialCodeIn, deniedIn, deniedMessage, endsTask } from './denied.ts'
import { type Call, held } from './held.ts'
import { showsUrls } from './hello.ts'
import { requestAccess } from './own-tools.ts'
import { keepNewest } from './sessions.ts'
import type { SidecarOptions } from './sidecar-options.ts'
import type { Asked, Tasks } from './tasks.ts'
import { underFirst } from './under-first.ts'

export interface ToolCallsOptions {
  tasks: Tasks
  /** Sends a call on, under this grant. */
  forward: (call: Call, action: Action, grantId: string | undefined) => Promise<ClientAnswer>
  actionOf: (request: McpRequest) => Promise<ReturnType<typeof mcpAction>>
  /** Where a human answers. */
  urlOf: (asked: Asked) => string
  /** How long a call stays open while a human decides. */
  holdMs: number
  random: SidecarOptions['random']
}

/** The decision point may learn of an approval a moment after the agent. */
const afterApproval = { tries: 25, ms: 200 }
/** Begins the `requestState` of the sidecar's own questions. */
const ownState = 'bailiwick.'

/** A denial, and the grant under which it was made. */
interface DeniedCall extends Denied {
  readonly grantId: string | undefined
}

interface Waiting {
  readonly asked: Asked
  readonly digest: string
}

/** Calls of the server's tools: each is sent on, and one that needs a human's yes of its own is asked for. */
export class ToolCalls {
  readonly #options: ToolCallsOptions
  readonly #tasks: Tasks
  readonly #waiting = new Map<string, Waiting>()

  constructor(options: ToolCallsOptions) {
    this.#options = options
    this.#tasks = options.tasks
  }

  async answer(call: Call): Promise<ClientAnswer> {
    const { message, request } = call
    const { requestState } = message.params
    if (typeof requestState === 'string' && requestState.startsWith(ownState))
      return this.#secondRound(call, requestState)
    const action = await this.#options.actionOf(request)
    if ('refused' in action) return refusedAnswer(action, { id: message.id, era: call.era })
    const answer = await this.#attempt(call, action)
    return 'code' in answer ? this.#denied(call, action, answer) : answer
  }

  /** Answers with `then` once the human answered, or when the call was held for long enough. */
  hold(call: Call, asked: Asked, then: () => Promise<ClientAnswer>): Promise<ClientAnswer> {
    return held({ call, asked, url: this.#options.urlOf(asked), holdMs: this.#options.holdMs }, then)
  }

  /** The gateway's answer to a call, or its denial: that of the first grant that covers the call. */
  async #attempt(call: Call, action: Action): Promise<ClientAnswer | DeniedCall> {
    const grants = this.#tasks.grantsFor(action)
    const attempt = (grantId: string | undefined) => this.#attemptUnder(call, action, grantId)
    const codeOf = (answer: ClientAnswer | DeniedCall) => ('code' in answer ? answer.code : undefined)
    const { signal } = call
    const answer = await (grants.length === 0 ? attempt(undefined) : underFirst(grants, { attempt, codeOf, signal }))
    if ('code' in answer && answer.denial !== undefined && answer.code !== 'step_up_required')
      // A denial that waits for a person's yes belongs to its grant, and no further task answers it.
      this.#tasks.denied(answer.denial)
    return answer
  }

  async #attemptUnder(call: Call, action: Action, grantId: string | undefined): Promise<ClientAnswer | DeniedCall> {
    let answer: ClientAnswer
    try {
      answer = await this.#options.forward(call, action, grantId)
    } catch (error) {
      const code = errorCode(error)
      if (grantId === undefined || this.#tasks.grants.has(grantId)) throw error
      const reason = `The task is over. Call ${requestAccess} if you still need it.`
      return { code, reason, denial: undefined, grantId }
    }
    if (denialCodeIn(answer) === undefined) return answer
    const body = await wholeOf(answer.body)
    const denied = deniedIn(parsed(body.toString('utf8')) ?? {}, action)
    if (denied === undefined) return { ...answer, body }
    if (grantId !== undefined && endsTask(denied.code)) this.#tasks.lost(grantId)
    return { ...denied, grantId }
  }

  /** A call that waits for a human's yes is asked for, if its client can wait, or can show the human where to answer. */
  async #denied(call: Call, action: Action, denied: DeniedCall): Promise<ClientAnswer> {
    const { grantId } = denied
    const canWait = this.#options.holdMs > 0 || showsUrls(call)
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
    return this.hold(call, asked, () => this.#afterAnswer(call, action, asked, denied))
  }

  #refusal({ message, era }: Call, denied: Denied): ClientAnswer {
    return jsonAnswer(200, deniedMessage(message.id, era, denied, String(message.params.name)))
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
    const url = this.#options.urlOf(asked)
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
    const params = { mode: 'url', message: 'This call needs your approval.', url: this.#options.urlOf(asked) }
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
    const action = await this.#options.actionOf(again.request)
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
    return this.hold(again, asked, () => this.#afterAnswer(again, action, asked, denied))
  }
}
