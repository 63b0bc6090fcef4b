export const nightly = process.env.BAILIWICK_NIGHTLY === '1'

/** How often each thing happens: in CI, and at night. */
export const counts = nightly
  ? { kills: 100, broker: 30, redis: 20, takeovers: 10, taints: 4 }
  : { kills: 1, broker: 1, redis: 1, takeovers: 1, taints: 1 }
