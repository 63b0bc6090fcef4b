import { setMaxListeners } from 'node:events'
import type { EventData } from '@bailiwick/contracts'
import type { EngineDifference } from '@bailiwick/policy'
import type { Recording } from '../ports.ts'
import { recordOnceTaken } from './record-once-taken.ts'

type Answer = EventData<'decisions.v1', 'engines.differed'>['cedar']

/** A set is switched off at its first difference. Comparisons that were already running may report a few more. */
const mostEach = 4
const mostPolicies = 8

/** Records as evidence that the engines of this decision point differed about a policy set. No decision waits for it. */
export class EngineDifferences implements AsyncDisposable {
  readonly #recording: Pick<Recording, 'record'>
  readonly #told = new Map<string, number>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()

  constructor(recording: Pick<Recording, 'record'>) {
    this.#recording = recording
    setMaxListeners(0, this.#stop.signal)
  }

  tell({ policySet, compiled, cedar }: EngineDifference): void {
    const before = this.#told.get(policySet) ?? 0
    if (before >= mostEach) return
    this.#told.set(policySet, before + 1)
    const data = { policy_set: policySet, compiled: said(compiled), cedar: said(cedar) }
    const draft = { type: 'engines.differed' as const, subject: `policy-set ${policySet}`, data }
    // As with denials, a numbered event stays in hand until it is durable, and an event that is not read back in time is durable.
    const telling = recordOnceTaken(this.#recording.record, [draft], this.#stop.signal)
      .catch(() => undefined)
      .finally(() => this.#underWay.delete(telling))
    this.#underWay.add(telling)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underWay)
  }
}

/** Without the reason why a request is invalid, which may quote the request (V17). */
function said(answer: EngineDifference['cedar']): Answer {
  const policies = 'policies' in answer ? answer.policies : []
  return { outcome: answer.outcome, policies: policies.filter((id) => id.length <= 256).slice(0, mostPolicies) }
}
