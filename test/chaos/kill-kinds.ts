/** One way to kill, stop or starve what runs, as a slice of `npm run nightly -- kills`: one run of vitest. */
export interface KillKind {
  name: string
  mode: 'embedded' | 'distributed'
  /** Of a thousand faults, how many are of this kind. */
  share: number
  /** `BAILIWICK_CHAOS_ROUNDS` of one slice, chosen so that a slice takes minutes. */
  rounds: number
  file: string
  /** Which of the file's tests; all unless given. */
  title?: string
}

/** Shares add up to 1,000. */
export const killKinds: readonly KillKind[] = [
  { name: 'standalone', mode: 'embedded', share: 390, rounds: 40, file: 'test/chaos/kill.test.ts' },
  { name: 'mint', mode: 'embedded', share: 80, rounds: 4, file: 'test/chaos/mint-kills.test.ts' },
  {
    name: 'reserve-embedded',
    mode: 'embedded',
    share: 80,
    rounds: 40,
    file: 'test/chaos/reserve-kills.test.ts',
    title: 'grant store embedded',
  },
  {
    name: 'reserve-redis',
    mode: 'distributed',
    share: 60,
    rounds: 40,
    file: 'test/chaos/reserve-kills.test.ts',
    title: 'grant store redis',
  },
  { name: 'taint', mode: 'embedded', share: 10, rounds: 1, file: 'test/chaos/taint-kills.test.ts' },
  { name: 'witness', mode: 'embedded', share: 60, rounds: 60, file: 'test/chaos/witness-kills.test.ts' },
  { name: 'log-writer', mode: 'embedded', share: 100, rounds: 80, file: 'test/chaos/log/kills.test.ts' },
  { name: 'disk-full', mode: 'embedded', share: 5, rounds: 1, file: 'test/chaos/log/disk-full.test.ts' },
  { name: 'disk-full-standalone', mode: 'embedded', share: 10, rounds: 6, file: 'test/chaos/disk-full.test.ts' },
  { name: 'processes', mode: 'distributed', share: 125, rounds: 3, file: 'test/chaos/distributed/kills.test.ts' },
  {
    name: 'broker',
    mode: 'distributed',
    share: 20,
    rounds: 6,
    file: 'test/chaos/distributed/faults.test.ts',
    title: 'the broker killed',
  },
  {
    name: 'redis',
    mode: 'distributed',
    share: 20,
    rounds: 3,
    file: 'test/chaos/distributed/faults.test.ts',
    title: 'Redis flushed',
  },
  {
    name: 'everything',
    mode: 'distributed',
    share: 20,
    rounds: 3,
    file: 'test/chaos/distributed/faults.test.ts',
    title: 'every service killed at once',
  },
  {
    name: 'stalled',
    mode: 'distributed',
    share: 10,
    rounds: 1,
    file: 'test/chaos/distributed/takeover.test.ts',
    title: 'stalled',
  },
  {
    name: 'takeover',
    mode: 'distributed',
    share: 10,
    rounds: 3,
    file: 'test/chaos/distributed/takeover.test.ts',
    title: 'killed, it is succeeded',
  },
]
