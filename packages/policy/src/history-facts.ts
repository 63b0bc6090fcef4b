import { formatMicros } from '@bailiwick/authority'
import type { Shape } from './schema-shapes.ts'

interface Label {
  /** Calls, minus those that were given back. */
  count: number
  /** Micros by currency. */
  spent: ReadonlyMap<string, bigint>
  /** ms since the epoch of the latest call. */
  lastAt: number
}

/** The actions of a task, an agent or an owner's agents, in total and by label (DESIGN §7.4 step 6). */
export interface Done {
  calls: number
  /** Micros by currency. */
  spent: ReadonlyMap<string, bigint>
  labels: ReadonlyMap<string, Label>
  denials: number
  depth: number
}

export interface HistoryFacts {
  task(): Done
  agent(): Done
  /** For all agents of its owner. */
  owner(): Omit<Done, 'denials'>
  /** The number of delegations between the grant's agent and the agent that acts now. */
  depth: number
  /** ms since the epoch */
  now: number
}

/** `context.history` as far as a schema declares it: only the labels and currencies that it lists. Undeclared members are not computed. */
export function historyFacts(
  history: Shape | undefined,
  { task, agent, owner, depth, now }: HistoryFacts,
): Record<string, unknown> {
  const known: Record<string, () => Omit<Done, 'denials'> & Partial<Done>> = { task, agent, owner }
  return fill(history, (whose, shape) => {
    const done = known[whose]?.()
    return done && factsOf(shape, { ...done, depth: Math.max(done.depth, depth) }, now)
  })
}

function factsOf(
  shape: Shape,
  { calls, spent, labels, denials, depth }: Omit<Done, 'denials'> & Partial<Done>,
  now: number,
) {
  const facts: Record<string, (member: Shape) => unknown> = {
    labels: () => [...labels.keys()],
    calls: () => calls,
    denials: () => denials,
    depth: () => depth,
    count: (member) => fill(member, (label) => labels.get(label)?.count ?? 0),
    last: (member) => fill(member, (label) => secondsSince(labels.get(label), now)),
    spent: (member) =>
      fill(member, (name, of) =>
        of.kind === 'Record'
          ? fill(of, (currency) => decimal(labels.get(name)?.spent.get(currency)))
          : decimal(spent.get(name)),
      ),
  }
  return fill(shape, (name, member) => facts[name]?.(member))
}

/** The declared members, each filled in; a member whose value is `undefined` is left out. */
function fill(shape: Shape | undefined, value: (name: string, member: Shape) => unknown): Record<string, unknown> {
  if (shape?.kind !== 'Record') return {}
  const members = [...shape.members].map(([name, member]) => [name, value(name, member)] as const)
  return Object.fromEntries(members.filter(([, each]) => each !== undefined))
}

const secondsSince = (touch: Label | undefined, now: number) =>
  touch && Math.max(0, Math.floor((now - touch.lastAt) / 1000))

/**
 * Formats Cedar's decimal as text, typed by the schema: an explicit constructor takes half as long again to evaluate. A decimal has four
 * places and at most 2^63 - 1 units of the last place. Rounded up, so that the truncated part cannot exceed a limit.
 */
function decimal(micros = 0n): string {
  const up = (micros + 99n) / 100n
  const held = up > mostDecimal ? mostDecimal : up
  const [whole, places = ''] = formatMicros(held * 100n).split('.')
  return `${whole}.${places.padEnd(4, '0').slice(0, 4)}`
}
const mostDecimal = 2n ** 63n - 1n
