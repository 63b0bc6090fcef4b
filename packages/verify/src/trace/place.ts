import { type DecodedEvent, type EventKind, eventRow, textAt, thingsAt } from '@bailiwick/contracts'
import type { TraceLeaf } from './trace-leaf.ts'

/** An event's place in the story: the thing that it begins, and the things that it follows from, nearest first. */
export interface Place {
  kind: EventKind
  /** The thing that this event brings into being, as others name it. */
  is?: string
  from: readonly string[]
  /** Other things that it rests on, but that did not lead to it. */
  beside?: readonly string[]
}

/** outcome → decision → credential → delegation → grant → approval → request. */
export function placeOf({ type, data }: Pick<DecodedEvent, 'type' | 'data'>): Place {
  const { kind, begins, from, beside } = eventRow(type) ?? { kind: 'finding' }
  const [is] = begins === undefined ? [] : thingsAt(data, [begins])
  return { kind, ...(is === undefined ? {} : { is }), from: thingsAt(data, from), beside: thingsAt(data, beside) }
}

/** Nothing follows from an event that lost its place: the thing with the same name is another writer's. */
export function effectOf({ event, void: isVoid }: Pick<TraceLeaf, 'event' | 'void'>): Place {
  const { is, ...place } = placeOf(event)
  return is === undefined || isVoid ? place : { ...place, is }
}

/** The grant that an event is under, for events whose actor holds it. Its moves to other keys show who held it at that time. */
export function grantHeldBy({ type, data }: Pick<DecodedEvent, 'type' | 'data'>): string | undefined {
  const at = eventRow(type)?.heldUnder
  return at && textAt(data, at)
}
