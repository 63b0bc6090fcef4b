import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { parseTrust } from '@bailiwick/credentials'
import { paths } from '@bailiwick/installation'
import { readLog } from '../../audit.ts'
import type { Row } from '../measure.ts'
import type { GatewayPlace } from './place.ts'
import { point } from './place.ts'
import type { Tally } from './tally.ts'

/** How often the log is read until it has the last outcomes, and the pause before that. */
const [tries, pauseMs] = [20, 2000]

/** Events of the gateway in a log, by type, and its outcomes by status as well. */
type Recorded = Readonly<Record<string, number | undefined>>

/** Compares what clients were answered with the server and the log. Throws if a call was answered that either does not know. */
export async function recordedRows(place: GatewayPlace, data: string, tally: Tally): Promise<Row[]> {
  const { calls, streams } = await place.counts()
  // A busy machine may have a stream cut before its first event is here.
  if (calls !== tally.direct + tally.through || streams < tally.streams)
    throw new Error(`the server got ${calls} calls and ${streams} streams; clients have ${JSON.stringify(tally)}`)
  const recorded = await eventually(data, tally)
  return [
    { name: 'answered through the gateway', value: tally.through, unit: '' },
    { name: 'reached the server through the gateway', value: calls - tally.direct, unit: '' },
    { name: 'outcomes in the log that succeeded', value: recorded.succeeded ?? 0, unit: '' },
    { name: 'streams that began', value: tally.streams, unit: '' },
    { name: 'ALLOWs in the log', value: recorded['decision.allowed'] ?? 0, unit: '' },
    { name: 'outcomes in the log', value: recorded['outcome.reported'] ?? 0, unit: '' },
  ]
}

async function eventually(data: string, { through, streams }: Tally): Promise<Recorded> {
  let recorded: Recorded = {}
  for (let n = 0; n < tries; n++) {
    await setTimeout(pauseMs)
    recorded = await eventsOf(data)
    const [allowed = 0, reported = 0] = [recorded['decision.allowed'], recorded['outcome.reported']]
    // On a busy machine an ALLOW may come too late for the gateway, which then executes nothing.
    if (recorded.succeeded === through && allowed >= through + streams && reported >= through + streams) return recorded
  }
  throw new Error(`the log has ${JSON.stringify(recorded)} for ${through} calls and ${streams} streams`)
}

async function eventsOf(data: string): Promise<Recorded> {
  const { log, trust } = paths(data)
  const { entries } = await readLog(log, parseTrust(readFileSync(trust)).log.vkey)
  const counts: Record<string, number> = {}
  // Of two decision points, both may record an outcome that they were told twice. One of the events is void.
  const seen = new Set<string>()
  for (const entry of entries) {
    const text = Buffer.from(entry).toString('utf8')
    if (!text.includes(`"enforcement_point":"${point}"`)) continue
    const { type, data } = JSON.parse(text) as { type: string; data: { decision_id?: string; status?: string } }
    if (seen.has(`${type} ${data.decision_id}`)) continue
    seen.add(`${type} ${data.decision_id}`)
    for (const name of type === 'outcome.reported' ? [type, data.status ?? ''] : [type])
      counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
