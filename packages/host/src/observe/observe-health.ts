import type { Health } from './health.ts'
import type { Metrics } from './metrics.ts'

/** Shows the health checks as metrics: `check_failing` has a series for each failing check, and `ready` sums them up. */
export function observeHealth(health: Pick<Health, 'readiness'>, metrics: Metrics): void {
  metrics.gauge('ready', 'Whether this process wants work: 1, or 0', [], (gauge) =>
    gauge.set(Object.keys(health.readiness()).length === 0 ? 1 : 0),
  )
  metrics.gauge('check_failing', 'A health check that fails: 1; absent while it passes', ['check'], (gauge) => {
    gauge.reset()
    for (const check of Object.keys(health.readiness())) gauge.set({ check }, 1)
  })
}
