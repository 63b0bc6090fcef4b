import type { Action } from '@bailiwick/credentials'
import { type Refused, type RelayRequest, readQuery } from '@bailiwick/relay'
import type { StatedCost } from '../stated-cost.ts'
import type { DatabaseEntry } from './database-entry.ts'

/** The parameters of a start-up that only change how values are written, not what a connection may do. */
const settings: ReadonlyMap<string, string> = new Map(
  ['client_encoding', 'DateStyle', 'extra_float_digits', 'IntervalStyle', 'TimeZone'].map((name) => [
    name.toLowerCase(),
    name,
  ]),
)
const plainValue = /^[A-Za-z0-9 ,.:_+/-]{1,64}$/

/** Parameters of a start-up, by their usual spelling. */
export type Settings = Readonly<Record<string, string>>

const refuse = (detail: string): Refused => ({ refused: 'postgres_startup_refused', detail })

/** Reads the parameters of the query as those of a start-up. Refuses an unknown parameter by its name. */
function readSettings({ database }: DatabaseEntry, request: RelayRequest): { settings: Settings } | Refused {
  const query = readQuery(request.target)
  if ('refused' in query) return query
  if (request.body.length > 0) return refuse('a body')
  const wanted = new Map<string, string>()
  for (const [name, value] of Object.entries(query.parameters)) {
    if (name === 'database') {
      if (value !== database) return refuse('database')
      continue
    }
    const known = settings.get(name.toLowerCase())
    if (known === undefined) return refuse(`the parameter ${name}`)
    if (!plainValue.test(value)) return refuse(`the value of ${known}`)
    wanted.set(known, value)
  }
  return { settings: Object.fromEntries(wanted) }
}

/** Stands in a budget for the seconds that connections last. No currency of ISO 4217 has this code. */
export const ofSeconds = 'SEC'

/** The action of a connection that lasts `seconds` at most: a call of the tool `connect`, which costs these. */
export function connectAction(
  server: string,
  entry: DatabaseEntry,
  request: RelayRequest,
  seconds: number,
): Action | Refused {
  const read = readSettings(entry, request)
  if ('refused' in read) return read
  return {
    name: 'tools/call',
    properties: {
      ...{ database: entry.database, template: entry.template, settings: read.settings },
      cost: { amount: String(seconds), currency: ofSeconds } satisfies StatedCost,
    },
    resource: { type: 'tool', id: `${server}/connect` },
  }
}

/** The settings of a connection that was allowed. */
export const settingsOf = ({ properties }: Action): Settings => properties.settings as Settings
