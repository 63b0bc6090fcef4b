/** Chances from a seed: the same seed gives the same cases. Quick, because a case costs less than one of fast-check's. */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = (seed | 0) === 0 ? 1 : seed | 0
    for (let n = 0; n < 8; n++) this.#next()
  }

  #next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x | 0
    return x >>> 0
  }

  /** From 0 to below `end`. */
  below(end: number): number {
    return this.#next() % end
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  /** Calls one of them. */
  do<T>(choices: readonly (() => T)[]): T {
    return this.of(choices)()
  }

  some<T>(choices: readonly T[], oneIn = 2): T[] {
    return choices.filter(() => this.chance(oneIn))
  }

  list<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make)
  }
}
