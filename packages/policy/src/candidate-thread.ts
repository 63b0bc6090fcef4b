import { Worker } from 'node:worker_threads'
import type { EachAnswer } from './evaluate-each.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { Shape } from './schema-shapes.ts'

/** A candidate that can be asked. */
export interface LoadedCandidate {
  /** Names the files as they were read. */
  hash: string
  /** What it wants of the history, by action, and how many facts these are. */
  history: ReadonlyMap<string, { shape: Shape | undefined; facts: number }>
}

export type CandidateAnswer = EachAnswer

export interface CandidateLimits {
  /** ms until it is loaded; on a busy machine, too. */
  loadMs: number
  /** ms until the next of what waits is answered. */
  answerMs: number
  /** Questions that wait for an answer. */
  mostWaiting: number
  /** Of all its files. */
  mostBytes: number
  /** Facts of the history that it wants: for one action, of one agent. */
  mostHistory: number
  /** Facts in one question, of all who answer for the action: decisions look them up. */
  mostFacts: number
}

export const candidateLimits: CandidateLimits = {
  loadMs: 60_000,
  answerMs: 5000,
  mostWaiting: 256,
  mostBytes: 4 << 20,
  mostHistory: 500,
  mostFacts: 2000,
}

interface Told {
  /** It can be asked from now on. */
  onLoaded?: (loaded: LoadedCandidate) => void
  /** It is over, and why: `slow`, or in the words of what failed. Told once; not when it was ended from here. */
  onEnd?: (why: string) => void
}

type Message = LoadedCandidate | { id: number; answer: CandidateAnswer }

/**
 * A candidate policy set in a thread of its own, so that nobody waits for it: one that cannot be loaded, errs, is slow or never comes
 * back, or eats memory, ends that thread and nothing else. Never throws, and no answer of it is anybody's decision.
 */
export class CandidateThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #limits: CandidateLimits
  readonly #told: Told
  readonly #waiting = new Map<number, (answer: CandidateAnswer | undefined) => void>()
  #loaded: LoadedCandidate | undefined
  #timer: NodeJS.Timeout | undefined
  #asked = 0
  #progress = 0
  #over = false

  constructor(directory: string, told: Told = {}, limits: CandidateLimits = candidateLimits) {
    this.#told = told
    this.#limits = limits
    const { mostBytes, mostHistory } = limits
    this.#worker = new Worker(new URL('./candidate-worker.ts', import.meta.url), {
      workerData: { directory, mostBytes, mostHistory },
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 },
      stderr: true,
      stdout: true,
    })
    this.#worker.unref()
    // What it prints goes nowhere: it may quote policies and requests.
    this.#worker.stdout.resume()
    this.#worker.stderr.resume()
    this.#worker.on('message', (message: Message) => this.#take(message))
    this.#worker.on('error', (error) => void this.#end(error instanceof Error ? error.message.slice(0, 300) : 'failed'))
    this.#worker.on('exit', () => void this.#end('it ended by itself'))
    this.#watch(limits.loadMs)
  }

  /** undefined: not yet, or no more. */
  get loaded(): LoadedCandidate | undefined {
    return this.#over ? undefined : this.#loaded
  }

  /**
   * What it says of an action that each of these requests is about; undefined: nothing, since it is not there, has more to answer
   * than it can hold, or ended meanwhile. `answered` is called once, never before this returns.
   */
  ask(requests: readonly PolicyRequest[], answered: (answer: CandidateAnswer | undefined) => void): void {
    if (this.loaded === undefined || this.#waiting.size >= this.#limits.mostWaiting) {
      queueMicrotask(() => answered(undefined))
      return
    }
    const id = this.#asked++
    this.#waiting.set(id, answered)
    try {
      this.#worker.postMessage({ id, requests })
    } catch {
      this.#waiting.delete(id)
      queueMicrotask(() => answered(undefined))
      return
    }
    if (this.#waiting.size === 1) this.#watch(this.#limits.answerMs)
  }

  #take(message: Message): void {
    this.#progress++
    if ('hash' in message) {
      this.#loaded = message
      if (!this.#over) this.#told.onLoaded?.(message)
    } else {
      const answered = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      answered?.(message.answer)
    }
    if (this.#waiting.size > 0) this.#watch(this.#limits.answerMs)
    else clearTimeout(this.#timer)
  }

  /** Ends it unless something comes back in time. An answer that lies here unread, since this thread was busy, is one. */
  #watch(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#over) return
    const progress = this.#progress
    this.#timer = setTimeout(() => {
      setTimeout(() => {
        if (this.#progress === progress) void this.#end('slow')
      }, ms / 4).unref()
    }, ms).unref()
  }

  async #end(why: string | undefined): Promise<void> {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    for (const answered of this.#waiting.values()) answered(undefined)
    this.#waiting.clear()
    if (why !== undefined) this.#told.onEnd?.(why)
    await this.#worker.terminate()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end(undefined)
  }
}
