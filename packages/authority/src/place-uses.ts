/** So many uses, all of which may be taken from any of the `homes` (indexes into the capacities). */
export interface UseDemand {
  readonly uses: number
  readonly homes: readonly number[]
}

/**
 * Whether all demands can be met at once without taking more than its capacity from any home. Gives the index of the first
 * demand that cannot, else undefined. A maximum flow by shortest augmenting paths (Edmonds and Karp), so the answer depends
 * neither on the order of the homes nor on which demand came first, and narrowing stays transitive.
 */
export function unplacedDemand(demands: readonly UseDemand[], capacities: readonly number[]): number | undefined {
  const free = [...capacities]
  const placed = demands.map(() => capacities.map(() => 0))
  for (const [index, { uses }] of demands.entries()) {
    for (let missing = uses; missing > 0; ) {
      const moves = pathToFreeHome(demands, placed, free, index)
      const last = moves?.at(-1)
      if (moves === undefined || last === undefined) return index
      const movable = moves.map(({ demand, from }) => (from === undefined ? missing : at(placed, demand, from)))
      const amount = Math.min(free[last.to] ?? 0, ...movable)
      for (const { demand, from, to } of moves) {
        move(placed, demand, to, amount)
        if (from !== undefined) move(placed, demand, from, -amount)
      }
      free[last.to] = (free[last.to] ?? 0) - amount
      missing -= amount
    }
  }
  return undefined
}

/** One demand takes uses from `to` instead of `from`, or for the first time. */
interface Move {
  readonly demand: number
  readonly from: number | undefined
  readonly to: number
}

/** The shortest chain of moves that gives `demand` a use and ends in a home with one to spare. */
function pathToFreeHome(
  demands: readonly UseDemand[],
  placed: readonly number[][],
  free: readonly number[],
  demand: number,
): Move[] | undefined {
  const reached = new Set<number>()
  const paths: Move[][] = []
  const reach = (path: Move[], mover: number, from: number | undefined): void => {
    for (const to of demands[mover]?.homes ?? []) {
      if (!reached.has(to)) paths.push([...path, { demand: mover, from, to }])
      reached.add(to)
    }
  }
  reach([], demand, undefined)
  for (const path of paths) {
    const home = path.at(-1)?.to ?? 0
    if ((free[home] ?? 0) > 0) return path
    for (const other of demands.keys()) {
      if (at(placed, other, home) > 0) reach(path, other, home)
    }
  }
  return undefined
}

function at(placed: readonly number[][], demand: number, home: number): number {
  return placed[demand]?.[home] ?? 0
}

function move(placed: number[][], demand: number, home: number, amount: number): void {
  const row = placed[demand]
  if (row !== undefined) row[home] = at(placed, demand, home) + amount
}
