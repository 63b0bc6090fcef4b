/** What a kafkajs error means for its receiver (KAFKA.md rules 8 and 9). */
export type Failure =
  /** Wait and repeat. */
  | 'transient'
  /** We lack the right, or the broker does not accept our identity. */
  | 'forbidden'
  /** The broker accepts no batch of this size. */
  | 'too_large'
  /** The producer's numbering no longer matches the broker's: only a new producer can go on. */
  | 'fenced'
  /** The topic or partition does not exist, as far as the asked broker knows. */
  | 'unknown_topic'
  /** Repeating cannot help: a bug, ours or kafkajs's. */
  | 'broken'

const byType: Record<string, Failure> = {
  SASL_AUTHENTICATION_FAILED: 'forbidden',
  UNSUPPORTED_SASL_MECHANISM: 'forbidden',
  ILLEGAL_SASL_STATE: 'transient', // a connection that was lost during login
  MESSAGE_TOO_LARGE: 'too_large',
  RECORD_LIST_TOO_LARGE: 'too_large',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'fenced',
  DUPLICATE_SEQUENCE_NUMBER: 'fenced',
  UNKNOWN_PRODUCER_ID: 'fenced',
  INVALID_PRODUCER_EPOCH: 'fenced',
  INVALID_PRODUCER_ID_MAPPING: 'fenced',
  UNKNOWN_TOPIC_OR_PARTITION: 'unknown_topic',
  UNSUPPORTED_VERSION: 'broken',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'broken',
}

const bugs = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'])

/**
 * Judges by name and type along the causes, because kafkajs wraps errors and its `retriable` cannot be trusted: it calls a
 * dead broker not retriable once it has tried often enough.
 */
export function failureOf(error: unknown): Failure {
  let cause = error
  for (let depth = 0; depth < 8 && typeof cause === 'object' && cause !== null; depth += 1) {
    const { name, type } = cause as { name?: unknown; type?: unknown }
    if (name === 'KafkaJSSASLAuthenticationError') return 'forbidden'
    if (typeof type === 'string') return byType[type] ?? byPattern(type)
    if (typeof name === 'string' && bugs.has(name)) return 'broken'
    cause = (cause as { cause?: unknown }).cause
  }
  return 'transient'
}

function byPattern(type: string): Failure {
  if (type.endsWith('_AUTHORIZATION_FAILED')) return 'forbidden'
  return type.startsWith('INVALID_') ? 'broken' : 'transient'
}

/** For a log line or an error's detail. kafkajs's text contains no event and no secret, but may be long. */
export function reasonOf(error: unknown): string {
  const { type, message } = (error ?? {}) as { type?: unknown; message?: unknown }
  return String(typeof type === 'string' ? type : (message ?? error)).slice(0, 200)
}
