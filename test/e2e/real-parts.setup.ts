import { missingParts, realKafka, realRedis } from '@bailiwick/testkit'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Absent in the project that runs on embedded adapters. */
    realParts: { brokers: readonly string[]; redis: string } | 'missing' | undefined
  }
}

/** One broker and one Redis for all tests of a project; each world has its own topics and trees on them. */
export default async function start(project: TestProject): Promise<() => Promise<void>> {
  if (process.env.CI !== 'true' && (await missingParts('kafka', 'redis')).length > 0) {
    project.provide('realParts', 'missing')
    return async () => {}
  }
  const kafka = await realKafka()
  const redis = await realRedis()
  project.provide('realParts', { brokers: kafka.brokers, redis: redis.url })
  return async () => {
    await redis[Symbol.asyncDispose]()
    await kafka[Symbol.asyncDispose]()
  }
}
