import type { Granted } from './granted.ts'
import type { Seen } from './world.ts'

/** The amounts that the log shows as taken from the only tree in it, by the events that count. */
export async function takenOnTheLog({ world }: Pick<Granted, 'world'>): Promise<number> {
  let version = 0
  let head: string | undefined
  const open = new Set<string>()
  for (const event of await world.events('decisions.v1')) {
    if (!counts(event, version, head)) continue
    version++
    head = event.id
    if (event.type === 'decision.allowed') open.add(event.subject)
    if (event.type === 'decision.abandoned') open.delete(event.subject)
  }
  return open.size
}
const counts = (event: Seen<'decisions.v1'>, version: number, head: string | undefined) =>
  event.version === version + 1 &&
  (!('after' in event.data) || event.data.after === undefined || event.data.after === head)
