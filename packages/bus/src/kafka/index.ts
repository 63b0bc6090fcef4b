export { type AclsApplied, assertTopics, type KafkaAdmin, kafkaAdmin, type TopicsApplied } from './admin.ts'
export type { AclRule } from './admin-acls.ts'
export type { TopicSpec } from './admin-topics.ts'
export type { BusLogger, KafkaConnection } from './connection.ts'
