import { labelsOfTool } from '@bailiwick/approval-statement'
import { formatMicros } from '@bailiwick/authority'
import { ServiceError } from '@bailiwick/errors'
import type { Shape, Shapes } from '@bailiwick/policy'
import type { DecisionState, RegistryState, SpendView, Touch, Touched } from '@bailiwick/projection'

/** What a tool does, by the registry; one that nobody described is treated as untrusted, private and external at once. */
export function labelsOf(registry: RegistryState, resource: { type: string; id: string }): string[] {
  return [...labelsOfTool(resource, { get: (id) => registry.get('tool-server', id) })]
}

export interface HistoryQuestion {
  decisions: DecisionState
  root: string
  /** The tree, with what of it is still on its way to the log: two calls of one batch follow one another too. */
  tree: Pick<SpendView, 'labels' | 'taken' | 'depth' | 'ahead'>
  /** Without instance. */
  agent: string
  /** Delegations between the grant's agent and whoever acts now. */
  depth: number
  /** ms since the epoch */
  now: number
}

/**
 * `context.history` (DESIGN §7.4 step 6): what this task (the tree), and this agent (any instance, any task) in the last 8 h,
 * has done, so far as the schema declares it: of labels and currencies, those that it lists.
 */
export function historyOf(history: Shape | undefined, question: HistoryQuestion): Record<string, unknown> {
  const { decisions, root, tree, agent, depth, now } = question
  const known: Record<string, () => Touched> = {
    task: () => ({
      calls: Number(tree.taken.calls),
      spent: tree.taken.cost,
      labels: tree.labels,
      denials: decisions.denials.of(root),
      depth: tree.depth,
    }),
    agent: () => decisions.history.of(agent, now, tree.ahead),
  }
  return fill(history, (whose, shape) => {
    const touched = known[whose]?.()
    return touched && factsOf(shape, { ...touched, depth: Math.max(touched.depth, depth) }, now)
  })
}

function factsOf(shape: Shape, { calls, spent, labels, denials, depth }: Touched, now: number) {
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

/** What is declared, each member filled; one that is `undefined` is left out. */
function fill(shape: Shape | undefined, value: (name: string, member: Shape) => unknown): Record<string, unknown> {
  if (shape?.kind !== 'Record') return {}
  const members = [...shape.members].map(([name, member]) => [name, value(name, member)] as const)
  return Object.fromEntries(members.filter(([, each]) => each !== undefined))
}

const secondsSince = (touch: Readonly<Touch> | undefined, now: number) =>
  touch && Math.max(0, Math.floor((now - touch.lastAt) / 1000))

/**
 * Cedar's decimal, as text that the schema types: spelt out it takes half as long again to evaluate. It has four places and ends at
 * 2^63 - 1 of them: rounded up, so that no limit is passed by what was cut off.
 */
function decimal(micros = 0n): string {
  const up = (micros + 99n) / 100n
  const held = up > mostDecimal ? mostDecimal : up
  const [whole, places = ''] = formatMicros(held * 100n).split('.')
  return `${whole}.${places.padEnd(4, '0').slice(0, 4)}`
}
const mostDecimal = 2n ** 63n - 1n

/** The history in the shape of a context. */
export const historyIn = (context: Shape | undefined): Shape | undefined => membersOf(context).get('history')

/**
 * Throws `config_invalid` for a schema that wants of the history what is not there, or not always there: each call would be
 * refused, and nobody would know why.
 */
export function requireKnownHistory(shapes: Shapes): void {
  const wrong = (at: string, why: string) =>
    new ServiceError('config_invalid', `policies: context.history.${at}: ${why}`)
  for (const { id } of shapes.actions)
    for (const [whose, of] of membersOf(historyIn(shapes.context({ type: 'Action', id })))) {
      if (whose !== 'task' && whose !== 'agent') throw wrong(whose, 'there is task and agent')
      for (const [name, member] of membersOf(of)) {
        if (!isFact(name, member)) throw wrong(`${whose}.${name}`, 'not a fact of the history, or not of this type')
        if (name === 'last' && member.kind === 'Record' && member.optional.size < member.members.size)
          throw wrong(`${whose}.last`, 'each must be optional: what was never touched has no last time')
      }
    }
}

const membersOf = (shape: Shape | undefined) => (shape?.kind === 'Record' ? shape.members : new Map<string, Shape>())
const is = (kind: Shape['kind']) => (shape: Shape) => shape.kind === kind
const isDecimal = (shape: Shape) => shape.kind === 'Extension' && shape.construct === 'decimal'
const recordOf = (each: (shape: Shape) => boolean) => (shape: Shape) =>
  shape.kind === 'Record' && [...shape.members.values()].every(each)

const factTypes: Record<string, (shape: Shape) => boolean> = {
  labels: (shape) => shape.kind === 'Set' && shape.element.kind === 'String',
  calls: is('Long'),
  denials: is('Long'),
  depth: is('Long'),
  count: recordOf(is('Long')),
  last: recordOf(is('Long')),
  spent: recordOf((shape) => isDecimal(shape) || recordOf(isDecimal)(shape)),
}
const isFact = (name: string, member: Shape) => Object.hasOwn(factTypes, name) && factTypes[name]?.(member) === true
