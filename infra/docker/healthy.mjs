// The image's health check: exit 0 while this container's service says that it is ready. The slim image has no curl.
const port = process.env.BAILIWICK_PORT ?? '8420'
const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(
  () => undefined,
)
process.exit(answer?.ok ? 0 : 1)
