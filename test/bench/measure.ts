/** One number of a measure; `target` is what DESIGN wants of it, reported and never asserted. */
export interface Row {
  name: string
  value: number
  unit: 's' | 'ms' | 'µs' | '×' | '/s' | 'bytes' | 'MiB' | ''
  target?: { atMost: number } | { atLeast: number }
  /** How often what it is about was done, where each kind has a run of its own. */
  count?: number
}

export interface Measure {
  id: string
  title: string
  /** What was done, so that a reader can judge the numbers. */
  how: string
  rows: Row[]
  /**
   * These kinds, in this order, are measured each by itself: rows are named `kind: …`, each says of what run it is, and where a kind was
   * not measured now, the page keeps what it has of it.
   */
  byKind?: readonly string[]
}

/** What every measure is given. */
export interface Bench {
  /** A folder on the disk that is measured; gone afterwards. */
  dir: string
  /** A smoke count: shows that the measure works, not what it says. */
  quick: boolean
  /** How often, for what can be measured more or less often. */
  count?: number | undefined
  /** After so many no further revocation of a kind is begun. */
  seconds?: number | undefined
  /** Of what is revoked, those kinds only; all unless given. */
  kinds?: readonly string[] | undefined
  progress: (line: string) => void
  /** A line that stays, also where nobody looks on. */
  stage: (line: string) => void
  /** Keeps what a measure has so far: what took half an hour is not lost by what fails after it. */
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

/** Runs `task` `count` times, `width` at a time. Gives what each took, and all of it, in ms. */
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
