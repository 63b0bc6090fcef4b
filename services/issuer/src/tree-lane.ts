import { SerialQueue } from '@bailiwick/service-kit'
import type { Issuer } from './context.ts'

/** One tree's events are numbered one after the other. */
const lanes = new SerialQueue({ maxPerKey: 256, max: 4096 })

/** Does what writes into this tree when all that was to be written before is: this issuer is never in its own way. Throws `queue_full`. */
export function inTreeLane<T>({ producer }: Issuer, treeId: string, task: () => Promise<T>): Promise<T> {
  return lanes.serially(`${producer.source} ${treeId}`, task)
}
