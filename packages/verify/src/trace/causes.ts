import type { DecodedEvent } from '@bailiwick/contracts'
import { chainOf, type Holders, type Passing } from '@bailiwick/projection'
import { leewayMs } from './step-check.ts'
import type { TraceLeaf } from './trace-leaf.ts'

export type EventOf<T extends DecodedEvent['type']> = Extract<DecodedEvent, { type: T }>

/** The nearest event of a type that a step follows from. */
export function causeOf<T extends DecodedEvent['type']>(type: T, causes: readonly TraceLeaf[]): EventOf<T> | undefined {
  return causes.find(({ event }) => event.type === type)?.event as EventOf<T> | undefined
}

/**
 * The chains from the grant's agent to the agent that a delegation was for (without a delegation: the grant's agent itself). Each link is
 * verified from the signature of its maker (V5, V6). There are several if the grant moved to another key around that time, and none if no
 * chain is valid. It does not check to how many others the same maker passed something on: a bundle cannot show that.
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

/** The grant as it may have been held at that time: what the humans signed, and the key that it was bound to. */
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
