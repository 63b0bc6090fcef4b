import { expect, it } from 'vitest'
import { maxEventBytes } from './envelope.ts'
import { type KafkaAcl, kafkaAcls, kafkaTopics, readerTopics, topicsOf } from './kafka.ts'
import { services, topics } from './topics.ts'

const acls = kafkaAcls()
const may = (operation: KafkaAcl['operation'], topic: string) =>
  acls
    .filter((acl) => acl.resourceType === 'TOPIC' && acl.operation === operation && acl.resourceName === topic)
    .map(({ principal }) => principal)

it('lets only its writer write to a topic, and only its readers read it', () => {
  for (const topic of topics) {
    const writers = topic.writer === 'every service' ? services : [topic.writer]
    expect(may('WRITE', topic.name)).toEqual(writers.map((writer) => `User:${writer}`))
    expect(may('READ', topic.name).sort()).toEqual(topic.readers.map((reader) => `User:${reader}`).sort())
  }
})

it('lets agents ask and do nothing else', () => {
  expect(acls.filter(({ principal }) => principal === 'User:agents')).toEqual([
    expect.objectContaining({ operation: 'WRITE', resourceType: 'TOPIC', resourceName: 'access-requests.v1' }),
  ])
})

it('lets every service write heads, and evidence read every leaf', () => {
  expect(may('WRITE', 'heads.v1')).toEqual(services.map((service) => `User:${service}`))
  for (const { name, leaf } of topics) if (leaf) expect(may('READ', name)).toContain('User:evidence')
})

it('gives each service groups of its own: no prefix of one is the prefix of another', () => {
  const groups = acls.filter(({ resourceType }) => resourceType === 'GROUP')
  expect(groups.map(({ principal }) => principal)).toEqual(services.map((service) => `User:${service}`))
  for (const { principal, operation, resourcePatternType, resourceName } of groups) {
    expect({ principal, operation, resourcePatternType }).toEqual({
      principal: `User:${resourceName}`,
      operation: 'READ',
      resourcePatternType: 'PREFIXED',
    })
    expect(services.filter((service) => service.startsWith(resourceName))).toHaveLength(1)
  }
})

it('lets a service see the settings of what it reads or writes, and of nothing else', () => {
  for (const { name } of topics) {
    const involved = new Set([...may('READ', name), ...may('WRITE', name)].filter((who) => who !== 'User:agents'))
    expect(may('DESCRIBE_CONFIGS', name).sort()).toEqual([...involved].sort())
  }
  expect(topicsOf('issuer')).toContain('grants.v1')
  expect(topicsOf('issuer')).not.toContain('access-requests.v1')
})

it('lets a reader of others read what is meant for others, and nothing else', () => {
  const given = kafkaAcls({ readers: ['siem'] }).filter(({ principal }) => principal === 'User:siem')
  expect(given.filter(({ operation }) => operation !== 'READ')).toEqual([])
  expect(given.map(({ resourceType, resourceName }) => `${resourceType} ${resourceName}`)).toEqual([
    ...readerTopics.map((name) => `TOPIC ${name}`),
    'GROUP siem',
  ])
  for (const name of readerTopics) expect(name).not.toContain('attachments')
  expect(kafkaAcls({ readers: ['siem'] })).toHaveLength(acls.length + given.length)
})

it.each(['evidence', 'evidence-siem', 'evi', 'agents', '', '*', 'a b', 'User:siem'])(
  'refuses a reader whose name could get it into the groups of a service, or is none: %j',
  (reader) => {
    expect(() => kafkaAcls({ readers: [reader] })).toThrow(RangeError)
  },
)

it('names topics exactly: a pattern could match a topic that is made later', () => {
  for (const acl of acls.filter(({ resourceType }) => resourceType === 'TOPIC')) {
    expect(acl).toMatchObject({ resourcePatternType: 'LITERAL', permissionType: 'ALLOW' })
    expect(topics.map(({ name }) => name)).toContain(acl.resourceName)
  }
})

it('makes every topic durable, and wide enough for a full batch of the largest events', () => {
  expect(kafkaTopics().map(({ name }) => name)).toEqual(topics.map(({ name }) => name))
  for (const { replication, config } of kafkaTopics()) {
    expect({ replication, config }).toMatchObject({
      replication: 3,
      config: { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'false' },
    })
    expect(Number(config['max.message.bytes'])).toBeGreaterThan(512 * 1024 + maxEventBytes)
    expect(config['retention.bytes']).toBe('-1')
  }
})

it('asks one broker for no more than it can give, and for all else as in production', () => {
  const declared = kafkaTopics()
  for (const [at, { name, partitions, replication, config }] of kafkaTopics({ dev: true }).entries()) {
    expect({ replication, insync: config['min.insync.replicas'] }).toEqual({ replication: 1, insync: '1' })
    expect({ name, partitions, replication: 3, config: { ...config, 'min.insync.replicas': '2' } }).toEqual(
      declared[at],
    )
  }
})

it('keeps registry and revocations for ever, compacts only what is no evidence, and deletes the rest in time', () => {
  for (const { name, config } of kafkaTopics()) {
    const topic = topics.find((one) => one.name === name)
    if (name === 'registry.v1' || name === 'revocations.v1')
      expect(config).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': '-1' })
    else if (config['cleanup.policy'] === 'compact') {
      expect(topic?.leaf).toBe(false)
      expect(Number(config['segment.ms'])).toBeLessThanOrEqual(600_000)
    } else {
      expect(Number(config['retention.ms'])).toBeGreaterThanOrEqual(7 * 86_400_000)
      expect(Number(config['segment.ms'])).toBeLessThanOrEqual(86_400_000)
    }
  }
})
