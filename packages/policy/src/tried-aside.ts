import { ServiceError } from '@bailiwick/errors'
import type { PolicyFiles } from '@bailiwick/installation'
import type { PolicyFinding } from './check-policies.ts'
import type { Explanation } from './explain-policies.ts'
import { inOwnProcess, mostOfAMessage, type ProcessLimits, workForParent } from './own-process.ts'

// For a service that shows policies to people and decides by none: it loads no Cedar itself.

export type { Explanation, PolicyFinding }
export { inOwnProcess, mostOfAMessage, type ProcessLimits, workForParent }

/** A task about one policy set. The text of the set is hostile until people have signed it. */
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

const usual: ProcessLimits = { longestMs: 15_000, mostMegabytes: 256 }

/**
 * Does this in a process of its own, which ends with the answer. Throws `config_invalid` for a set that does not load, and for one that takes
 * too long or too much memory: no decision point could use it.
 */
export async function tryAside<T extends PolicyTask>(
  task: T,
  limits: ProcessLimits = usual,
): Promise<PolicyTaskDone[T['do']]> {
  const file = new URL('./tried-aside-worker.ts', import.meta.url)
  const worked = await inOwnProcess<PolicyTaskDone[T['do']]>(file, task, limits)
  if ('done' in worked) return worked.done
  if ('refused' in worked) throw new ServiceError('config_invalid', worked.refused)
  if ('failed' in worked) throw new ServiceError('config_invalid', 'policies: they cannot be read')
  const why =
    worked.ended === 'too late' ? `not done within ${limits.longestMs / 1000} s` : 'reading them took too much memory'
  throw new ServiceError('config_invalid', `policies: ${why}`)
}
