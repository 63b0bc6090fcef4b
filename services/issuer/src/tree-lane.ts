import { SerialQueue, systemClock } from '@bailiwick/service-kit'
import type { Issuer } from './context.ts'
import { Shares } from './shares.ts'

/** Half of the 10 s that an agent waits for an answer (`@bailiwick/agent`): a call that waited longer would be answered too late. */
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
 * whom it is done, it throws `queue_full` when too many calls of the agent wait, or this one would wait too long. Without, it is an end of the
 * tree or the issuer's own doing, and goes first.
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
