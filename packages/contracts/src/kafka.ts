import { maxEventBytes } from './envelope.ts'
import { type ServiceName, services, type Topic, type TopicName, topics, writersOf } from './topics.ts'

const dayMs = 24 * 60 * 60 * 1000

/**
 * Kafka limits the size of a record batch, not of a record. The adapter gathers up to 512 KiB of events for one request (measured: a larger
 * batch is refused as a whole). The event that closes a batch may have the largest event size, plus key and framing. With a lower limit, a
 * full batch would be refused for ever. With a much higher one, any writer could fill a broker with messages that no reader accepts.
 */
const maxBatchBytes = 512 * 1024 + 2 * (maxEventBytes + 1)

/** A topic in the form of `admin.createTopics`, under plain names. */
export interface KafkaTopic {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly config: Readonly<Record<string, string>>
}

const closedAfterMs = 10 * 60 * 1000

function cleanupOf({ cleanup }: Topic): Record<string, string> {
  // Only closed segments are deleted or compacted: without this limit, a quiet topic would keep data that must go.
  if (cleanup === 'compact')
    return {
      'cleanup.policy': 'compact',
      'retention.ms': '-1',
      // Every instance writes heads twice a second, and at start a service reads and verifies all that are left.
      'segment.ms': String(closedAfterMs),
      'max.compaction.lag.ms': String(closedAfterMs),
    }
  if (cleanup === 'for ever') return { 'cleanup.policy': 'delete', 'retention.ms': '-1' }
  return {
    'cleanup.policy': 'delete',
    'retention.ms': String(cleanup.retentionDays * dayMs),
    'segment.ms': String(dayMs),
  }
}

/**
 * Every topic as the broker must have it. `dev` (`BAILIWICK_DEV=1`) accepts a single broker: data that it acknowledged is lost with its
 * disk. Everything else stays the same.
 */
export const kafkaTopics = ({ dev = false }: { dev?: boolean } = {}): KafkaTopic[] =>
  topics.map((topic) => ({
    name: topic.name,
    partitions: topic.partitions,
    replication: dev ? 1 : 3,
    config: {
      ...cleanupOf(topic),
      // A size limit of the broker's own would delete evidence too early.
      'retention.bytes': '-1',
      'min.insync.replicas': dev ? '1' : '2',
      'unclean.leader.election.enable': 'false',
      'max.message.bytes': String(maxBatchBytes),
      // Makes the broker decompress what agents compress, and limits the real size: no reader needs a codec, or meets a decompression bomb.
      'compression.type': 'uncompressed',
      // With its own time, a writer could choose how long its messages are kept, and where `follow` starts.
      'message.timestamp.type': 'LogAppendTime',
    },
  }))

/** The names of the topics that a service reads or writes: it must find them as declared before it starts. */
export const topicsOf = (service: ServiceName): string[] =>
  topics
    .filter((topic) => topic.readers.includes(service) || writersOf(topic).includes(service))
    .map(({ name }) => name)

/** One rule of the broker's authoriser; everything without a rule is refused. Names are those of `org.apache.kafka.common.acl`. */
export interface KafkaAcl {
  readonly principal: string
  readonly host: '*'
  readonly permissionType: 'ALLOW'
  readonly operation: 'READ' | 'WRITE' | 'DESCRIBE_CONFIGS'
  readonly resourceType: 'TOPIC' | 'GROUP'
  readonly resourcePatternType: 'LITERAL' | 'PREFIXED'
  readonly resourceName: string
}

const allow = (
  principal: string,
  operation: KafkaAcl['operation'],
  resourceType: KafkaAcl['resourceType'],
  resourceName: string,
): KafkaAcl => ({
  principal: `User:${principal}`,
  host: '*',
  permissionType: 'ALLOW',
  operation,
  resourceType,
  resourcePatternType: resourceType === 'GROUP' ? 'PREFIXED' : 'LITERAL',
  resourceName,
})

/**
 * Topics that readers other than services may be allowed to read: what SIEMs, auditors and downstream systems consume, and the registry,
 * which certifies the keys that signed it. Attachments are not among them: erased values must not live on elsewhere.
 */
export const readerTopics: readonly TopicName[] = [
  'registry.v1',
  'decisions.v1',
  'evidence.v1',
  'checkpoints.v1',
  'findings.v1',
]

/**
 * Who may do what: services as the topics declare it, agents may only submit requests, and `readers` (users of other systems) may read.
 * READ and WRITE both imply DESCRIBE. DESCRIBE_CONFIGS lets a service check, before it starts, that the topics it relies on are kept as
 * declared (DESIGN §5). Throws `RangeError` for a reader whose consumer groups could be a service's: members of one group share its work,
 * so the reader would take messages away from the service.
 */
export const kafkaAcls = ({ readers = [] }: { readers?: readonly string[] } = {}): KafkaAcl[] => [
  ...services.flatMap((service) => [
    ...topics
      .filter((topic) => writersOf(topic).includes(service))
      .map(({ name }) => allow(service, 'WRITE', 'TOPIC', name)),
    ...topics
      .filter((topic) => topic.readers.includes(service))
      .map(({ name }) => allow(service, 'READ', 'TOPIC', name)),
    ...topicsOf(service).map((name) => allow(service, 'DESCRIBE_CONFIGS', 'TOPIC', name)),
    allow(service, 'READ', 'GROUP', service),
  ]),
  ...topics.filter((topic) => topic.writer === 'agents').map(({ name }) => allow('agents', 'WRITE', 'TOPIC', name)),
  ...readers.flatMap((reader) => {
    assertReaderName(reader)
    return [...readerTopics.map((name) => allow(reader, 'READ', 'TOPIC', name)), allow(reader, 'READ', 'GROUP', reader)]
  }),
]

function assertReaderName(reader: string): void {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(reader))
    throw new RangeError(`not a name of a Kafka user: ${JSON.stringify(reader)}`)
  const clash = [...services, 'agents'].find((ours) => ours.startsWith(reader) || reader.startsWith(ours))
  if (clash !== undefined) throw new RangeError(`the groups of a reader "${reader}" could be those of ${clash}`)
}
