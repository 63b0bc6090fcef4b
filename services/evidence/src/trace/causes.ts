import type { DecodedEvent } from '@bailiwick/contracts'
import { chainOf, type Holders, type Passing } from '@bailiwick/projection'
import { leewayMs } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'

export type EventOf<T extends DecodedEvent['type']> = Extract<DecodedEvent, { type: T }>

/** The nearest of a type that a step follows from. */
export function causeOf<T extends DecodedEvent['type']>(type: T, causes: readonly TraceLeaf[]): EventOf<T> | undefined {
  return causes.find(({ event }) => event.type === type)?.event as EventOf<T> | undefined
}

/**
 * From the agent of the grant to whoever a delegation was for (none: the agent itself), each link verified from what its maker signed (V5,
 * V6). More than one where the grant moved to another key about then, none where no chain holds. What a bundle cannot show
 * is not asked: how many others the same maker passed something on to.
 */
export function chainsAt(
  causes: readonly TraceLeaf[],
  { delegationId, at, installation }: { delegationId: string | undefined; at: number; installation: string },
): Holders[] {
  const redeemed = causes.flatMap(({ event }) => (event.type === 'delegation.redeemed' ? [event.data] : []))
  const delegations = new Map(redeemed.toReversed().map((data) => [data.delegation_id, data]))
  return grantsAt(causes, at).flatMap((held) => {
    const chain = chainOf({ ...held, id: held.grant.id, delegations }, delegationId, installation)
    return chain.ok ? [chain.holders] : []
  })
}

/** The grant as it may have been held then: what people signed, and whose key it was bound to. */
function grantsAt(causes: readonly TraceLeaf[], at: number): Omit<Passing, 'id' | 'delegations'>[] {
  const created = causeOf('grant.created', causes)?.data.grant
  if (created === undefined) return []
  const moves = causes
    .flatMap(({ event }) => (event.type === 'grant.rebound' && event.data.grant.id === created.id ? [event] : []))
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time))
  const held = [{ grant: { ...created }, heldBefore: [] as { agent: string; jkt: string }[], movedAt: 0 }]
  for (const { time, data } of moves) {
    const before = held.at(-1)
    if (before === undefined) continue
    const { agent, instance_key } = data.grant
    const heldBefore = [...before.heldBefore, { agent: before.grant.agent, jkt: before.grant.instance_key }]
    held.push({ grant: { ...created, agent, instance_key }, heldBefore, movedAt: Date.parse(time) })
  }
  return held.filter(
    ({ movedAt }, n) => movedAt <= at + leewayMs && (held[n + 1]?.movedAt ?? Number.POSITIVE_INFINITY) > at - leewayMs,
  )
}
