/** One number of a measure. `target` is the design's goal, which is reported and never asserted. */
export interface Row {
  name: string
  value: number
  unit: 's' | 'ms' | 'µs' | '×' | '/s' | 'bytes' | 'MiB' | 'cores' | ''
  target?: { atMost: number } | { atLeast: number }
  /** How often the measured action was done, where each kind has a run of its own. */
  count?: number
}

export interface Measure {
  id: string
  title: string
  /** How it was measured, so that a reader can judge the numbers. */
  how: string
  rows: Row[]
  /**
   * These kinds are measured separately, in this order. Rows are named `kind: …` and state their run. If a kind was not
   * measured this time, the page keeps its earlier rows.
   */
  byKind?: readonly string[]
}

/** The input of every measure. */
export interface Bench {
  /** A folder on the measured disk; removed afterwards. */
  dir: string
  /** A smoke run: shows that the measure works, but its numbers mean nothing. */
  quick: boolean
  /** The number of repetitions, for measures that let it vary. */
  count?: number | undefined
  /** After this time, no further revocation of a kind is begun. */
  seconds?: number | undefined
  /** The kinds of revocation to measure; all unless given. */
  kinds?: readonly string[] | undefined
  /** The program of LiteLLM's proxy, which is compared if it is there. */
  litellm?: string | undefined
  progress: (line: string) => void
  /** Prints a line that stays, also without a terminal. */
  stage: (line: string) => void
  /** Saves what a measure has so far, so that a later failure does not lose half an hour's work. */
  keep: (measure: Measure) => void
}

/** The value below which this share (0–1) of the values lies; nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export const median = (values: readonly number[]) => percentile(values, 0.5)

/** ms that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Runs `task` `count` times, `width` at a time. Returns the time of each and of all, in ms. */
export async function inFlight(
  width: number,
  count: number,
  task: (n: number) => Promise<unknown>,
): Promise<{ each: number[]; totalMs: number }> {
  const each: number[] = []
  let next = 0
  const totalMs = await timed(() =>
    Promise.all(
      Array.from({ length: Math.min(width, count) }, async () => {
        while (next < count) {
          const n = next++
          each.push(await timed(() => task(n)))
        }
      }),
    ),
  )
  return { each, totalMs }
}

export const perSecond = (count: number, ms: number) => (count * 1000) / ms
