/** The address of a Kafka and our identity there. Without `tls` and `sasl` it is plain text without a login: a developer's broker. */
export interface KafkaConnection {
  /** host:port of some of its brokers. */
  brokers: readonly string[]
  clientId: string
  /** The certificate authority, PEM text, that must have signed the brokers' certificates. */
  tls?: { ca: string }
  /** SCRAM-SHA-512. */
  sasl?: { username: string; password: string }
  /** ms. Default: those of KAFKA.md rule 7. */
  timeouts?: { connectionTimeout: number; requestTimeout: number }
}

/** The parts of a logger that the adapter needs; pino fits. */
export interface BusLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
