export const nightly = process.env.BAILIWICK_NIGHTLY === '1'

const told = process.env.BAILIWICK_CHAOS_ROUNDS
const rounds = (atNight: number) => Number(told ?? (nightly ? atNight : 1))

/** How often each thing happens: in CI, at night, or as often as the run says. */
export const counts = {
  kills: rounds(100),
  broker: rounds(30),
  redis: rounds(20),
  takeovers: rounds(10),
  taints: rounds(4),
  all: rounds(20),
}

/** How long the broker is away, in s: longer than any bound of a process, and at night as long as an outage may be. */
export const outages = process.env.BAILIWICK_OUTAGES?.split(',').map(Number) ?? (nightly ? [31, 300, 3600] : [33])
