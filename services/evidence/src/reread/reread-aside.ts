import { Worker } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import { Semaphore } from '@bailiwick/kit'
import type { OtherEntity } from '@bailiwick/policy/replay'

/** What is read again from the whole log, entry by entry, for people who wait for it. */
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

const usual = { longestMs: 60_000, mostMegabytes: 512 }

/** Reads the log again, once at a time, in a thread of its own: the thread that writes it waits for nothing of this. */
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
    const { longestMs, mostMegabytes } = this.#limits
    const { promise, resolve, reject } = Promise.withResolvers<RereadDone[T['do']]>()
    const worker = new Worker(new URL('./reread-worker.ts', import.meta.url), {
      workerData: task,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: mostMegabytes, maxYoungGenerationSizeMb: 64 },
      stderr: true,
      stdout: true,
    })
    worker.unref()
    // Its output is discarded, because it may quote policies and events.
    worker.stdout.resume()
    worker.stderr.resume()
    worker.on('message', (told: { done: RereadDone[T['do']] } | { refused: string }) => {
      if ('refused' in told) reject(new ServiceError('request_malformed', told.refused))
      else resolve(told.done)
    })
    const tooMuch = (why: string) =>
      reject(new ServiceError('deadline_exceeded', `${why}: on this machine \`bailiwick policy replay\` has no limit`))
    worker.on('error', (cause) => {
      if (Object(cause).code === 'ERR_WORKER_OUT_OF_MEMORY') tooMuch('it took too much memory')
      else reject(cause)
    })
    worker.on('exit', () => tooMuch('it ended by itself'))
    const late = setTimeout(() => tooMuch(`the log was not read within ${longestMs / 1000} s`), longestMs).unref()
    try {
      return await promise
    } finally {
      clearTimeout(late)
      await worker.terminate()
    }
  }
}
