/** A topic as it has to be: `kafkaTopics()` of the contracts gives them. */
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic as the broker has it. */
export interface PresentTopic {
  readonly partitions: number
  /** Of the partition that has the fewest copies. */
  readonly replication: number
  /** Every setting in force, defaults too; undefined where the broker does not let this user see them. */
  readonly settings: ReadonlyMap<string, Setting> | undefined
}

export interface Setting {
  readonly value: string
  /** Set on the topic itself, not taken from a default. */
  readonly own: boolean
}

/** More of these is no fault: a development's settings are met by a production's. */
const minima: ReadonlySet<string> = new Set(['min.insync.replicas'])

/**
 * What of a topic is not as declared, in words; empty when all is. A setting that cannot be seen counts as wrong: what
 * acknowledges with one copy, or elects a leader that missed writes, loses evidence and revocations without a word (DESIGN §5).
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
    said.push(`${spec.name}: min.insync.replicas is ${insync} of ${present.replication}: nobody can write`)
  return said
}

/** The settings that a topic must get so that it is as declared; its own others stay, since the broker takes them as a whole. */
export function settingsToAlter(
  { config }: TopicSpec,
  settings: ReadonlyMap<string, Setting>,
): Record<string, string> | undefined {
  const wrong = Object.entries(config).filter(([name, wanted]) => !meets(name, settings.get(name)?.value, wanted))
  if (wrong.length === 0) return undefined
  const own = [...settings].filter(([, { own }]) => own).map(([name, { value }]) => [name, value] as const)
  // What is declared but already met is kept as it is: raising of a minimum stays raised.
  const met = Object.entries(config).map(([name, wanted]) => [name, settings.get(name)?.value ?? wanted] as const)
  return { ...Object.fromEntries(own), ...Object.fromEntries(met), ...Object.fromEntries(wrong) }
}

function meets(name: string, is: string | undefined, wanted: string): boolean {
  return minima.has(name) ? Number(is) >= Number(wanted) : is === wanted
}
