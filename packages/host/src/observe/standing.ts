import type { Health } from './health.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** The state of one instance among those of its service, as `projection` reports it. */
export type Standing = { active: true; succeeds: string | undefined } | { active: false; reason: string }

/**
 * Shows whether this instance is the active one of its service: by the gauge `active`, and in its log. Returns the function to call on each
 * change, and `gate`, which closes the process's servers while `standby` gives a reason not to answer.
 */
export function showStanding(
  service: string,
  { health, metrics, logger }: { health: Health; metrics: Metrics; logger: Logger },
): { onStanding: (standing: Standing) => void; gate: (standby: () => string | undefined) => void } {
  const active = metrics.gauge('active', 'Whether this instance is the one of its role that acts: 1, or stands by: 0', [
    'role',
  ])
  active.set({ role: service }, 0)
  return {
    onStanding(standing) {
      active.set({ role: service }, standing.active ? 1 : 0)
      if (!standing.active) logger.warn({ role: service, reason: standing.reason }, 'stands by')
      else if (standing.succeeds === undefined) logger.info({ role: service }, 'active')
      else logger.warn({ role: service, succeeds: standing.succeeds }, 'active: it took over')
    },
    gate(standby) {
      health.check(`${service}-active`, standby, { gate: true })
    },
  }
}
