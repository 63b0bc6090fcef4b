import { setTimeout as wait } from 'node:timers/promises'
import { ServiceError } from '@bailiwick/errors'
import kafkajs, { type Admin } from 'kafkajs'
import { type AclDifferences, type AclRule, aclDifferences, aclLines, aclText } from './admin-acls.ts'
import { everyRule, fromResources, toEntry } from './admin-rules.ts'
import { type PresentTopic, type Setting, settingsToAlter, type TopicSpec, topicDifferences } from './admin-topics.ts'
import { kafkaClient } from './client.ts'
import type { KafkaConnection } from './connection.ts'

export interface TopicsApplied {
  readonly created: string[]
  readonly altered: string[]
  /** Remaining differences that only a person can resolve, such as the number of partitions. */
  readonly differences: string[]
}

export interface AclsApplied {
  readonly created: string[]
  readonly deleted: string[]
  /** Remaining differences. */
  readonly differences: string[]
}

/**
 * Creates and checks what the broker must have before a service runs (KAFKA.md rule 18). Every method rejects with
 * `bus_unavailable` if the broker does not answer, `caller_unauthenticated` if it refuses the user's password,
 * `caller_forbidden` if the user may not do this, and `config_invalid` if the broker has no access rules at all.
 */
export interface KafkaAdmin extends AsyncDisposable {
  /**
   * Creates missing topics, and corrects settings that differ. A topic's own other settings stay. Partitions are never added: that would
   * move keys to other partitions and break their order. Resolves when all changes are visible.
   */
  applyTopics(specs: readonly TopicSpec[]): Promise<TopicsApplied>
  /** How these topics differ from their declaration, in words; empty if they do not. */
  checkTopics(specs: readonly TopicSpec[]): Promise<string[]>
  /**
   * Creates missing rules. With `prune`, also deletes rules that are not declared and concern only these topics, groups and users. Wider
   * rules (`*`, a shorter prefix) are reported, never deleted.
   */
  applyAcls(rules: readonly AclRule[], options?: { prune?: boolean }): Promise<AclsApplied>
  /** How the broker's rules about these topics, groups and users differ from the declared ones, in words. Super users have no rules. */
  checkAcls(rules: readonly AclRule[]): Promise<string[]>
}

/** Connects at once. Needs a super user, or a user with ALTER, DESCRIBE and CREATE on the cluster. `checkTopics` needs DESCRIBE_CONFIGS. */
export async function kafkaAdmin(connection: KafkaConnection): Promise<KafkaAdmin> {
  // Every failure is thrown to the caller, so kafkajs's logs add nothing.
  const admin = kafkaClient(connection, () => {}).admin({ retry: RETRY })
  await asked('connect', () => admin.connect())
  return {
    applyTopics: (specs) => asked('change topics', () => applyTopics(admin, specs)),
    checkTopics: (specs) => asked('see topics', () => checkTopics(admin, specs)),
    applyAcls: (rules, options) => asked('change access rules', () => applyAcls(admin, rules, options)),
    checkAcls: (rules) => asked('see access rules', async () => aclLines(await differences(admin, rules))),
    [Symbol.asyncDispose]: () => admin.disconnect(),
  }
}

/**
 * Every service's check before it starts (DESIGN §5). Rejects with `config_invalid`, naming each difference, unless the
 * topics that it reads and writes are as declared. A setting that it may not see counts as different.
 */
export async function assertTopics(connection: KafkaConnection, specs: readonly TopicSpec[]): Promise<void> {
  await using admin = await kafkaAdmin(connection)
  // A broker that has just started may have no leaders yet.
  const said = await settled(
    () => admin.checkTopics(specs),
    () => true,
  )
  if (said.length === 0) return
  throw new ServiceError('config_invalid', `Kafka is not as declared:\n${said.map((line) => `  ${line}`).join('\n')}`)
}

async function applyTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<TopicsApplied> {
  const before = await presentTopics(admin, specs)
  const missing = specs.filter(({ name }) => !before.has(name))
  await createTopics(admin, missing)
  const altered: string[] = []
  for (const spec of specs) {
    const wanted = settingsToAlter(spec, before.get(spec.name)?.settings ?? new Map())
    if (!before.has(spec.name) || wanted === undefined) continue
    await alterTopic(admin, spec.name, wanted)
    altered.push(spec.name)
  }
  // A broker other than the one that made the change learns of it a moment later.
  const left = await settled(
    () => checkTopics(admin, specs),
    (said) => said.length === 0 || (missing.length === 0 && altered.length === 0),
  )
  return { created: missing.map(({ name }) => name), altered, differences: left }
}

async function checkTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<string[]> {
  const present = await presentTopics(admin, specs)
  return specs.flatMap((spec) => topicDifferences(spec, present.get(spec.name)))
}

async function createTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
  if (specs.length === 0) return
  // Leaders are awaited below. If kafkajs waits for them, it throws UNKNOWN_TOPIC_OR_PARTITION although the topic was made (KAFKA.md §8).
  await admin.createTopics({
    waitForLeaders: false,
    timeout: 10_000,
    topics: specs.map(({ name, partitions, replication, config }) => ({
      topic: name,
      numPartitions: partitions,
      replicationFactor: replication,
      configEntries: entries(config),
    })),
  })
  const names = specs.map(({ name }) => name)
  await settled(
    () => leaderless(admin, names),
    (left) => left.length === 0,
  )
}

/** The topics that cannot be written to yet. */
async function leaderless(admin: Admin, names: readonly string[]): Promise<string[]> {
  const topics = await allTopics(admin)
  const led = topics.filter(({ partitions }) => partitions.every(({ leader }) => leader >= 0)).map(({ name }) => name)
  return names.filter((name) => !led.includes(name))
}

async function alterTopic(admin: Admin, name: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name, configEntries: entries(settings) }
  await admin.alterConfigs({ validateOnly: false, resources: [resource] })
}

const entries = (config: Readonly<Record<string, string>>) =>
  Object.entries(config).map(([name, value]) => ({ name, value }))

/** Fetches all topics and then picks. Asked for a missing or hidden topic by name, kafkajs would use up all its retries. */
async function presentTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<Map<string, PresentTopic>> {
  const names = new Set(specs.map(({ name }) => name))
  const topics = await allTopics(admin)
  const present = new Map<string, PresentTopic>()
  for (const { name, partitions } of topics) {
    if (!names.has(name)) continue
    const replication = Math.min(...partitions.map(({ replicas }) => replicas.length))
    present.set(name, { partitions: partitions.length, replication, settings: await settingsOf(admin, name) })
  }
  return present
}

/** If a single topic has no leader yet, kafkajs turns the broker's answer about all topics into null, and then fails on it. */
export async function allTopics(admin: Pick<Admin, 'fetchTopicMetadata'>) {
  try {
    return (await admin.fetchTopicMetadata()).topics
  } catch (cause) {
    if (!(cause instanceof TypeError && cause.message.includes('topicMetadata'))) throw cause
    throw Object.assign(new Error('no broker told of its topics', { cause }), { type: 'LEADER_NOT_AVAILABLE' })
  }
}

/** Asks for one topic at a time: a topic that this user may not see would hide the others. */
async function settingsOf(admin: Admin, name: string): Promise<Map<string, Setting> | undefined> {
  const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name }]
  try {
    const answer = await admin.describeConfigs({ includeSynonyms: false, resources })
    const told = answer.resources.flatMap(({ configEntries }) => configEntries)
    const own = kafkajs.ConfigSource.TOPIC_CONFIG
    return new Map(told.map((one) => [one.configName, { value: one.configValue, own: one.configSource === own }]))
  } catch (error) {
    if (typesOf(error).includes('TOPIC_AUTHORIZATION_FAILED')) return undefined
    throw error
  }
}

async function applyAcls(
  admin: Admin,
  rules: readonly AclRule[],
  { prune = false }: { prune?: boolean } = {},
): Promise<AclsApplied> {
  const { missing, foreign } = await differences(admin, rules)
  const doomed = prune ? foreign : []
  if (missing.length > 0) await admin.createAcls({ acl: missing.map(toEntry) })
  if (doomed.length > 0) await admin.deleteAcls({ filters: doomed.map(toEntry) })
  const left = await settled(
    () => differences(admin, rules),
    (now) => now.missing.length === 0 && (!prune || now.foreign.length === 0),
  )
  return { created: missing.map(aclText), deleted: doomed.map(aclText), differences: aclLines(left) }
}

async function differences(admin: Admin, rules: readonly AclRule[]): Promise<AclDifferences> {
  const { resources } = await admin.describeAcls(everyRule)
  return aclDifferences(rules, fromResources(resources))
}

/** About 6 s: the caller is a person at a terminal, or a start that is retried as a whole. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 8 }

const TRIES = 100
const PAUSE_MS = 100

/**
 * Asks again until the answer is `good`, at most for 10 s: a change that one broker acknowledged becomes visible on others a little later.
 */
async function settled<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      const answer = await ask()
      if (good(answer) || tries === TRIES) return answer
    } catch (error) {
      if (tries === TRIES || !typesOf(error).some((type) => unsettled.has(type))) throw error
    }
    await wait(PAUSE_MS)
  }
}

const unsettled: ReadonlySet<string> = new Set(['LEADER_NOT_AVAILABLE', 'UNKNOWN_TOPIC_OR_PARTITION'])

async function asked<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    const types = typesOf(cause)
    const denied = types.find((type) => type.endsWith('_AUTHORIZATION_FAILED'))
    if (denied !== undefined)
      throw new ServiceError('caller_forbidden', `Kafka: may not ${what} (${denied})`, { cause })
    if (types.includes('KafkaJSSASLAuthenticationError'))
      throw new ServiceError('caller_unauthenticated', 'Kafka does not take this user and password', { cause })
    if (types.includes('SECURITY_DISABLED'))
      throw new ServiceError('config_invalid', 'Kafka: this broker has no authorizer: any client may do anything', {
        cause,
      })
    if (cause instanceof TypeError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ServiceError('bus_unavailable', `Kafka: could not ${what}: ${why}`, { cause })
  }
}

/** Kafka's and kafkajs's names of what went wrong, collected along causes and aggregated errors (KAFKA.md rule 8). */
function typesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const { type, errors } = error as { type?: unknown; errors?: unknown }
  return [
    ...(typeof type === 'string' ? [type] : []),
    error.name,
    ...typesOf(error.cause),
    ...(Array.isArray(errors) ? errors.flatMap(typesOf) : []),
  ]
}
