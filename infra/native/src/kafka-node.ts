import { join } from 'node:path'
import type { NodePlace } from './kafka-config.ts'
import type { Java } from './kafka-java.ts'
import { connectKafka, type KafkaClient, type Login } from './kafka-protocol.ts'
import { type ServerCommand, type ServerProcess, startServer, untilReady } from './server-process.ts'

export interface KafkaNode {
  readonly id: number
  /** host:port; the same after a start. */
  readonly broker: string
  /** The id of the running process, or of the last one. */
  readonly pid: number
  readonly dir: string
  /** After SIGKILL and SIGTERM resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again after a kill, with the same data and port. Resolves when the node serves. */
  start(): Promise<void>
}

/** A node as its cluster sees it. */
export interface NativeNode extends KafkaNode {
  readonly clusterId: string
  readonly command: ServerCommand
  readonly server: ServerProcess | undefined
  readonly login: Login | undefined
  /** Starts the process without waiting for it. */
  spawn(): void
}

const READY_SECONDS = 120 // three secure nodes at once on two busy cores take half a minute
// The topic of the groups' positions has a partition for each node; each of these names falls on another partition.
const GROUPS = ['bailiwick-0', 'bailiwick-1', 'bailiwick-2']

/** The parts of a node. */
export interface NodeParts {
  java: Java
  /** Checks that the process on the node's port belongs to the node, because another process may have taken the port. */
  clusterId: string
  place: NodePlace
  jvmOptions: readonly string[]
  login?: Login
}

/** A node of a formatted folder, not started yet. */
export function openNode({ java, clusterId, place, jvmOptions, login }: NodeParts): NativeNode {
  const properties = join(place.dir, 'server.properties')
  const command: ServerCommand = {
    name: `Kafka node ${place.id}`,
    program: java.program,
    image: java.image,
    args: java.arguments('kafka.Kafka', [properties], [`-Djava.io.tmpdir=${place.dir}`, ...jvmOptions]),
    log: join(place.dir, 'kafka.log'),
  }
  let server: ServerProcess | undefined
  const node: NativeNode = {
    id: place.id,
    broker: `127.0.0.1:${place.port}`,
    dir: place.dir,
    clusterId,
    command,
    login,
    get server() {
      return server
    },
    get pid() {
      return server?.pid ?? 0
    },
    spawn() {
      if (!server?.running()) server = startServer(command)
    },
    async kill(signal) {
      await server?.kill(signal)
    },
    async start() {
      node.spawn()
      await untilServing([node], [node])
    },
  }
  return node
}

/**
 * Resolves when each running node of `asked` knows each running node of `seen` as in service, and coordinates its share
 * of the consumer groups. An open port is not enough: a killed node is fenced until its old session has run out.
 */
export async function untilServing(
  asked: readonly NativeNode[],
  seen: readonly NativeNode[],
  connect: Connect = connectKafka,
): Promise<void> {
  await Promise.all(asked.filter(isRunning).map((node) => nodeServes(node, seen, connect)))
}

type Connect = typeof connectKafka

async function nodeServes(node: NativeNode, seen: readonly NativeNode[], connect: Connect): Promise<void> {
  if (!node.server) return
  let client: KafkaClient | undefined
  const ready = async () => {
    try {
      client ??= await connect(node.broker, node.login)
      if ((await client.clusterId()) !== node.clusterId) return false
      const inService = await client.brokers()
      if (!seen.filter(isRunning).every(({ id }) => inService.includes(id))) return false
      for (const group of GROUPS) if (!(await client.servesGroup(group, node.id))) return false
      return true
    } catch {
      client?.[Symbol.dispose]()
      client = undefined
      return false
    }
  }
  try {
    await untilReady(node.command, node.server, ready, READY_SECONDS)
  } finally {
    client?.[Symbol.dispose]()
  }
}

function isRunning({ server }: NativeNode): boolean {
  return server?.running() ?? false
}
