import type { Agent } from '@bailiwick/agent'
import { isForEntry } from '@bailiwick/agent/sidecar'
import type { Clock } from '@bailiwick/kit'
import type { Io } from '../io.ts'
import type { Entry } from './entries.ts'
import { giveBack, type ObtainedGrant } from './task.ts'
import { untilEnded } from './watch-grant.ts'

/** Why a program goes on no longer under the grants of its run, or must not go on at all. */
export type RunEnd = { why: 'withdrawn'; grantId: string } | { why: 'over' | 'completed' | 'unwatched' }

interface RunGrantsOptions {
  agent: Pick<Agent, 'grantState' | 'complete'>
  io: Pick<Io, 'err'>
  clock: Pick<Clock, 'now'>
  /** How often the issuer is asked, in ms. */
  everyMs?: number
}

/** Clocks of two machines differ, and the issuer lets no grant live longer than it said. In ms. */
const clocksMs = 5000

/**
 * The grants of a run. A grant whose time is over leaves, and the run goes on with the others. **A grant that ends before its time ends the
 * run**: a person, or an operator, withdrew it, and cannot know what the same program does with the others.
 */
export class RunGrants implements AsyncDisposable {
  readonly #options: RunGrantsOptions
  readonly #all: readonly ObtainedGrant[]
  readonly #ended = new Set<string>()
  readonly #completions = new Map<string, Promise<void>>()

  constructor(grants: readonly ObtainedGrant[], options: RunGrantsOptions) {
    this.#all = grants
    this.#options = options
  }

  /** Those that have not ended, in the order in which they were named. */
  get live(): readonly ObtainedGrant[] {
    return this.#all.filter(({ grantId }) => !this.#ended.has(grantId))
  }

  /** Those under which requests to an entry are tried, the first ones first. */
  for({ kind, name }: Pick<Entry, 'kind' | 'name'>): string[] {
    const live = this.live
    const meant = kind === 'mcp' ? live : live.filter((grant) => isForEntry(grant, kind, name))
    // The registry may know the entry by another name.
    return (meant.length === 0 ? live : meant).map(({ grantId }) => grantId)
  }

  /** The program itself ends a task. A try that failed must not hide a withdrawal, and no earlier try that did not. */
  completing(grantId: string, completion: Promise<void>): void {
    const before = this.#completions.get(grantId)
    const any = before === undefined ? completion : Promise.any([before, completion])
    this.#completions.set(grantId, any)
    any.catch(() => undefined)
  }

  /** Resolves once no grant is left, or one ended before its time. Rejects with the signal's reason. */
  async untilOver(signal: AbortSignal): Promise<RunEnd> {
    const over = this.#all.map(async (grant) => this.#untilEnded(grant, signal))
    const withdrawn = over.map((each) =>
      each.then((end) => (end.why === 'withdrawn' ? end : new Promise<never>(() => undefined))),
    )
    const last = Promise.all(over).then((ends): RunEnd => {
      return { why: ends.every(({ why }) => why === 'completed') ? 'completed' : 'over' }
    })
    return await Promise.race([...withdrawn, last])
  }

  async #untilEnded({ grantId, expiresAt }: ObtainedGrant, signal: AbortSignal): Promise<RunEnd> {
    const { agent, io, clock, everyMs } = this.#options
    const report = (line: string) => io.err(`bailiwick: ${line}`)
    await untilEnded({ agent, grantId, signal, report, ...(everyMs === undefined ? {} : { everyMs }) })
    this.#ended.add(grantId)
    if (await this.#isCompleted(grantId)) return { why: 'completed' }
    const isTimely = expiresAt !== undefined && clock.now() >= expiresAt - clocksMs
    if (!isTimely) return { why: 'withdrawn', grantId }
    if (this.live.length > 0) report(`the task of ${grantId} has ended; the program goes on with the others`)
    return { why: 'over' }
  }

  #isCompleted(grantId: string): Promise<boolean> {
    const completion = this.#completions.get(grantId)
    return Promise.resolve(completion).then(
      () => completion !== undefined,
      () => false,
    )
  }

  /** Gives back what was asked for here and has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { grantId, isOwn } of this.live)
      if (isOwn && !(await this.#isCompleted(grantId))) await giveBack(grantId, this.#options)
  }
}
