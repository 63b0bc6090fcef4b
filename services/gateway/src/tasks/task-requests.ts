import { ServiceError } from '@bailiwick/errors'
import { type Received, showList, taskAsked } from '@bailiwick/mcp'
import type { EnforcementPoint, Refusal } from '@bailiwick/pep'
import type { Executed, RelayRequest } from '@bailiwick/relay'
import { type Answer, answerOf, jsonAnswer, refusedAnswer } from '../mcp/answers.ts'
import type { Callers, Shown } from '../mcp/callers.ts'
import type { Owner } from '../mcp/claims.ts'
import type { Conversation, Conversations } from '../mcp/conversations.ts'
import { defaultLimits } from '../mcp/mcp-options.ts'
import { sessionIn } from '../mcp/requests.ts'
import type { Shares } from '../mcp/shares.ts'
import type { Task } from './task.ts'

export interface TaskRequestsOptions {
  callers: Pick<Callers, 'whyNothing'>
  conversations: Pick<Conversations, 'find' | 'known' | 'use'>
  point: Pick<EnforcementPoint, 'watch'>
  share: Shares['of']
  /** Called with the reason if a grant is found to be over while an answer flows. */
  onCut: (reason: string, owner: Owner) => void
  denied: (refusal: Refusal, id: string | number | null) => Answer
}

/** A request of a caller that showed a credential. */
export interface TaskRequest extends Received, Shown {}

/** An answer that a cut ends, and what resolves when nothing more of it is sent. */
type Flowing = { executed: Executed; over: Promise<unknown> }

/**
 * Requests about tasks. The call that began a task was decided and counted, so these are neither. Each is for a caller whose grant lives
 * now, reaches only the tasks of its own conversation, and is answered under what the decision of the call owes.
 */
export class TaskRequests {
  readonly #options: TaskRequestsOptions

  constructor(options: TaskRequestsOptions) {
    this.#options = options
  }

  async answer(asked: TaskRequest, id: string | number | null): Promise<Answer> {
    const { message, era, request, claims } = asked
    const { callers, conversations, denied } = this.#options
    const wanted = taskAsked(era, message)
    if ('refused' in wanted || message.kind !== 'request')
      return refusedAnswer('refused' in wanted ? wanted : { refused: 'mcp_method_unmapped', detail: '' }, { id, era })
    const { method } = message
    const refusal = await callers.whyNothing(asked, method)
    if (refusal !== undefined) return denied(refusal, id)
    const session = sessionIn(request)
    const found = session === undefined ? conversations.known(claims.owner) : conversations.find(claims.owner, session)
    const conversation = found?.channel.era === era ? found : undefined
    if (conversation !== undefined) conversations.use(conversation)
    if (wanted.id === undefined)
      return conversation?.tasks === undefined
        ? jsonAnswer(200, { jsonrpc: '2.0', id, result: { tasks: [] } })
        : answerOf({ executed: await this.#listed(asked, conversation, request) })
    const task = conversation?.tasks?.find(wanted.id)
    if (conversation === undefined || task === undefined)
      return refusedAnswer({ refused: 'mcp_task_unknown', detail: method }, { id, era })
    return answerOf(await this.#passed(asked, conversation, task, method))
  }

  /** A task of which something must be hidden or counted is not listed: the list is under what no one decision owes. */
  #listed({ claims, signal }: TaskRequest, { channel, tasks }: Conversation, request: RelayRequest): Promise<Executed> {
    const isShown = (taskId: unknown) => {
      const owed = typeof taskId === 'string' ? tasks?.find(taskId)?.owed : undefined
      return owed !== undefined && owed.redact.length === 0 && owed.mostBytes === undefined
    }
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(defaultLimits.undecidedMs)])
    return this.#options.share(claims.owner.agent, bounded, () =>
      channel.exchange(request, bounded, (text, value) =>
        showList(text, value, { member: 'tasks', keep: ({ taskId }) => isShown(taskId) }),
      ),
    )
  }

  async #passed(
    { request, claims: { owner }, signal }: TaskRequest,
    { tasks }: Conversation,
    task: Task,
    method: string,
  ): Promise<Flowing> {
    const { point, share, onCut } = this.#options
    const life = new AbortController()
    const either = AbortSignal.any([signal, life.signal])
    const watched = point.watch(task.decisionId, (reason) => {
      life.abort(new ServiceError('stream_cut', reason))
      onCut(reason, owner)
    })
    let over: Promise<unknown> = Promise.resolve()
    try {
      const executed = await share(owner.agent, either, async () => {
        const answer = await tasks?.pass(task, method, request, either)
        if (answer === undefined) throw new ServiceError('upstream_unreachable', 'the conversation is over')
        over = answer.over
        if ('withheld' in answer) throw answer.withheld
        return answer.executed
      })
      void over.then(() => watched[Symbol.dispose]())
      return { executed, over }
    } catch (error) {
      watched[Symbol.dispose]()
      throw error
    }
  }
}
