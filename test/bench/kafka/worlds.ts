import type { ProcessesOptions } from '@bailiwick/testkit'
import type { Bench } from '../measure.ts'
import { ProcessWorld } from './processes.ts'

/** The additional input of measures on Kafka. */
export interface KafkaBench extends Bench {
  /**
   * A system with this many brokers and two policy-decision instances, with these settings for all processes unless it
   * is shared.
   */
  open(nodes: 1 | 3, env?: ProcessesOptions['env']): Promise<LentWorld>
}

type LentWorld = ProcessWorld & AsyncDisposable

/** Gives every measure a new system, except in a smoke run, where starting it would take longer than the measure. */
export class Worlds implements AsyncDisposable {
  readonly #shared: boolean
  #kept: ProcessWorld | undefined

  constructor({ shared }: { shared: boolean }) {
    this.#shared = shared
  }

  async open(nodes: 1 | 3, env: ProcessesOptions['env'] = {}): Promise<LentWorld> {
    if (!this.#shared) return await ProcessWorld.open({ nodes, env })
    this.#kept ??= await ProcessWorld.open({ nodes })
    return new Proxy(this.#kept, lent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept?.[Symbol.asyncDispose]()
  }
}

/** A borrower's dispose ends nothing. */
const lent: ProxyHandler<ProcessWorld> = {
  get(target, name) {
    if (name === Symbol.asyncDispose) return async () => {}
    const member = Reflect.get(target, name, target)
    return typeof member === 'function' ? member.bind(target) : member
  },
}
