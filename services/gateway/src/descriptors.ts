/** 1,000 agents with ten open streams each, and room for as many calls beside them. */
export const mostConnections = 16_384
/** Files, sockets to the decision point, and pipes to servers on standard input. */
const others = 256
const fewest = 64

/**
 * How many connections clients may hold, all together and those of one network. A call needs a second descriptor, for its server: without
 * this bound, clients that only open streams would use up the process's descriptors, and then no call could be decided any more (V18).
 */
export function connectionsWithin(openFiles: number): { maxConnections: number; maxConnectionsOfOne: number } {
  const maxConnections = Math.max(fewest, Math.min(mostConnections, Math.floor((openFiles - others) / 2)))
  return { maxConnections, maxConnectionsOfOne: Math.min(2048, Math.ceil(maxConnections / 2)) }
}

/** How many descriptors this process may have (`ulimit -n`; Node raises its own to the hard limit). Infinity where the system does not say. */
export function openFilesLimit(): number {
  // Without this, a report looks up the names of all peers. The types do not know it yet.
  Object.assign(process.report, { excludeNetwork: true })
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = report.userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}
