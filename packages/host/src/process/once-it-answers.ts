import { setTimeout as pause } from 'node:timers/promises'
import { errorCode, ServiceError } from '@bailiwick/errors'
import type { Logger } from '../observe/logger.ts'

const againMs = 250

/** Called with the reason why a start waits, and with undefined once it goes on. */
export type OnWait = (reason: string | undefined) => void

/**
 * Repeats a start's question to Kafka until a broker answers (decision 49). It repeats only after `bus_unavailable`. Any answer of a broker
 * ends the wait, even the answer that a topic is not as declared.
 */
export async function onceItAnswers(
  ask: () => Promise<void>,
  { logger, onWait, monotonic }: { logger: Logger; onWait: OnWait; monotonic: () => number },
): Promise<void> {
  const began = monotonic()
  for (let waits = false; ; waits = true) {
    try {
      await ask()
      if (!waits) return
      onWait(undefined)
      logger.warn({ seconds: Math.round((monotonic() - began) / 100) / 10 }, 'Kafka answers: this start goes on')
      return
    } catch (error) {
      if (errorCode(error) !== 'bus_unavailable') throw error
      const reason = (error instanceof ServiceError ? error.detail : undefined) ?? 'Kafka does not answer'
      onWait(`waits for Kafka: ${reason}`)
      if (!waits) logger.warn({ reason }, 'Kafka does not answer: this start waits for it')
      await pause(againMs)
    }
  }
}
