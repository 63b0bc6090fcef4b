import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface MetricsOptions {
  /** Included in every sample as the label `service`. */
  service: string
  /**
   * Also collects the process's own figures (CPU, memory, event loop, garbage collection). Default: on. This starts timers that never
   * end, so use it once per process.
   */
  processMetrics?: boolean
}

/**
 * The metrics of one process. Each maker returns the existing metric when the name is taken, so that a module may ask for it
 * where it counts. Give names without the prefix `bailiwick_`, which is added. Labels name kinds, of which there are
 * few: never an id, a path with an id, or any text that a caller chose (V17, and memory).
 */
export interface Metrics {
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>
  /** `read` sets the value at each scrape, for values that are only true at the time of asking. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    read?: (gauge: Gauge<L>) => void,
  ): Gauge<L>
  /** In seconds; `buckets` are upper bounds, by default 0.5 ms to 10 s. */
  histogram<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    buckets?: readonly number[],
  ): Histogram<L>
  readonly contentType: string
  /** The Prometheus text exposition. */
  text(): Promise<string>
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** With a registry of its own: two services in one process do not share a metric. */
export function metrics({ service, processMetrics = true }: MetricsOptions): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  if (processMetrics) collectDefaultMetrics({ register: registry })

  // By name, because several services of one process may each know a part of one gauge.
  const readers = new Map<string, (() => void)[]>()
  const askAll = (name: string) => {
    for (const read of readers.get(name) ?? []) read()
  }

  function once<M>(name: string, make: (settings: { name: string; registers: Registry[] }) => M): M {
    const full = `bailiwick_${name}`
    // The name determines the kind. Two kinds under one name are a defect that the first scrape would show.
    return (registry.getSingleMetric(full) as M | undefined) ?? make({ name: full, registers: [registry] })
  }

  return {
    counter: (name, help, labels = []) => once(name, (s) => new Counter({ ...s, help, labelNames: [...labels] })),
    gauge: (name, help, labels = [], read) => {
      const gauge = once(name, (s) => new Gauge({ ...s, help, labelNames: [...labels], collect: () => askAll(name) }))
      if (read) readers.set(name, [...(readers.get(name) ?? []), () => read(gauge)])
      return gauge
    },
    histogram: (name, help, labels = [], buckets = SECONDS) =>
      once(name, (s) => new Histogram({ ...s, help, labelNames: [...labels], buckets: [...buckets] })),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  }
}
