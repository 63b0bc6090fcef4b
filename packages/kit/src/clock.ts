/**
 * Time, as an argument. Measure durations, deadlines and freshness with `monotonic`, which cannot be turned back;
 * `now` only dates things. Neither call blocks or throws.
 */
export interface Clock {
  /** ms since the epoch, whole. It jumps when the machine's clock is set. */
  now(): number
  /** ms since some moment of this process. Never goes back. */
  monotonic(): number
}

/** The machine's clock. Nothing else reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** A clock that only a test moves. */
export interface TestClock extends Clock {
  /** Lets time pass: both readings grow by `ms`, which is not negative. */
  advance(ms: number): void
  /** Simulates setting the machine's clock: `now` jumps by `ms`, which may be negative, and no time passes. */
  jump(ms: number): void
}

/** Stands still at `start` (ms since the epoch) until it is moved. `monotonic` starts at 0. */
export function testClock(start = 1_767_225_600_000): TestClock {
  let elapsed = 0
  let offset = start
  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError('time does not go back: use jump')
      elapsed += ms
    },
    jump(ms) {
      offset += ms
    },
  }
}
