/** A number of uses; each may be taken from any of the `homes` (indexes into the capacities). */
export interface UseDemand {
  readonly uses: number
  readonly homes: readonly number[]
}

interface Home {
  free: number
  readonly taken: Map<Demand, number>
}

interface Demand {
  readonly uses: number
  readonly homes: readonly Home[]
}

/** `demand` takes uses from `to`: for the first time, or in place of the home that the previous step needs. */
interface Step {
  readonly demand: Demand
  readonly to: Home
  readonly before: Step | undefined
}

/**
 * Whether all demands can be met at once without exceeding the capacity of any home. Returns the index of the first demand that cannot be
 * met, otherwise undefined. A maximum flow by shortest augmenting paths (Edmonds and Karp), so the answer depends neither on the order of
 * the homes nor on the order of the demands, and narrowing stays transitive.
 */
export function unplacedDemand(demands: readonly UseDemand[], capacities: readonly number[]): number | undefined {
  const homes = capacities.map((free): Home => ({ free, taken: new Map() }))
  for (const [index, demand] of demands.entries()) {
    const own = homes.filter((_, home) => demand.homes.includes(home))
    if (!place({ uses: demand.uses, homes: own })) return index
  }
  return undefined
}

function place(demand: Demand): boolean {
  for (let missing = demand.uses; missing > 0; ) {
    const last = pathToFreeHome(demand)
    if (last === undefined) return false
    const steps = stepsTo(last)
    const movable = steps.map(({ demand: mover, before }) => (before ? takenBy(mover, before.to) : missing))
    const amount = Math.min(last.to.free, ...movable)
    for (const { demand: mover, to, before } of steps) {
      to.taken.set(mover, takenBy(mover, to) + amount)
      before?.to.taken.set(mover, takenBy(mover, before.to) - amount)
    }
    last.to.free -= amount
    missing -= amount
  }
  return true
}

/** The last step of the shortest path that gives `demand` a use and ends at a home with spare capacity. */
function pathToFreeHome(demand: Demand): Step | undefined {
  const reached = new Set<Home>()
  const steps: Step[] = []
  const reach = (mover: Demand, before?: Step): void => {
    for (const to of mover.homes) {
      if (!reached.has(to)) steps.push({ demand: mover, to, before })
      reached.add(to)
    }
  }
  reach(demand)
  for (const step of steps) {
    if (step.to.free > 0) return step
    for (const [other, uses] of step.to.taken) if (uses > 0) reach(other, step)
  }
  return undefined
}

const stepsTo = (last: Step): Step[] => (last.before ? [...stepsTo(last.before), last] : [last])

const takenBy = (demand: Demand, home: Home): number => home.taken.get(demand) ?? 0
