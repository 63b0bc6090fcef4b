import { ServiceError } from '@bailiwick/errors'
import { Semaphore } from '@bailiwick/kit'
import { inOwnProcess } from '@bailiwick/policy/aside'
import type { OtherEntity } from '@bailiwick/policy/replay'

/** A task that reads the whole log again, entry by entry, while a person waits for it. */
export type RereadTask =
  | {
      do: 'replay'
      data: string
      /** ms since the epoch, both included. */
      from: number
      to: number
      /** The set to ask; undefined: the one of this hash, which is stored here. */
      files: ReadonlyMap<string, Uint8Array> | undefined
      policySet: string | undefined
      others: readonly OtherEntity[]
    }
  | { do: 'report'; data: string; from: number; to: number }

export interface ReplayAnswer {
  decisions: number
  by_policies: number
  same: number
  denied: number
  allowed: number
  untold: number
  /** Entries that are not signed by a service of this installation. */
  refused: number
  /** How many entries the log had. */
  size: number
  differences: {
    kind: 'denied' | 'allowed' | 'untold'
    decision_id: string
    time: string
    agent: string
    action: string
    resource: string
    policies: string[]
    why: string
  }[]
  /** How many more differ. */
  more: number
}

export interface RereadDone {
  replay: ReplayAnswer
  report: { html: string; ok: boolean }
}

/** With WebAssembly's memory and the service's own, less than a pod has. */
const usual = { longestMs: 60_000, mostMegabytes: 384 }

/** Reads the log again, once at a time, in a process of its own: the process that writes it waits for nothing of this. */
export class Rereads {
  readonly #limits: typeof usual
  /** A person who waits behind three others should try again. */
  readonly #turns = new Semaphore(1, 3)

  constructor(limits: Partial<typeof usual> = {}) {
    this.#limits = { ...usual, ...limits }
  }

  /** Throws `request_malformed` for policies that no decision point would load, `deadline_exceeded`, and `queue_full`. */
  run<T extends RereadTask>(task: T): Promise<RereadDone[T['do']]> {
    return this.#turns.run(() => this.#run(task))
  }

  async #run<T extends RereadTask>(task: T): Promise<RereadDone[T['do']]> {
    const file = new URL('./reread-worker.ts', import.meta.url)
    const worked = await inOwnProcess<RereadDone[T['do']]>(file, task, this.#limits)
    if ('done' in worked) return worked.done
    if ('failed' in worked) throw new Error(worked.failed)
    if ('refused' in worked) {
      if (worked.code === 'config_invalid') throw new ServiceError('request_malformed', worked.refused)
      throw new Error(`${worked.code}: ${worked.refused}`)
    }
    const why =
      worked.ended === 'too late'
        ? `the log was not read within ${this.#limits.longestMs / 1000} s`
        : 'it took too much memory'
    throw new ServiceError('deadline_exceeded', `${why}: on this machine \`bailiwick policy replay\` has no limit`)
  }
}
