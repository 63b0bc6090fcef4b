import { existsSync } from 'node:fs'

// Run on stand-ins for these images (infra/docker/test), never on the official ones.
const KAFKA_IMAGE = 'confluentinc/cp-kafka:8.1.0' // Kafka 4.1, the image that the module of testcontainers knows
const REDIS_IMAGE = 'redis:7-alpine'
const KAFKA_PORT = 9093 // the port that this module gives to clients outside the container
const REDIS_PORT = 6379

const sockets = ['/var/run/docker.sock', '/run/podman/podman.sock']

/**
 * Whether a Docker engine answers. An empty DOCKER_HOST means that no engine is wanted. Without a socket or a
 * DOCKER_HOST, the library is not loaded, because that is slow.
 */
export async function dockerEngine(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const { DOCKER_HOST, HOME, XDG_RUNTIME_DIR, TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: override } = environment
  if (DOCKER_HOST === '') return false
  const rootless = [`${XDG_RUNTIME_DIR}/docker.sock`, `${HOME}/.docker/run/docker.sock`]
  if (!DOCKER_HOST && !override && ![...sockets, ...rootless].some((path) => existsSync(path))) return false
  const { getContainerRuntimeClient } = await import('testcontainers')
  try {
    await getContainerRuntimeClient()
    return true
  } catch {
    return false
  }
}

/** One broker in a container, PLAINTEXT. Asking for a topic does not create it. */
export async function kafkaInDocker(): Promise<AsyncDisposable & { brokers: string[] }> {
  const [{ KafkaContainer }, { Wait }] = await Promise.all([import('@testcontainers/kafka'), import('testcontainers')])
  const container = await new KafkaContainer(KAFKA_IMAGE)
    .withKraft()
    .withEnvironment({ KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false', KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0' })
    // Without this wait, the library returns when the container runs, seconds before the broker listens.
    .withWaitStrategy(Wait.forListeningPorts())
    .start()
  return {
    brokers: [`${container.getHost()}:${container.getMappedPort(KAFKA_PORT)}`],
    [Symbol.asyncDispose]: async () => void (await container.stop()),
  }
}

/** Redis in a container, configured as the grant store needs it: nothing is evicted. */
export async function redisInDocker(): Promise<AsyncDisposable & { url: string }> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const container = await new GenericContainer(REDIS_IMAGE)
    .withCommand(['redis-server', '--maxmemory-policy', 'noeviction', '--save', ''])
    .withExposedPorts(REDIS_PORT)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start()
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(REDIS_PORT)}`,
    [Symbol.asyncDispose]: async () => void (await container.stop()),
  }
}
