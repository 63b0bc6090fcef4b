import type { Projection } from '@bailiwick/instance'

const windowMs = 3600 * 1000

/**
 * Enforcement points that got an ALLOW in the last hour without stating an instance, sorted. The list follows the log, so it covers all
 * decision points. Each such point must be one process.
 */
export function pointsWithoutInstance(
  { ledger }: { ledger: { decisions: Pick<Projection['ledger']['decisions'], 'trees'> } },
  now: number,
): string[] {
  const points = new Set<string>()
  for (const { allows } of ledger.decisions.trees.values())
    for (const { instance, at, enforcementPoint } of allows.values())
      if (instance === undefined && now - at < windowMs) points.add(enforcementPoint)
  return [...points].sort()
}
