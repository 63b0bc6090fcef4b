import type { Env } from '../settings/known-settings.ts'

const young = '--max-semi-space-size'

/**
 * Node's start arguments for a service. With V8's default young generation nearly all objects of work in flight would be promoted, and V8
 * would collect the old generation every few seconds, which adds latency. The young generation grows only as far as there is such work. V8
 * reads this only at its start. A size in NODE_OPTIONS takes precedence.
 */
export const nodeArguments = (env: Env): string[] => (env.NODE_OPTIONS?.includes(young) ? [] : [`${young}=64`])
