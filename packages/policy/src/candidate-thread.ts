import { Worker } from 'node:worker_threads'
import type { EachAnswer } from './evaluate-each.ts'
import type { PolicyRequest } from './policy-engine.ts'
import type { Shape } from './schema-shapes.ts'

/** A candidate that is ready for questions. */
export interface LoadedCandidate {
  /** The hash of the files as they were read. */
  hash: string
  /** The part of the history that it needs, by action, and the number of facts in it. */
  history: ReadonlyMap<string, { shape: Shape | undefined; facts: number }>
}

export type CandidateAnswer = EachAnswer

export interface CandidateLimits {
  /** ms until it is loaded, even on a busy machine. */
  loadMs: number
  /** ms until the next waiting question is answered. */
  answerMs: number
  /** The most questions that wait for an answer. */
  mostWaiting: number
  /** The most bytes of all its files. */
  mostBytes: number
  /** The most history facts that it may need for one action of one agent. */
  mostHistory: number
  /** The most facts in one question, over all agents that answer for the action, because decisions look them up. */
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
  /** Called when it is ready for questions. */
  onLoaded?: (loaded: LoadedCandidate) => void
  /** Called once when it ends, with the reason: `slow`, or the text of the error. Not called if it was ended from here. */
  onEnd?: (why: string) => void
}

type Message = LoadedCandidate | { id: number; answer: CandidateAnswer }

/**
 * Runs a candidate policy set in its own thread, so that no decision waits for it. A set that cannot be loaded, errs, is slow, never
 * returns, or exhausts memory ends only that thread. Never throws, and its answers never become a decision.
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
    // Its output is discarded, because it may quote policies and requests.
    this.#worker.stdout.resume()
    this.#worker.stderr.resume()
    this.#worker.on('message', (message: Message) => this.#take(message))
    this.#worker.on('error', (error) => void this.#end(error instanceof Error ? error.message.slice(0, 300) : 'failed'))
    this.#worker.on('exit', () => void this.#end('it ended by itself'))
    this.#watch(limits.loadMs)
  }

  /** undefined: not loaded yet, or ended. */
  get loaded(): LoadedCandidate | undefined {
    return this.#over ? undefined : this.#loaded
  }

  /**
   * Asks about an action that all these requests concern. The answer is undefined if the candidate is not loaded, has too many waiting
   * questions, or ended meanwhile. `answered` is called once, never before this returns.
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

  /** Ends the thread unless an answer arrives in time. An answer that waits here unread, because this thread was busy, is in time. */
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
