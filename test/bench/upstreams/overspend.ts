import { inFlight, type Row } from '../measure.ts'
import { Load } from '../pdp/load.ts'

/** What one call of the bench costs, in millionths of a USD: 10 tokens of input and 5 of output. */
const callMicros = 510

/** A budget, and calls that together cost much more. */
export const small = { dollars: '0.02', micros: 20_000, calls: 200 }
const connections = 64

/** Sends all calls at once until a small budget is gone. What was answered beyond it is the overspend. */
export async function overspendRow(name: string, url: string, requests: readonly Buffer[]): Promise<Row> {
  using load = await Load.open(url, connections)
  let answered = 0
  await inFlight(connections, requests.length, async (n) => {
    const { status } = await load.ask(requests[n] as Buffer)
    if (status === 200) answered++
  })
  if (answered === 0) throw new Error(`${name} answered no call at all`)
  return {
    name: `${requests.length} calls at once under ${small.dollars} USD, ${name}: spent beyond it, in millionths of a USD`,
    value: Math.max(0, answered * callMicros - small.micros),
    unit: '',
    target: { atMost: 0 },
  }
}
