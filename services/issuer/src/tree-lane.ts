import { SerialQueue, systemClock } from '@bailiwick/service-kit'
import type { Issuer } from './context.ts'
import { Shares } from './shares.ts'

/** Of the 10 s that an agent waits for an answer (`@bailiwick/agent`): what waits longer would be done for nobody. */
const mostMs = 5000

/** One tree's events are numbered one after the other. */
const lanes = new SerialQueue({
  ...{ maxPerKey: 10_000, max: 100_000 },
  wait: { mostMs, monotonic: () => systemClock.monotonic() },
})
/** Of one agent, over all its trees: what it asks for at once keeps nobody else from asking (V18). */
const shares = new Shares(256, 'queue_full')

/**
 * Does what writes into this tree when all that was to be written before is: this issuer is never in its own way. With `agent`, for
 * whom it is done: throws `queue_full` when too much of the agent's waits, or would wait for too long. Without, it is an end of the tree or the issuer's own
 * doing, and goes first.
 */
export function inTreeLane<T>(
  { producer }: Issuer,
  treeId: string,
  task: () => Promise<T>,
  agent?: string,
): Promise<T> {
  const lane = `${producer.source} ${treeId}`
  if (agent === undefined) return lanes.first(lane, task)
  return shares.within(`${producer.source} ${agent}`, () => lanes.serially(lane, task))
}
