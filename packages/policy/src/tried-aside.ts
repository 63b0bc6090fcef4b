import { Worker } from 'node:worker_threads'
import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import type { PolicyFinding } from './check-policies.ts'
import type { Explanation } from './explain-policies.ts'

// For a service that shows policies to people and decides by none: it loads no Cedar itself.

export type { Explanation, PolicyFinding }

/** What to do with a set. Its text is hostile until people have signed it. */
export type PolicyTask =
  /** `tests`: files of tests, by name. They are run if the set loads. */
  | { do: 'check'; files: PolicyFiles; permitsNothing: boolean; tests: Readonly<Record<string, string>> }
  /** `request`: JSON. */
  | { do: 'explain'; files: PolicyFiles; request: string }
  | { do: 'question'; files: PolicyFiles; about: TriedCall }

/** A call of which a person wants to know what policies say. */
export interface TriedCall {
  agent: { id: string; instance: string; owner: string; labels: readonly string[] }
  action: string
  resource: { type: string; id: string; labels: readonly string[]; server: string }
}

export interface TriedTest {
  file: string
  name: string
  /** Absent: it passed. */
  failure?: { expected: string; got: string }
}

export interface PolicyTaskDone {
  check: {
    findings: PolicyFinding[]
    /** undefined: the set does not load. */
    tests: TriedTest[] | undefined
    /** Why a file of tests cannot be read. */
    testsProblem?: string
    /** Whether a decision point would load it. */
    loads: boolean
    /** Whether it has a permit. */
    permits: boolean
  }
  explain: Explanation & { files: Record<string, string> }
  /** An AuthZEN evaluation, as JSON, with what an agent has that did nothing yet. */
  question: { request: string }
}

export interface AsideLimits {
  /** ms, from the start of the thread. */
  longestMs: number
  mostMegabytes: number
}

const usual: AsideLimits = { longestMs: 15_000, mostMegabytes: 256 }

/**
 * Does this in a thread of its own, which ends with the answer. Throws `config_invalid` for a set that does not load, and for one that takes
 * too long or too much memory: no decision point could use it.
 */
export async function tryAside<T extends PolicyTask>(
  task: T,
  { longestMs, mostMegabytes }: AsideLimits = usual,
): Promise<PolicyTaskDone[T['do']]> {
  const { promise, resolve, reject } = Promise.withResolvers<PolicyTaskDone[T['do']]>()
  const worker = new Worker(new URL('./tried-aside-worker.ts', import.meta.url), {
    workerData: task,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: mostMegabytes, maxYoungGenerationSizeMb: 32 },
    stderr: true,
    stdout: true,
  })
  worker.unref()
  // Its output is discarded, because it may quote policies.
  worker.stdout.resume()
  worker.stderr.resume()
  worker.on('message', (told: { done: PolicyTaskDone[T['do']] } | { refused: string }) => {
    if ('refused' in told) reject(new ServiceError('config_invalid', told.refused))
    else resolve(told.done)
  })
  const failed = (why: string) => reject(new ServiceError('config_invalid', `policies: ${why}`))
  worker.on('error', () => failed('they cannot be read'))
  worker.on('exit', () => failed('reading them took too much memory'))
  const late = setTimeout(() => failed(`not done within ${longestMs / 1000} s`), longestMs).unref()
  try {
    return await promise
  } finally {
    clearTimeout(late)
    await worker.terminate()
  }
}
