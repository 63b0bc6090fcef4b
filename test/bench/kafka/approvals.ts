import { kafkaBus } from '@bailiwick/bus/kafka'
import { logger as makeLogger } from '@bailiwick/service-kit'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { approvalsOf, approveMany, howOf } from '../approvals.ts'
import type { Measure } from '../measure.ts'
import type { KafkaBench } from './worlds.ts'

/** As on the embedded bus, with a process for each service. */
export async function measureKafkaApprovals(bench: KafkaBench): Promise<Measure> {
  const { quick, progress } = bench
  const count = approvalsOf(quick)
  await using world = await bench.open(quick ? 1 : 3)
  const { system, approver } = world
  const logger = makeLogger({ service: 'bench', level: 'silent' })
  // As a decision point reads: it is who waits for grants.
  await using bus = await kafkaBus({ connection: system.connection('policy-decision'), logger })
  const rows = await approveMany({ agent: sampleAgent(system, 'reconciler'), approver, bus, count, progress })
  return {
    id: 'kafka-approvals',
    title: 'Kafka and Redis: from the click on Approve to the grant',
    how: `${howOf(count)} On ${quick ? 'one broker' : 'three brokers'}, a process for each service; the reader is the bench.`,
    rows,
  }
}
