import { consumeContract } from './contract/consume.contract.ts'
import { endContract } from './contract/end.contract.ts'
import { followContract } from './contract/follow.contract.ts'
import { publishContract } from './contract/publish.contract.ts'
import type { OpenBus } from './contract/under-test.ts'

export { type CrashWork, doCrashWork, killAfterLines } from './contract/crash-work.ts'
export type { BusUnderTest, OpenBus, TopicSpec } from './contract/under-test.ts'

export interface ContractOptions {
  /** How many events the volume test sends. */
  events?: number
}

/** The port's other half: what every adapter must do, tested on the real thing. Waits for eventual results, with a deadline. */
export function busContract(name: string, open: OpenBus, { events = 20_000 }: ContractOptions = {}): void {
  publishContract(name, open)
  followContract(name, open)
  consumeContract(name, open)
  endContract(name, open, events)
}
