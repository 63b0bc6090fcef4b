export { type KafkaCluster, type KafkaOptions, startKafka } from './kafka.ts'
export type { KafkaNode } from './kafka-node.ts'
export type { KafkaSecurity } from './kafka-security.ts'
export { type RedisOptions, type RedisServer, startRedis } from './redis.ts'
