import { rmSync } from 'node:fs'
import { kafkaBus } from '@bailiwick/bus/kafka'
import { logger as makeLogger } from '@bailiwick/host'
import { paths } from '@bailiwick/installation'
import { type Measure, type Row, timed } from '../measure.ts'
import { readDecision, writeHistory } from './history.ts'
import { residentMiB } from './resident.ts'
import type { KafkaBench } from './worlds.ts'

const trees = 50
const readyWithinMs = 60 * 60 * 1000

/** How long the services that keep decisions in memory need to load them again. */
export async function measureKafkaStartup(bench: KafkaBench): Promise<Measure> {
  const { quick, progress } = bench
  const count = bench.count ?? (quick ? 10_000 : 1_000_000)
  await using world = await bench.open(1)
  const { system } = world
  const [point, ...others] = system.processes['policy-decision']
  const [approval] = system.processes.approval
  if (!point || !approval) throw new Error('there is no policy-decision instance, or no approval')
  const starts = async (process: typeof point, from: 'everything' | 'its snapshot' = 'everything') => {
    await process.stop()
    if (from === 'everything') rmSync(paths(system.data).snapshots, { recursive: true, force: true })
    return timed(async () => {
      process.start()
      await process.ready(readyWithinMs)
    })
  }
  for (const other of others) await other.stop()
  const grants = await world.grants(trees)
  const called = await world.call(point.url, (await world.grant()).token)
  if (!called.decision) throw new Error(`denied: ${called.reason}`)
  const empty = await starts(point)

  for (const process of [point, ...system.processes.evidence]) await process.stop()
  const logger = makeLogger({ service: 'bench', level: 'silent' })
  await using bus = await kafkaBus({ connection: system.connection('policy-decision'), logger })
  const like = await readDecision(bus, called.decisionId)
  const write = (progressed: number) => progress(`start-up: ${progressed} of ${count} decisions written`)
  await writeHistory({ bus, system, like, grants, count, progress: write })

  progress('start-up: policy-decision')
  const decisionMs = await starts(point)
  const resident = residentMiB(point.pid)
  const counted = await world.call(point.url, await world.token(grants[0]?.grantId ?? ''))
  if (!counted.decision) throw new Error(`after its start it denied: ${counted.reason}`)
  progress('start-up: approval')
  const approvalMs = await starts(approval)
  progress('start-up: from snapshots')
  const decisionAgainMs = await starts(point, 'its snapshot')
  const approvalAgainMs = await starts(approval, 'its snapshot')
  return {
    id: 'kafka-startup',
    title: 'Kafka and Redis: start-up',
    how:
      `From the start of the process until \`/readyz\` says 200, after ${count.toLocaleString('en-US')} decisions of the last ` +
      `9 hours under ${trees} live grants, each with its outcome: ${(2 * count).toLocaleString('en-US')} events, signed, ` +
      'numbered and chained with the key of policy-decision, as it would have written them. Every one is read, decoded, ' +
      'verified and folded, because the snapshots are deleted before; then each starts once more, from its snapshot. One broker; ' +
      'evidence is stopped meanwhile, since it goes on where its log ends. Issuer does not read decisions.',
    rows: [
      { name: 'policy-decision, one decision there', value: empty / 1000, unit: 's' },
      { name: 'policy-decision', value: decisionMs / 1000, unit: 's' } satisfies Row,
      { name: 'policy-decision, events folded', value: (2 * count * 1000) / (decisionMs - empty), unit: '/s' },
      { name: 'policy-decision, resident memory then', value: resident, unit: 'MiB' },
      { name: 'policy-decision, from its snapshot', value: decisionAgainMs / 1000, unit: 's' },
      { name: 'approval', value: approvalMs / 1000, unit: 's' },
      { name: 'approval, from its snapshot', value: approvalAgainMs / 1000, unit: 's' },
    ],
  }
}
