import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import { type NodePlace, type SideDoor, serverProperties } from './kafka-config.ts'
import { formatNodes, uuid } from './kafka-format.ts'
import { type Java, openJava } from './kafka-java.ts'
import { type KafkaNode, openNode, untilServing } from './kafka-node.ts'
import { type ClusterSecurity, createSecurity, type KafkaSecurity, openSecurity } from './kafka-security.ts'
import { freePorts, type PortSource } from './ports.ts'
import { findProgram } from './programs.ts'
import { stopServer } from './server-process.ts'
import { removeAtEnd } from './watchdog.ts'

export interface KafkaOptions {
  /** The number of combined nodes, each broker and controller: 1 unless given. */
  nodes?: 1 | 3
  /** SASL_SSL with SCRAM-SHA-512 and ACLs, for these users and `admin`. Without it, every client may do everything. */
  secure?: { users: readonly string[] }
  /** Gives each node a second listener, for a port in between such as a line that can be cut. */
  sideDoors?: boolean
  /** Kept when given; otherwise a folder that is removed with the cluster. */
  dir?: string
}

/** A Kafka cluster on the loopback that ends with this process. */
export interface KafkaCluster extends AsyncDisposable {
  /** host:port of each node. */
  readonly brokers: string[]
  readonly nodes: KafkaNode[]
  readonly security?: KafkaSecurity
  /** The second listener of each node, where they were asked for. */
  readonly sideDoors: SideDoor[]
  /** Resolves when every running node serves, and sees every other running node. */
  ready(): Promise<void>
}

const GRACE_MILLIS = 5000
const TRIES = 3

/**
 * Starts Kafka from the jars in Maven's repository. Resolves when a client can work: every node sees all others, and
 * group coordinators serve. The first start on a machine fetches the jars and says so on stderr. A folder that already
 * has a cluster is started again as it is, on its old ports.
 */
export async function startKafka(options: KafkaOptions = {}, ports: PortSource = freePorts): Promise<KafkaCluster> {
  const java = await openRecordedJava()
  for (let tries = 1; ; tries++) {
    try {
      return await startCluster(java, options, ports)
    } catch (error) {
      // Another process took a port after it was found free. A folder of the caller's fixes its ports, so only others
      // try again.
      if (tries === TRIES || options.dir !== undefined || !/Address already in use/.test(String(error))) throw error
    }
  }
}

/** A Java whose archive was recorded from a running broker. A secure broker uses the classes of a plain one and many more. */
async function openRecordedJava(): Promise<Java> {
  const recording: KafkaOptions = findProgram('openssl') ? { secure: { users: [] } } : {}
  return openJava(report, Object.keys(recording).join(), async (plain, jvmOptions) => {
    const cluster = await startCluster(plain, recording, freePorts, jvmOptions)
    const [node] = cluster.nodes
    if (node) await Promise.race([node.kill('SIGTERM'), sleep(60_000, undefined, { ref: false })])
    await cluster[Symbol.asyncDispose]()
  })
}

async function startCluster(
  java: Java,
  options: KafkaOptions,
  portSource: PortSource,
  jvmOptions: readonly string[] = [],
): Promise<KafkaCluster> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'bailiwick-kafka-'))
  if (options.dir === undefined) removeAtEnd(dir)
  const { clusterId, places, security } = await openFolder(java, dir, options, portSource)
  const login = security?.adminLogin()
  const nodes = places.map((place) => openNode({ java, clusterId, place, jvmOptions, ...(login ? { login } : {}) }))
  const cluster: KafkaCluster = {
    brokers: nodes.map(({ broker }) => broker),
    nodes,
    ...(security ? { security } : {}),
    sideDoors: places.flatMap(({ sideDoor }) => sideDoor ?? []),
    ready: () => untilServing(nodes, nodes),
    async [Symbol.asyncDispose]() {
      // The data in a folder of ours will not be read again, so there is no need to let them be written.
      const graceMillis = options.dir === undefined ? 0 : GRACE_MILLIS
      await Promise.all(nodes.map((node) => node.server && stopServer(node.server, graceMillis)))
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true })
    },
  }
  try {
    for (const node of nodes) node.spawn()
    await cluster.ready()
    return cluster
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}

interface ClusterFolder {
  clusterId: string
  places: readonly NodePlace[]
  security?: ClusterSecurity
}

/** The cluster in the folder: the existing one, or a new one with ports, folders, keys and settings. */
async function openFolder(
  java: Java,
  dir: string,
  { nodes = 1, secure, sideDoors = false }: KafkaOptions,
  portSource: PortSource,
): Promise<ClusterFolder> {
  const description = join(dir, 'cluster.json')
  const keys = join(dir, 'security')
  if (existsSync(description)) {
    const { clusterId, places }: ClusterFolder = JSON.parse(readFileSync(description, 'utf8'))
    const another =
      places.length !== nodes ||
      existsSync(keys) !== (secure !== undefined) ||
      places.some(({ sideDoor }) => (sideDoor !== undefined) !== sideDoors)
    if (another)
      throw new ServiceError('config_invalid', `${dir} holds another kind of cluster: remove it, or ask for that`)
    return { clusterId, places, ...(secure ? { security: openSecurity(keys) } : {}) }
  }
  const ports = (await portSource((sideDoors ? 4 : 2) * nodes)).values()
  const port = () => ports.next().value ?? 0
  const places = Array.from({ length: nodes }, (_, n) => ({
    id: n + 1,
    port: port(),
    controllerPort: port(),
    dir: join(dir, `node-${n + 1}`),
    ...(sideDoors ? { sideDoor: { port: port(), toldPort: port() } } : {}),
  }))
  for (const place of places) mkdirSync(place.dir, { recursive: true, mode: 0o700 })
  const security = secure ? await createSecurity(keys, secure.users) : undefined
  const clusterId = uuid()
  await formatNodes(java, clusterId, places, security?.users())
  for (const place of places) {
    const properties = serverProperties(place, places, security?.serverSettings())
    writeFileSync(join(place.dir, 'server.properties'), properties, { mode: 0o600 })
  }
  writeFileSync(description, JSON.stringify({ clusterId, places })) // last: a folder without it is not a cluster yet
  return { clusterId, places, ...(security ? { security } : {}) }
}

/** The first start may take a minute, so the output must show that it does not hang. */
function report(line: string): void {
  process.stderr.write(`bailiwick-native: ${line}\n`)
}
