import {
  type KafkaCluster,
  type KafkaNode,
  type KafkaOptions,
  type KafkaSecurity,
  missingParts as missingNatively,
  type Part,
  type RedisOptions,
  type RedisServer,
  startKafka,
  startRedis,
} from '@bailiwick/native'
import { dockerEngine, kafkaInDocker, redisInDocker } from './real-parts-docker.ts'

/** A real Kafka, wherever it came from. Others may use it too: take topic names that nobody else has. */
export interface RealKafka extends AsyncDisposable {
  /** host:port */
  readonly brokers: string[]
  /** Absent where the brokers are not ours to kill. */
  readonly nodes?: KafkaNode[]
  /** Absent where everybody may do everything, or where KAFKA_BROKERS says nothing about it. */
  readonly security?: KafkaSecurity
}

/** A real Redis, wherever it came from. Others may use it too: what flushes or stops it asks for one of its own. */
export interface RealRedis extends AsyncDisposable {
  readonly url: string
}

/**
 * The first Kafka that there is: the brokers that KAFKA_BROKERS names (host:port, comma between), one in a Docker engine,
 * one started natively. With options always a native one of the caller's own, whose nodes can be killed. Rejects with
 * `service_unready`, saying what to install, where there is none. Disposing ends what was started, and nothing else.
 */
export function realKafka(options: KafkaOptions): Promise<KafkaCluster>
export function realKafka(): Promise<RealKafka>
export async function realKafka(options?: KafkaOptions): Promise<RealKafka> {
  if (options) return startKafka(options)
  const named = brokersOf(process.env)
  if (named.length > 0) return { brokers: named, [Symbol.asyncDispose]: async () => {} }
  return (await dockerEngine(process.env)) ? kafkaInDocker() : startKafka()
}

/** The same for Redis: REDIS_URL, a Docker engine, a `redis-server` on the path; with options always one of the caller's own. */
export function realRedis(options: RedisOptions): Promise<RedisServer>
export function realRedis(): Promise<RealRedis>
export async function realRedis(options?: RedisOptions): Promise<RealRedis> {
  if (options) return startRedis(options)
  const named = process.env.REDIS_URL
  if (named) return { url: named, [Symbol.asyncDispose]: async () => {} }
  return (await dockerEngine(process.env)) ? redisInDocker() : startRedis()
}

/**
 * What is missing here for {@link realKafka} and {@link realRedis} without options, in words that say how to get it; empty
 * when all can be had. For what is always the caller's own, ask `missingParts` of @bailiwick/native.
 */
export async function missingParts(...parts: readonly Part[]): Promise<string[]> {
  const had = (part: Part) =>
    part === 'redis' ? Boolean(process.env.REDIS_URL) : part === 'kafka' && brokersOf(process.env).length > 0
  const wanted = parts.filter((part) => !had(part))
  const natively = missingNatively(...wanted)
  if (natively.length === 0) return []
  return (await dockerEngine(process.env))
    ? missingNatively(...wanted.filter((part) => part === 'secure-kafka'))
    : natively
}

function brokersOf(environment: NodeJS.ProcessEnv): string[] {
  return (environment.KAFKA_BROKERS ?? '')
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '')
}
