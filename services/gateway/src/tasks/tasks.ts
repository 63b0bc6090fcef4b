import { ServiceError } from '@bailiwick/errors'
import { after } from '@bailiwick/kit'
import { type JsonObject, type TaskState, taskTold } from '@bailiwick/mcp'
import type { Permitted } from '@bailiwick/pep'
import { answerAsOwed, type OwedAnswer, type RelayRequest } from '@bailiwick/relay'
import { ask } from '../manifest/observe.ts'
import type { Channel } from '../servers/channel.ts'
import { isEnding, Task, type TaskParts } from './task.ts'

/** Tasks of one conversation, with those whose results can still be read. */
const most = 16
/** How often the gateway itself asks how a task is, in ms: as often as the server wants, within these bounds. */
const [oftenMs, usualMs, seldomMs] = [1000, 5000, 30_000]
/** After so many questions that the server did not answer with a task, it no longer has it. */
const mostUnknown = 3
/** As for the answer to a call. */
const limits = { mostBytes: 64 * 1024 * 1024, mostHeldBytes: 4 * 1024 * 1024 }

/**
 * The tasks that calls of one conversation began. A server may know the tasks of all its clients; here an id finds a task only in the
 * conversation of the call that began it, which belongs to one grant and agent, and in a session to that session.
 */
export class Tasks {
  readonly #channel: Channel
  readonly #newId: () => string
  readonly #watch: TaskParts['watch']
  readonly #all = new Map<string, Task>()
  readonly #cancelling = new Set<Promise<void>>()

  constructor(channel: Channel, newId: () => string, watch: TaskParts['watch']) {
    this.#channel = channel
    this.#newId = newId
    this.#watch = watch
  }

  find(id: string): Task | undefined {
    return this.#all.get(id)
  }

  /** Whether the server works on one. */
  get areRunning(): boolean {
    return [...this.#all.values()].some(({ isRunning }) => isRunning)
  }

  /** Throws `queue_full` if no further task may begin. */
  checkRoom(): void {
    if (!this.#hasRoom()) throw new ServiceError('queue_full', 'too many tasks')
  }

  /**
   * A permitted call was answered by this task. Throws `upstream_failed` if it cannot be told from another task, or is one too many: what
   * became of the call is then not known.
   */
  begin(state: TaskState, permitted: Pick<Permitted, 'decisionId' | 'owed' | 'signal'>): Task {
    if (this.#all.get(state.id)?.isReported === false)
      throw new ServiceError('upstream_failed', 'the server gave one id to two tasks')
    if (!this.#hasRoom()) {
      this.#cancel(state.id)
      throw new ServiceError('upstream_failed', 'too many tasks')
    }
    const onEnded: TaskParts['onEnded'] = (ended, wasRunning) => {
      if (this.#all.get(ended.id) === ended) this.#all.delete(ended.id)
      if (wasRunning) this.#cancel(ended.id)
    }
    const task = new Task(state, permitted, { onEnded, watch: this.#watch })
    this.#all.delete(state.id)
    this.#all.set(state.id, task)
    task.told(state)
    void this.#follow(task)
    return task
  }

  /** Sends a client's request about a task. The answer obeys what the decision of its call owes. */
  async pass(task: Task, method: string, request: RelayRequest, signal: AbortSignal): Promise<OwedAnswer> {
    const taken = task.take()
    let isResult = false
    const rewrite = (text: string, value: JsonObject) => {
      isResult = this.#read(task, method, value)
      return text
    }
    try {
      const executed = await this.#channel.exchange(request, signal, rewrite, { isDecided: true })
      const owed = { redact: task.owed.redact, mostBytes: taken }
      const answer = await answerAsOwed(executed, { owed, signal, ...limits })
      void answer.over.then(({ egress_bytes = 0, status }) =>
        task.passed(taken, egress_bytes, isResult && status !== 'unknown'),
      )
      return answer
    } catch (error) {
      task.passed(taken, 0, false)
      throw error
    }
  }

  /** Ends all of them, and resolves once the server was told, or could not be. */
  async end(): Promise<void> {
    for (const task of [...this.#all.values()]) task.end()
    await Promise.all(this.#cancelling)
  }

  /** Notes what an answer says of a task, and whether it holds the task's result. */
  #read(task: Task, method: string, value: JsonObject): boolean {
    const { result } = value
    if (method === 'tasks/result') {
      if (result !== undefined)
        task.told({ status: 'completed', hasFailed: (result as JsonObject | null)?.isError === true })
      return result !== undefined
    }
    const told = taskTold(value)
    if (told === undefined) return false
    if (told.id !== task.id) throw new ServiceError('upstream_failed', 'the answer is about another task')
    task.told(told)
    return this.#channel.era === 'modern' && isEnding(told.status)
  }

  #hasRoom(): boolean {
    const read = [...this.#all.values()].find(({ isReported }) => isReported)
    if (this.#all.size >= most && read !== undefined) this.#all.delete(read.id)
    return this.#all.size < most
  }

  /** Asks how it is until it ends: its client may not, and its outcome must not wait for that. */
  async #follow(task: Task): Promise<void> {
    const pauseMs = Math.min(Math.max(task.pollMs ?? usualMs, oftenMs), seldomMs)
    for (let unknown = 0; unknown < mostUnknown; ) {
      await after(pauseMs, task.running).catch(() => undefined)
      if (!task.isRunning) return
      if (this.#channel.isOver) break
      try {
        const result = await ask(this.#channel, this.#newId(), 'tasks/get', { taskId: task.id })
        const told = taskTold({ result })
        if (told?.id === task.id) task.told(told)
        unknown = told?.id === task.id ? 0 : unknown + 1
      } catch {
        // The server is away, or busy. The call's own time ends the task, if nothing else does.
      }
    }
    if (task.isRunning) task.end()
  }

  /** Tells the server that its task is wanted no longer. It may not be able to end it. */
  #cancel(taskId: string): void {
    const told: Promise<void> = ask(this.#channel, this.#newId(), 'tasks/cancel', { taskId })
      .then(() => undefined)
      .catch(() => undefined)
      .finally(() => this.#cancelling.delete(told))
    this.#cancelling.add(told)
  }
}
