/**
 * Time, as an argument. Durations, deadlines and freshness are measured with `monotonic`, which nobody can turn back;
 * `now` only dates things. Neither call blocks or throws.
 */
export interface Clock {
  /** ms since the epoch, whole; jumps when somebody sets the machine's clock. */
  now(): number
  /** ms since some moment of this process; never goes back. */
  monotonic(): number
}

/** The machine's clock: the only place that reads it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** A clock that only a test moves. */
export interface TestClock extends Clock {
  /** Time passes: both readings grow by `ms`, which is not negative. */
  advance(ms: number): void
  /** Somebody sets the machine's clock: `now` jumps by `ms`, which may be negative, and no time passes. */
  jump(ms: number): void
}

/** Stands at `start` (ms since the epoch) until it is moved; `monotonic` starts at 0. */
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
