import type { LogEntry } from 'kafkajs'
import type { BusLogger } from './connection.ts'

/** An outage is over when nothing was logged about one for this long, ms. */
const QUIET_MS = 10_000
/** After this time an outage is logged as an error: a wrong CA or a broker without TLS looks like one (KAFKA.md rule 8). */
const ALARM_MS = 30_000

/** Errors that waiting cannot heal (KAFKA.md §7). */
const PERMANENT =
  /AUTHORIZATION_FAILED|not authorized|authorization failed|SASL|authentication|MESSAGE_TOO_LARGE|larger than the max|offset out of range/i

const ERROR = 1
const WARN = 2

export type Noise = ((entry: LogEntry) => void) & Disposable

/**
 * Logs kafkajs's messages at a suitable level: kafkajs calls every step of an outage an error. Here an outage is one warning when it
 * begins, and one error if it lasts. Anything that waiting cannot heal is an error. The rest is for debugging.
 */
export function noise(logger: BusLogger, { quietMs = QUIET_MS, alarmMs = ALARM_MS } = {}): Noise {
  let quiet: NodeJS.Timeout | undefined
  let alarm: NodeJS.Timeout | undefined
  const over = () => {
    clearTimeout(quiet)
    clearTimeout(alarm)
    quiet = undefined
  }
  const hear = ({ namespace, level, log }: LogEntry) => {
    const fields = fieldsOf(namespace, log)
    const said = `${log.message} ${fields.error ?? ''}`
    if (level > WARN) return logger.debug(fields, log.message)
    if (level === ERROR && PERMANENT.test(said)) return logger.error(fields, log.message)
    // Logged once per producer by design: its retries are limited because the lane repeats the batch itself.
    if (level === WARN && log.message.startsWith('Limiting retries')) return
    if (quiet !== undefined) {
      quiet.refresh()
      return logger.debug(fields, log.message)
    }
    quiet = setTimeout(over, quietMs).unref()
    alarm = setTimeout(() => logger.error(fields, 'Kafka still does not answer'), alarmMs).unref()
    logger.warn(fields, log.message)
  }
  return Object.assign(hear, { [Symbol.dispose]: over })
}

/** Only fields that are known to contain no secret and no event. */
function fieldsOf(
  namespace: string,
  log: LogEntry['log'],
): { kafka: string; error?: string } & Record<string, unknown> {
  const { broker, groupId, error, retryCount } = log
  return {
    kafka: namespace,
    ...(typeof broker === 'string' ? { broker } : {}),
    ...(typeof groupId === 'string' ? { groupId } : {}),
    ...(typeof retryCount === 'number' ? { retryCount } : {}),
    ...(typeof error === 'string' ? { error } : {}),
  }
}
