export type { BusLogger, KafkaConnection } from './connection.ts'
