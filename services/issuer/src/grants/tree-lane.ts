import { SerialQueue, systemClock } from '@bailiwick/kit'
import type { Issuer } from '../context.ts'
import { Shares } from './shares.ts'

/** Half of the 10 s that an agent waits for an answer (`@bailiwick/agent`): a call that waited longer would be answered too late. */
const mostMs = 5000

/** One tree's events are numbered one after the other. */
const lanes = new SerialQueue({
  ...{ maxPerKey: 10_000, max: 100_000 },
  wait: { mostMs, monotonic: () => systemClock.monotonic() },
})
/** Per agent, over all its trees: its many simultaneous calls keep no other agent from asking (V18). */
const shares = new Shares(256, 'queue_full')

/**
 * Runs a task that writes into this tree after all earlier ones, so that this issuer never conflicts with itself. With `agent`, the task is
 * on behalf of that agent: it throws `queue_full` if too many of the agent's calls wait, or if this one would wait too long. Without
 * `agent`, the task ends the tree or is the issuer's own work, and goes first.
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
