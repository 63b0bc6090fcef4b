/** Resolves with true if the work resolves within `ms`, else with false. Rejects if the work rejects in time. */
export async function within(ms: number, work: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(late.resolve, ms, false)
  try {
    return await Promise.race([work.then(() => true as const), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
