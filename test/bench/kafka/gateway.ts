import { Before, howOf, settings } from '../gateway.ts'
import type { Measure } from '../measure.ts'
import { ProcessWorld } from './processes.ts'
import type { KafkaBench } from './worlds.ts'

/** As `measureGateway`, without the many open streams. */
export async function measureKafkaGateway(bench: KafkaBench): Promise<Measure> {
  await using before = await Before.prepare(bench, 0)
  // Not a system that is shared: its registry must know the gateway.
  await using world = await ProcessWorld.open({ nodes: 1, entities: before.entities, env: settings })
  const { system, approver } = world
  const { processes, data, trust, clock, random } = system
  const pids = Object.values(processes).flatMap((all) => all.map(({ pid }) => pid))
  return {
    id: 'kafka-gateway',
    title: 'Kafka and Redis: the MCP gateway',
    how: howOf(
      'The services are processes of their own, two of them policy-decision, with one broker and a Redis, all on this machine. Their public address, which the gateway asks, is a proxy in the process of the clients.',
    ),
    rows: await before.rows({ name: 'Kafka', data, trust, clock, random, approver, pids }),
  }
}
