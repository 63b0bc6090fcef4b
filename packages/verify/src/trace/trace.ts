import type { EventKind } from '@bailiwick/contracts'
import { effectOf, grantHeldBy, type Place } from './place.ts'
import { leewayMs, type StepCheck, type TraceTrust } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'
import { verifyStep } from './verify-step.ts'

/** One step of a story. The steps that followed from it are below it. */
export interface TraceStep extends StepCheck {
  kind: EventKind
  leaf_index: number
  event_id: string
  type: string
  time: string
  subject: string
  /** The event's own data, signatures included, so that a reader can verify them too. */
  data: unknown
  /** Another writer's event took its place, so it has no effect for any reader. */
  void?: true
  steps: TraceStep[]
}

interface Node {
  leaf: TraceLeaf
  place: Place
  parent: Node | undefined
  children: Node[]
  /** The nodes that it rests on but does not follow from. */
  beside: readonly Node[]
}

/**
 * The story of the found leaves: trees in time, from the request at the root to outcomes at the tips. It keeps only the found leaves and
 * those that they followed from. Every step is verified anew.
 */
export async function traceOf(
  found: readonly TraceLeaf[],
  leaves: readonly TraceLeaf[],
  by: TraceTrust,
): Promise<TraceStep[]> {
  const nodes = [...leaves].sort((a, b) => a.index - b.index).map(nodeOf)
  const beginnings = new Map<string, Node>()
  // A thing belongs to the first leaf that claims it. Later leaves under its name have no effect.
  for (const node of nodes)
    if (node.place.is !== undefined && !beginnings.has(node.place.is)) beginnings.set(node.place.is, node)
  for (const node of nodes) adopt(node, beginnings)
  const moves = nodes.filter(({ leaf }) => leaf.event.type === 'grant.rebound' && !leaf.void)
  for (const node of nodes) node.beside = besideOf(node, beginnings, moves)
  const wanted = new Set(found.map(({ index }) => index))
  const kept = new Set<Node>()
  const queue = nodes.filter(({ leaf }) => wanted.has(leaf.index))
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    if (kept.has(node)) continue
    kept.add(node)
    queue.push(...node.beside, ...(node.parent === undefined ? [] : [node.parent]))
  }
  const roots = nodes.filter((node) => node.parent === undefined && kept.has(node))
  return Promise.all(roots.map((root) => stepOf(root, kept, by)))
}

/**
 * The steps of a story one after the other, newest first: outcome, decision, credential, grant, approval, request. They are sorted by time,
 * since topics enter the log in parallel. Within the same millisecond, the later step is the one deeper in the tree.
 */
export function flatten(steps: readonly TraceStep[]): Omit<TraceStep, 'steps'>[] {
  const flat: { step: Omit<TraceStep, 'steps'>; depth: number }[] = []
  const walk = (level: readonly TraceStep[], depth: number): void => {
    for (const { steps: below, ...step } of level) {
      flat.push({ step, depth })
      walk(below, depth + 1)
    }
  }
  walk(steps, 0)
  flat.sort((a, b) => Date.parse(b.step.time) - Date.parse(a.step.time) || b.depth - a.depth)
  return flat.map(({ step }) => step)
}

function nodeOf(leaf: TraceLeaf): Node {
  return { leaf, place: effectOf(leaf), parent: undefined, children: [], beside: [] }
}

function adopt(node: Node, beginnings: ReadonlyMap<string, Node>): void {
  const found = node.place.from.map((from) => beginnings.get(from)).find((cause) => cause !== undefined)
  // Names come from the writers of the events, and a circle would never end.
  for (let at = found; at !== undefined; at = at.parent) if (at === node) return
  node.parent = found
  found?.children.push(node)
}

/** The yes to one more action (step-up), and each earlier move of the grant to another key. */
function besideOf({ leaf, place }: Node, beginnings: ReadonlyMap<string, Node>, moves: readonly Node[]): Node[] {
  const named = (place.beside ?? []).flatMap((name) => beginnings.get(name) ?? [])
  const grant = grantHeldBy(leaf.event)
  if (grant === undefined) return named
  const at = Date.parse(leaf.event.time) + leewayMs
  const before = moves.filter(({ leaf: { event } }) => {
    return event.type === 'grant.rebound' && event.data.grant.id === grant && Date.parse(event.time) <= at
  })
  return [...named, ...before]
}

async function stepOf(node: Node, kept: ReadonlySet<Node>, by: TraceTrust): Promise<TraceStep> {
  const { event, index } = node.leaf
  const check = await verifyStep(node.leaf, causesOf(node), by)
  const below = node.children.filter((child) => kept.has(child))
  return {
    kind: node.place.kind,
    leaf_index: index,
    event_id: event.id,
    type: event.type,
    time: event.time,
    subject: event.subject,
    ...check,
    data: event.data,
    ...(node.leaf.void ? { void: true } : {}),
    steps: await Promise.all(below.map((child) => stepOf(child, kept, by))),
  }
}

/** The leaves that a node follows from, nearest first; then the others that it rests on. */
function causesOf(node: Node): TraceLeaf[] {
  const causes: TraceLeaf[] = []
  for (let at = node.parent; at !== undefined; at = at.parent) causes.push(at.leaf)
  return [...causes, ...node.beside.map(({ leaf }) => leaf)]
}
