/** Where a Kafka is and who we are there. Without `tls` and `sasl` it is plain text and nobody: a developer's broker. */
export interface KafkaConnection {
  /** host:port of some of its brokers. */
  brokers: readonly string[]
  clientId: string
  /** The certificate authority, PEM text, that must have signed the brokers' certificates. */
  tls?: { ca: string }
  /** SCRAM-SHA-512. */
  sasl?: { username: string; password: string }
  /** ms; those of KAFKA.md rule 7 unless given. */
  timeouts?: { connectionTimeout: number; requestTimeout: number }
}

/** What the adapter needs of a logger; pino fits. */
export interface BusLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
