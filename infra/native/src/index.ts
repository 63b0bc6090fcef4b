export { type KafkaCluster, type KafkaOptions, type KafkaSecurity, startKafka } from './kafka.ts'
export type { KafkaNode } from './kafka-node.ts'
export { type RedisOptions, type RedisServer, startRedis } from './redis.ts'
