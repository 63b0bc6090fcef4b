import { join } from 'node:path'

/** One node's place: its ports and its folder. */
export interface NodePlace {
  id: number
  port: number
  controllerPort: number
  dir: string
  sideDoor?: SideDoor
}

/** A second listener for clients, which gives them another address than the node's own: that of a proxy in between. */
export interface SideDoor {
  /** Where the node listens. */
  port: number
  /** The address that it gives to clients of this listener; nothing of ours listens there. */
  toldPort: number
}

/** server.properties of one KRaft node that is broker and controller, on the loopback. */
export function serverProperties(node: NodePlace, all: readonly NodePlace[], secure?: Record<string, string>): string {
  const listener = secure ? 'SASL_SSL' : 'PLAINTEXT'
  const copies = all.length
  const majority = Math.floor(copies / 2) + 1
  // A dead broker pauses its partitions for this long; three at once on a small machine need more than one second.
  const sessionMillis = copies === 1 ? 1000 : 3000
  const { sideDoor } = node
  const own = `${listener}://127.0.0.1:${node.port}`
  const behind = sideDoor ? `,SIDE://127.0.0.1:${sideDoor.port}` : ''
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': all.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': listener,
    listeners: `${own}${behind},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    ...(sideDoor ? { 'advertised.listeners': `${own},SIDE://127.0.0.1:${sideDoor.toldPort}` } : {}),
    'listener.security.protocol.map': `${listener}:${listener},${sideDoor ? `SIDE:${listener},` : ''}CONTROLLER:${secure ? 'SSL' : 'PLAINTEXT'}`,
    'log.dirs': dataFolder(node),
    'broker.session.timeout.ms': sessionMillis,
    'broker.heartbeat.interval.ms': sessionMillis / 5,
    'auto.create.topics.enable': false,
    'default.replication.factor': copies,
    'min.insync.replicas': majority,
    'offsets.topic.num.partitions': copies,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': majority,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': majority,
    'group.initial.rebalance.delay.ms': 0,
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    ...secure,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** The folder that Kafka writes; the node's properties and log are next to it. */
export function dataFolder(node: Pick<NodePlace, 'dir'>): string {
  return join(node.dir, 'data')
}
