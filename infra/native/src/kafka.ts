import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NodePlace, serverProperties } from './kafka-config.ts'
import { formatNodes } from './kafka-format.ts'
import { type Java, openJava } from './kafka-java.ts'
import { type KafkaNode, type NativeNode, openNode, untilServing } from './kafka-node.ts'
import { freePorts } from './ports.ts'
import { stopServer } from './server-process.ts'
import { removeAtEnd } from './watchdog.ts'

export interface KafkaOptions {
  /** Combined nodes, each broker and controller: 1 unless given. */
  nodes?: 1 | 3
  /** SASL_SSL with SCRAM-SHA-512 and ACLs, for these users and `admin`. Else everybody may do everything. */
  secure?: { users: readonly string[] }
  /** Kept when given; else a folder that goes with the cluster. */
  dir?: string
}

/** A Kafka cluster on the loopback that ends with this process. */
export interface KafkaCluster extends AsyncDisposable {
  /** host:port of each node. */
  readonly brokers: string[]
  readonly nodes: KafkaNode[]
  readonly security?: KafkaSecurity
  /** Resolves when every node that runs serves, and sees every other that runs. */
  ready(): Promise<void>
}

export interface KafkaSecurity {
  /** PEM. */
  readonly caFile: string
  /** The file that holds the user's password, nothing else. `admin` may do everything. */
  passwordFile(user: string): string
}

const GRACE_MILLIS = 5000
const TRIES = 3

/**
 * Starts Kafka from the jars that Maven has. Resolves when a client can work: every node sees all others, and group
 * coordinators serve. The first start on a machine fetches the jars and says so on stderr. A folder that holds a cluster
 * is started again as it is, on its old ports.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  const java = await openJava(report, async (plain, jvmOptions) => {
    const cluster = await startCluster(plain, {}, jvmOptions)
    await Promise.all(cluster.nodes.map((node) => node.kill('SIGTERM'))) // the archive is written at an orderly end
    await cluster[Symbol.asyncDispose]()
  })
  for (let tries = 1; ; tries++) {
    try {
      return await startCluster(java, options, [])
    } catch (error) {
      // Somebody took a port since it was found free. A folder of the caller's names its ports for good.
      if (tries === TRIES || options.dir !== undefined || !/Address already in use/.test(String(error))) throw error
    }
  }
}

async function startCluster(java: Java, options: KafkaOptions, jvmOptions: readonly string[]): Promise<KafkaCluster> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'bailiwick-kafka-'))
  if (options.dir === undefined) removeAtEnd(dir)
  const places = await placeNodes(java, dir, options)
  const nodes = places.map((place) => openNode(java, place, jvmOptions))
  const cluster: KafkaCluster = {
    brokers: nodes.map(({ broker }) => broker),
    nodes,
    ready: () => untilServing(nodes, nodes),
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => stopNode(node, options.dir === undefined ? 0 : GRACE_MILLIS)))
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

async function stopNode({ server }: NativeNode, graceMillis: number): Promise<void> {
  if (server) await stopServer(server, graceMillis)
}

/** The folder's nodes: those of the cluster that is there, else new ones, formatted and configured. */
async function placeNodes(java: Java, dir: string, options: KafkaOptions): Promise<NodePlace[]> {
  const description = join(dir, 'cluster.json')
  if (existsSync(description)) return JSON.parse(readFileSync(description, 'utf8'))
  const count = options.nodes ?? 1
  const ports = await freePorts(2 * count)
  const places = Array.from({ length: count }, (_, n) => ({
    id: n + 1,
    port: ports[2 * n] ?? 0,
    controllerPort: ports[2 * n + 1] ?? 0,
    dir: join(dir, `node-${n + 1}`),
  }))
  for (const place of places) mkdirSync(place.dir, { recursive: true, mode: 0o700 })
  await formatNodes(java, places)
  for (const place of places)
    writeFileSync(join(place.dir, 'server.properties'), serverProperties(place, places), { mode: 0o600 })
  writeFileSync(description, JSON.stringify(places))
  return places
}

/** A start may take a minute the first time, and nobody shall think that it hangs. */
function report(line: string): void {
  process.stderr.write(`bailiwick-native: ${line}\n`)
}
