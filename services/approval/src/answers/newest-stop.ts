import { agentIdOf } from '@bailiwick/contracts'
import type { Revocation } from '@bailiwick/projection'
import type { Approval } from '../context.ts'

/** The newest stop of this agent (or of this instance of it), or of every agent. */
export function newestStop({ projection }: Approval, agent: string): Revocation | undefined {
  const { revocations } = projection.ledger
  const found = [
    revocations.find('all', '*'),
    ...[...new Set([agent, agentIdOf(agent)])].map((id) => revocations.find('agent', id)),
  ]
  return found.reduce((newest, each) => (each && each.version > (newest?.version ?? 0) ? each : newest), undefined)
}

/** The stop of an agent that came after this time (ms since the epoch). */
export function stoppedSince(approval: Approval, agent: string, ms: number) {
  const stop = newestStop(approval, agent)
  return stop !== undefined && (stop.declaredAt ?? 0) > ms ? stopView(stop) : null
}

export const stopView = ({ declaredAt, by, version }: Revocation) => ({
  at: new Date(declaredAt ?? 0).toISOString(),
  by: by.id,
  sequence: version,
})
