import { readFileSync } from 'node:fs'
import { type KafkaConnection, kafkaAdmin, kafkaBus } from '@bailiwick/bus/kafka'
import { kafkaAcls, kafkaTopics, type ServiceName, services } from '@bailiwick/contracts'
import { logger as makeLogger } from '@bailiwick/host'
import { systemClock, systemRandom } from '@bailiwick/kit'
import { type KafkaCluster, type RedisServer, startKafka, startRedis } from '@bailiwick/native'
import { openFront } from './front.ts'
import { type Line, openLine } from './line.ts'
import { freePort, type PlaceOptions, preparePlace, type RunningSystem } from './running-system.ts'
import { ServiceProcess } from './service-process.ts'

export interface ProcessesOptions extends PlaceOptions {
  /** How many brokers. */
  nodes?: 1 | 3
  /** The number of instances of each service; by default two of policy-decision and one of each other. */
  instances?: Partial<Record<ServiceName, number>>
  /** The last instance of this service reaches the broker through a line that can be cut. */
  cuttable?: ServiceName
  /** Additional Kafka users, with the rights that outside readers may get. */
  readers?: readonly string[]
  /** Starts every process again that ends on its own. */
  supervised?: boolean
  /** Settings of all processes, over those that the system needs. */
  env?: Readonly<Record<string, string>>
}

/** The four services as processes of their own, on a real broker and a real Redis, each with its own Kafka principal. */
export interface Processes extends RunningSystem {
  kafka: KafkaCluster
  redis: RedisServer
  /** The instances of each service. Of those with one active instance, the first in the list was started first. */
  processes: Readonly<Record<ServiceName, readonly ServiceProcess[]>>
  /** Between the broker and the last instance of the `cuttable` service. */
  line?: Line
  /** The connection of a principal to the broker: a service's, `agents`, or `admin`. */
  connection(principal: string): KafkaConnection
  /** Resolves when every service has an instance that is ready. */
  ready(ms?: number): Promise<void>
}

/** The time that eight processes on two cores need; a test has its own deadline. */
const readyWithinMs = 180_000

export async function startProcesses(options: ProcessesOptions = {}): Promise<Processes> {
  const { readers = [], supervised = false } = options
  await using started = new AsyncDisposableStack()
  const kafka = started.use(
    await startKafka({
      nodes: options.nodes ?? 1,
      secure: { users: [...services, 'agents', ...readers] },
      sideDoors: options.cuttable !== undefined,
    }),
  )
  const [sideDoor] = kafka.sideDoors
  const line = sideDoor && started.use(await openLine(sideDoor.toldPort, sideDoor.port))
  const redis = started.use(await startRedis())
  const place = await preparePlace(options)
  started.defer(() => place.leave())
  const connection = (principal: string): KafkaConnection => ({
    brokers: kafka.brokers,
    clientId: principal,
    ...(kafka.security === undefined
      ? {}
      : {
          tls: { ca: readFileSync(kafka.security.caFile, 'utf8') },
          sasl: { username: principal, password: readFileSync(kafka.security.passwordFile(principal), 'utf8') },
        }),
  })
  const dev = kafka.brokers.length === 1
  {
    await using admin = await kafkaAdmin(connection('admin'))
    await admin.applyTopics(kafkaTopics({ dev }))
    await admin.applyAcls(kafkaAcls({ readers }))
  }
  const start = async (service: ServiceName, brokers: readonly string[]): Promise<ServiceProcess> => {
    const env = {
      BAILIWICK_DATA: place.data,
      BAILIWICK_PORT: String(await freePort()),
      BAILIWICK_BUS: `kafka://${brokers.join(',')}`,
      ...(kafka.security === undefined
        ? {}
        : {
            BAILIWICK_KAFKA_CA: kafka.security.caFile,
            BAILIWICK_KAFKA_PASSWORD_FILE: kafka.security.passwordFile(service),
          }),
      BAILIWICK_GRANT_STORE: redis.url,
      BAILIWICK_LOG_LEVEL: 'warn',
      BAILIWICK_LOG_PUBLIC: '1',
      BAILIWICK_DEV: '1', // Redis is on the loopback, without TLS; three brokers meet the requirements for one
      ...options.env,
    }
    const process = started.use(new ServiceProcess({ service, env, supervised }))
    process.start()
    return process
  }
  const processes: Record<ServiceName, ServiceProcess[]> = {
    issuer: [],
    evidence: [],
    'policy-decision': [],
    approval: [],
  }
  for (const service of services) {
    const count = options.instances?.[service] ?? (service === 'policy-decision' ? 2 : 1)
    for (let n = 1; n <= count; n++) {
      const behindLine = sideDoor !== undefined && service === options.cuttable && n === count
      const brokers = behindLine ? [`127.0.0.1:${sideDoor.toldPort}`] : kafka.brokers
      processes[service].push(await start(service, brokers))
    }
  }
  const urls = Object.fromEntries(services.map((service) => [service, processes[service].map(({ url }) => url)]))
  const front = started.use(await openFront(place.port, urls as Record<ServiceName, string[]>))
  const logger = makeLogger({ service: 'testkit', level: 'silent' })
  const bus = started.use(await kafkaBus({ connection: connection('agents'), logger }))
  const ready = async (ms = readyWithinMs) => {
    try {
      await front.ready(ms)
    } catch (error) {
      const said = Object.values(processes)
        .flat()
        .map(({ service, output }) => `${service}:\n${output}`)
      throw new Error(said.join('\n'), { cause: error })
    }
  }
  await ready()
  // Another process may have answered in the place of one that ended.
  for (const process of Object.values(processes).flat())
    if (!process.running && !supervised) throw new Error(process.output)
  const owned = started.move()
  const { url, data, trust, invoicesUrl } = place
  return {
    url,
    data,
    trust,
    bus,
    invoicesUrl,
    clock: systemClock,
    random: systemRandom,
    logger,
    kafka,
    redis,
    processes,
    ...(line ? { line } : {}),
    connection,
    ready,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
