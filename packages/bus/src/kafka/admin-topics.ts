/** A topic as it must be. `kafkaTopics()` of the contracts makes them. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic as the broker has it. */
export interface PresentTopic {
  readonly partitions: number
  /** The replication of the partition with the fewest copies. */
  readonly replication: number
  /** Every setting in force, including defaults; undefined if the broker does not let this user see them. */
  readonly settings: ReadonlyMap<string, Setting> | undefined
}

export interface Setting {
  readonly value: string
  /** Set on the topic itself, not taken from a default. */
  readonly own: boolean
}

/** A higher value of these is not a fault: settings for production also satisfy those for development. */
const minima: ReadonlySet<string> = new Set(['min.insync.replicas'])

/**
 * How a topic differs from its declaration, in words; empty if it does not. A setting that cannot be seen counts as wrong: a topic that
 * acknowledges with one copy, or elects a leader that missed writes, silently loses evidence and revocations (DESIGN §5).
 */
export function topicDifferences(spec: TopicSpec, present: PresentTopic | undefined): string[] {
  if (present === undefined) return [`${spec.name}: is missing, or this user may not see it`]
  const said: string[] = []
  const differs = (what: string, is: string | number, wanted: string | number) =>
    said.push(`${spec.name}: ${what} is ${is}, not ${wanted}`)
  if (present.partitions !== spec.partitions) differs('the number of partitions', present.partitions, spec.partitions)
  if (present.replication < spec.replication) differs('replication', present.replication, `${spec.replication} or more`)
  if (present.settings === undefined) {
    said.push(`${spec.name}: its settings cannot be seen: the user lacks DESCRIBE_CONFIGS`)
    return said
  }
  for (const [name, wanted] of Object.entries(spec.config)) {
    const is = present.settings.get(name)?.value
    if (!meets(name, is, wanted)) differs(name, is ?? 'absent', minima.has(name) ? `${wanted} or more` : wanted)
  }
  const insync = Number(present.settings.get('min.insync.replicas')?.value)
  if (insync > present.replication)
    said.push(`${spec.name}: min.insync.replicas is ${insync} of ${present.replication}: no service can write`)
  return said
}

/**
 * The settings to send so that the topic is as declared. Includes its own other settings, because the broker replaces all of them at once.
 */
export function settingsToAlter(
  { config }: TopicSpec,
  settings: ReadonlyMap<string, Setting>,
): Record<string, string> | undefined {
  const wrong = Object.entries(config).filter(([name, wanted]) => !meets(name, settings.get(name)?.value, wanted))
  if (wrong.length === 0) return undefined
  const own = [...settings].filter(([, { own }]) => own).map(([name, { value }]) => [name, value] as const)
  // A declared setting that is already met is kept as it is: a raised minimum stays raised.
  const met = Object.entries(config).map(([name, wanted]) => [name, settings.get(name)?.value ?? wanted] as const)
  return { ...Object.fromEntries(own), ...Object.fromEntries(met), ...Object.fromEntries(wrong) }
}

function meets(name: string, is: string | undefined, wanted: string): boolean {
  return minima.has(name) ? Number(is) >= Number(wanted) : is === wanted
}
