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

/** A real Kafka from any source. Others may use it too: take unique topic names. */
export interface RealKafka extends AsyncDisposable {
  /** host:port */
  readonly brokers: string[]
  /** Absent where the brokers are not ours to kill. */
  readonly nodes?: KafkaNode[]
  /** Absent where every client may do everything, or where KAFKA_BROKERS says nothing about security. */
  readonly security?: KafkaSecurity
}

/** A real Redis from any source. Others may use it too: a test that flushes or stops it must ask for one of its own. */
export interface RealRedis extends AsyncDisposable {
  readonly url: string
}

/**
 * The first available Kafka: the brokers that KAFKA_BROKERS names (host:port, separated by commas), one in a Docker
 * engine, or one started natively. With options it is always a native one of the caller's own, whose nodes can be
 * killed. Rejects with `service_unready`, saying what to install, if there is none. Disposing ends what was started,
 * and nothing else.
 */
export function realKafka(options: KafkaOptions): Promise<KafkaCluster>
export function realKafka(): Promise<RealKafka>
export async function realKafka(options?: KafkaOptions): Promise<RealKafka> {
  if (options) return startKafka(options)
  const named = brokersOf(process.env)
  if (named.length > 0) return { brokers: named, [Symbol.asyncDispose]: async () => {} }
  return (await dockerEngine(process.env)) ? kafkaInDocker() : startKafka()
}

/**
 * The same for Redis: REDIS_URL, a Docker engine, or a `redis-server` on the path; with options always one of the
 * caller's own.
 */
export function realRedis(options: RedisOptions): Promise<RedisServer>
export function realRedis(): Promise<RealRedis>
export async function realRedis(options?: RedisOptions): Promise<RealRedis> {
  if (options) return startRedis(options)
  const named = process.env.REDIS_URL
  if (named) return { url: named, [Symbol.asyncDispose]: async () => {} }
  return (await dockerEngine(process.env)) ? redisInDocker() : startRedis()
}

/**
 * What this machine lacks for {@link realKafka} and {@link realRedis} without options, in words that say how to get it;
 * empty when nothing is missing. For parts that are always the caller's own, ask `missingParts` of @bailiwick/native.
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
