import { setImmediate } from 'node:timers/promises'
import { type anAllow, treeOrder } from './tree-order.fixture.ts'
import { TreeQueues } from './tree-queue.ts'

/** The queues of one tree's events, over a log and a grant store whose answers the test sets. */
export function queued() {
  const world = treeOrder()
  const queues = new TreeQueues(world.pdp)
  return {
    ...world,
    queues,
    add: (...works: ReturnType<typeof anAllow>[]) => {
      for (const { work } of works) queues.add('grt_1', work)
    },
    /** One turn is enough: the work here waits only for a turn of the event loop. */
    idle: () => setImmediate(),
    /** The written events, each by the id of its decision. */
    written: () => world.writes.map((drafts) => drafts.map(({ subject }) => subject)),
  }
}
