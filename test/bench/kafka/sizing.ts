import { paths } from '@bailiwick/installation'
import { Before, settings } from '../gateway.ts'
import type { Measure } from '../measure.ts'
import { howOf, sizingRows } from '../sizing.ts'
import { ProcessWorld } from './processes.ts'
import type { KafkaBench } from './worlds.ts'

/** Measures the CPU time, memory and disk of each process of an installation on Kafka. */
export async function measureKafkaSizing(bench: KafkaBench): Promise<Measure> {
  await using before = await Before.prepare(bench, 0, 0)
  const { entities } = before
  // Not a system that is shared: its registry must know the gateway.
  await using world = await ProcessWorld.open({
    nodes: 1,
    instances: { 'policy-decision': 1 },
    entities,
    env: settings,
  })
  const { system, approver } = world
  const { processes, kafka, redis, data } = system
  const services = Object.entries(processes).flatMap(([name, each]) => each.map(({ pid }) => ({ name, pid })))
  const { calls } = await before.open({ ...system, name: 'Kafka', approver, pids: services.map(({ pid }) => pid) })
  const rows = await sizingRows(bench, calls, {
    processes: [
      ...services,
      { name: 'Redis', pid: redis.pid },
      ...kafka.nodes.map(({ pid }) => ({ name: 'Kafka', pid })),
    ],
    folders: { Kafka: kafka.nodes.map(({ dir }) => dir), evidence: [paths(data).evidence] },
  })
  return {
    id: 'kafka-sizing',
    title: 'Kafka and Redis: what a call takes',
    how: howOf('Each service is a process, with one broker and a Redis, all on this machine.'),
    rows,
  }
}
