import { covers } from '@bailiwick/authority'
import type { Action } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { AccessTask } from '../access-requests.ts'
import type { Agent } from '../agent.ts'
import type { Denial } from '../denial.ts'
import type { Ask } from './own-tools.ts'
import type { StandingGrant } from './standing-grant.ts'

/** The task that calls are made under. */
export interface CurrentTask {
  readonly grantId: string
  /** The task's name, if this sidecar asked for it. */
  readonly name?: string | undefined
  /** Where rules split the request: the grant of each tool that was approved. */
  readonly grants?: ReadonlyMap<string, string>
  /** Grants that this sidecar did not ask for, with what each is for. */
  readonly standing?: readonly StandingGrant[]
  readonly isOwn: boolean
}

/** A request of this sidecar. */
export interface Asked {
  readonly requestId: string
  readonly name: string | undefined
  /** What is known of it. */
  state: AccessTask
  /** Resolves once it is answered, or once it cannot be followed any longer. Never rejects. */
  readonly answered: Promise<AccessTask>
}

/** Requests that are remembered, and denials that a request may answer. */
const most = 64

/**
 * The requests and the one current task of a sidecar. An approved request becomes the current task, and the task before it is given back:
 * what is not needed any longer must not stay usable.
 */
export class Tasks implements AsyncDisposable {
  readonly #agent: Agent
  readonly #asked = new Map<string, Asked>()
  readonly #denials = new Map<string, Denial>()
  readonly #stopped = new AbortController()
  readonly #onChange: () => void
  readonly #onCompleting: TasksOptions['onCompleting']
  readonly #report: (line: string) => void
  #current: CurrentTask | undefined
  #hasCompleted = false

  constructor(agent: Agent, { grantId, standing = [], onChange, onCompleting, report }: TasksOptions) {
    this.#agent = agent
    this.#onCompleting = onCompleting
    this.#onChange = onChange
    this.#report = report
    const first = grantId ?? standing[0]?.grantId
    this.#current = first === undefined ? undefined : { grantId: first, standing, isOwn: false }
  }

  get current(): CurrentTask | undefined {
    return this.#current
  }

  /** The request of this id, or the newest. A model that names the request of another program gets nothing. */
  find(requestId?: string): Asked | undefined {
    return requestId === undefined ? [...this.#asked.values()].at(-1) : this.#asked.get(requestId)
  }

  /** Keeps a denial until a request answers it: some agents may only ask for what was denied. */
  denied(denial: Denial): void {
    this.#denials.delete(denial.resource.id)
    this.#denials.set(denial.resource.id, denial)
    for (const oldest of this.#denials.keys()) if (this.#denials.size > most) this.#denials.delete(oldest)
  }

  /** Asks for a task. Throws the errors of `Agent.request`. */
  async ask({ authority, seconds, reason }: Ask): Promise<Asked> {
    const denials = authority.permissions.flatMap(({ resource }) => this.#denials.get(resource.id) ?? [])
    // Several denials name the items of a request one by one. A single one may be about a part of it.
    const answering = denials.length === authority.permissions.length ? denials : denials.slice(0, 1)
    const ask = { authority, mode: 'window', expiresInSeconds: seconds, purpose: reason } as const
    // Most agents may ask at any time, and a denial that is old or was answered would only stand in the way.
    const first = await this.#agent.request(ask).catch((error: unknown) => {
      if (errorCode(error) !== 'denial_not_requestable' || answering.length === 0) throw error
      for (const { resource } of answering) this.#denials.delete(resource.id)
      return this.#agent.request({ ...ask, answering })
    })
    return this.#follow(first, authority.task, (answered) => this.#adopt(answered, authority.task))
  }

  /** Asks for one more action of the current task, which a human must say yes to. The human sees all of its arguments. */
  async askForAction(grantId: string, action: Action, denial: Denial): Promise<Asked> {
    const { authorizationDetails } = await this.#agent.credential({ grantId })
    const authority = authorizationDetails[0]
    const first = await this.#agent.request({
      ...{ authority, action, answering: denial },
      ...{ mode: 'per_action', grantId, expiresInSeconds: 300 },
    })
    return this.#follow(first, undefined, () => undefined)
  }

  async cancel({ requestId }: Asked): Promise<void> {
    await this.#agent.cancel(requestId)
  }

  #follow(first: AccessTask, name: string | undefined, onAnswer: (answered: AccessTask) => void): Asked {
    const { requestId } = first
    // The same request as one that is still waiting.
    const known = this.#asked.get(requestId)
    if (known?.state.status === 'pending') return known
    const isAnswered = first.status !== 'pending'
    if (isAnswered) onAnswer(first)
    const followed = () =>
      this.#agent
        .waitForDecision(requestId, { signal: this.#stopped.signal })
        .then((answered) => {
          asked.state = answered
          onAnswer(answered)
          return answered
        })
        .catch((error: unknown) => {
          if (!this.#stopped.signal.aborted) this.#report(`request ${requestId}: ${errorCode(error)}`)
          return asked.state
        })
    const answered = isAnswered ? Promise.resolve(first) : followed()
    const asked: Asked = { requestId, name, state: first, answered }
    this.#asked.delete(requestId)
    this.#asked.set(requestId, asked)
    for (const oldest of this.#asked.keys()) if (this.#asked.size > most) this.#asked.delete(oldest)
    return asked
  }

  #adopt({ grantId, items = [] }: AccessTask, name: string): void {
    const approved = items.flatMap((item) =>
      item.grantId === undefined ? [] : [[item.resource.id, item.grantId] as const],
    )
    const first = grantId ?? approved[0]?.[1]
    if (first === undefined) return
    const before = this.#current
    this.#current = {
      grantId: first,
      name,
      isOwn: true,
      ...(grantId === undefined ? { grants: new Map(approved) } : {}),
    }
    this.#onChange()
    void this.#giveBack(before)
  }

  /**
   * The grants under which an action is tried, in this order: those that cover it, those for the same tool, and the
   * others. Where rules split the request, it is the one of the tool.
   */
  grantsFor(action: Action): string[] {
    const { grantId, grants, standing = [] } = this.#current ?? {}
    const { id } = action.resource
    const own = grants?.get(id)
    if (own !== undefined || grantId === undefined) return own === undefined ? [] : [own]
    const covering = standing.filter(({ authority }) => covers(authority, action).covered)
    const near = standing.filter(({ authority }) => authority.permissions.some(({ resource }) => resource.id === id))
    return [...new Set([...covering.map(idOf), ...near.map(idOf), grantId, ...standing.map(idOf)])]
  }

  /** The grant for an action that is tried under only one grant. */
  grantFor(action: Action | undefined): string | undefined {
    return action === undefined ? this.#current?.grantId : this.grantsFor(action)[0]
  }

  /** The grants of the current task. */
  get grants(): ReadonlySet<string> {
    return this.#current === undefined ? new Set() : grantsOf(this.#current)
  }

  /** A grant is over: withdrawn, expired, or completed elsewhere. The task is over with its last one. */
  lost(grantId: string): void {
    const task = this.#current
    if (task === undefined || !this.grants.has(grantId)) return
    const left = [...(task.grants ?? [])].filter(([, each]) => each !== grantId)
    const standing = (task.standing ?? []).filter((each) => each.grantId !== grantId)
    const first = left[0]?.[1] ?? standing[0]?.grantId
    this.#current = first === undefined ? undefined : { ...task, grantId: first, grants: new Map(left), standing }
    this.#onChange()
  }

  /**
   * Gives the current task back; undefined if that was done before, and no task followed. A grant that is over already needs nothing. Throws
   * `grant_unknown` if there was no task, and the errors of `Agent.complete`.
   */
  async complete(): Promise<CurrentTask | undefined> {
    const task = this.#current
    if (task === undefined && this.#hasCompleted) return undefined
    if (task === undefined) throw new ServiceError('grant_unknown', 'there is no task')
    for (const grantId of grantsOf(task)) {
      const completion = this.#agent.complete({ grantId })
      this.#onCompleting?.(grantId, completion)
      await completion.catch((error: unknown) => {
        if (errorCode(error) !== 'grant_not_active') throw error
      })
    }
    if (this.#current === task) this.#current = undefined
    this.#hasCompleted = true
    this.#onChange()
    return task
  }

  async #giveBack(task: CurrentTask | undefined): Promise<void> {
    if (!task?.isOwn) return
    for (const grantId of grantsOf(task))
      await this.#agent.complete({ grantId }).catch((error: unknown) => {
        const code = errorCode(error)
        if (code === 'grant_not_active') return // it ended meanwhile
        this.#report(`task ${grantId} could not be given back, and lives until it expires: ${code}`)
      })
  }

  /** Gives back what this sidecar asked for, and withdraws what it still asks for: no one is left to use it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort(new ServiceError('stream_cut', 'the sidecar ends'))
    const task = this.#current
    this.#current = undefined
    const waiting = [...this.#asked.values()].filter(({ state }) => state.status === 'pending')
    await Promise.all([this.#giveBack(task), ...waiting.map((asked) => this.cancel(asked).catch(() => undefined))])
  }
}

export interface TasksOptions {
  /** A grant that exists already. It is used, and never given back except by `bailiwick_complete_task`. */
  grantId?: string | undefined
  /** Several such grants: each action is done under one that covers it. */
  standing?: readonly StandingGrant[] | undefined
  /** Called when the current task is another. */
  onChange: () => void
  /** Called when a grant is given back at the client's own wish. `completion` rejects if it could not be. */
  onCompleting?: ((grantId: string, completion: Promise<void>) => void) | undefined
  report: (line: string) => void
}

const idOf = ({ grantId }: StandingGrant): string => grantId

const grantsOf = ({ grantId, grants, standing = [] }: CurrentTask): ReadonlySet<string> =>
  new Set([grantId, ...(grants?.values() ?? []), ...standing.map((each) => each.grantId)])
