import type { Env } from './known-settings.ts'

const young = '--max-semi-space-size'

/**
 * What Node is started with for a service. With V8's own young generation nearly all that is in flight would be promoted, and V8 would
 * collect the old one every few seconds meanwhile: latency that nobody asked for. It grows only as far as there is such work. V8 reads
 * this at its start alone. Who gives another size in NODE_OPTIONS has that.
 */
export const nodeArguments = (env: Env): string[] => (env.NODE_OPTIONS?.includes(young) ? [] : [`${young}=64`])
