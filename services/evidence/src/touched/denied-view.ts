import { hourMs } from '../index/activity.ts'
import type { DeniedRows } from './denied.ts'
import { more } from './touched.ts'

/** Tools and resources that have a place of their own in one agent's row. */
const mostThings = 50

interface DeniedThing {
  /** Without a resource: denials that were summed up. */
  action?: string
  type?: string
  resource?: string
  denied: number
  reasons: Record<string, number>
}

/** Which agents were denied which tools, for the picture of denials. A denial counts for the agent that acted, and for no other. */
export function deniedOf({ agents, moreAgents }: DeniedRows, { from, to }: { from: number; to: number }) {
  return {
    from: new Date(Math.floor(from / hourMs) * hourMs).toISOString(),
    to: new Date(to).toISOString(),
    agents: agents.map(({ agent, denied, rows, isWhole }) => {
      const things = new Map<string, DeniedThing>()
      for (const { through, action, type, resource, denied: count, reasons } of rows) {
        if (through !== undefined || count === 0) continue
        const name = JSON.stringify([action, type, resource])
        const known = things.get(name) ?? {
          ...(action === undefined ? {} : { action }),
          ...(type === undefined ? {} : { type }),
          ...(resource === undefined ? {} : { resource }),
          ...{ denied: 0, reasons: {} },
        }
        things.set(name, {
          ...known,
          denied: known.denied + count,
          reasons: Object.entries(reasons).reduce((all, [reason, of]) => more(all, reason, of), known.reasons),
        })
      }
      const sorted = [...things.values()].sort((a, b) => b.denied - a.denied)
      return {
        ...{ agent, denied, complete: isWhole && sorted.length <= mostThings },
        things: sorted.slice(0, mostThings),
      }
    }),
    more_agents: moreAgents,
  }
}
