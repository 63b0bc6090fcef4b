import { expect, it } from 'vitest'
import { type PresentTopic, type Setting, settingsToAlter, type TopicSpec, topicDifferences } from './admin-topics.ts'

const spec: TopicSpec = {
  name: 'grants.v1',
  partitions: 3,
  replication: 3,
  config: {
    'min.insync.replicas': '2',
    'unclean.leader.election.enable': 'false',
    'cleanup.policy': 'delete',
    'retention.ms': '2592000000',
    'message.timestamp.type': 'LogAppendTime',
  },
}
const setting = (value: string, own = true): Setting => ({ value, own })
const asDeclared: PresentTopic = {
  partitions: 3,
  replication: 3,
  settings: new Map(Object.entries(spec.config).map(([name, value]) => [name, setting(value)])),
}
const differing = (settings: Record<string, string>): PresentTopic => ({
  ...asDeclared,
  settings: new Map([
    ...(asDeclared.settings ?? []),
    ...Object.entries(settings).map(([name, value]) => [name, setting(value)] as const),
  ]),
})

it('finds nothing to say about a topic that is as declared', () => {
  expect(topicDifferences(spec, asDeclared)).toEqual([])
})

it.each<[string, PresentTopic | undefined, string]>([
  ['a missing topic', undefined, 'grants.v1: is missing, or this user may not see it'],
  ['fewer partitions', { ...asDeclared, partitions: 1 }, 'grants.v1: the number of partitions is 1, not 3'],
  ['more partitions', { ...asDeclared, partitions: 6 }, 'grants.v1: the number of partitions is 6, not 3'],
  ['too few copies', { ...asDeclared, replication: 2 }, 'grants.v1: replication is 2, not 3 or more'],
  [
    'acknowledging with one copy',
    differing({ 'min.insync.replicas': '1' }),
    'grants.v1: min.insync.replicas is 1, not 2 or more',
  ],
  [
    'leaders that missed writes',
    differing({ 'unclean.leader.election.enable': 'true' }),
    'grants.v1: unclean.leader.election.enable is true, not false',
  ],
  ['another cleanup', differing({ 'cleanup.policy': 'compact' }), 'grants.v1: cleanup.policy is compact, not delete'],
  ['another retention', differing({ 'retention.ms': '1000' }), 'grants.v1: retention.ms is 1000, not 2592000000'],
  [
    "the writer's times",
    differing({ 'message.timestamp.type': 'CreateTime' }),
    'grants.v1: message.timestamp.type is CreateTime, not LogAppendTime',
  ],
])('names %s', (_, present, line) => {
  expect(topicDifferences(spec, present)).toEqual([line])
})

it('counts settings that cannot be seen as wrong', () => {
  expect(topicDifferences(spec, { ...asDeclared, settings: undefined })).toEqual([
    'grants.v1: its settings cannot be seen: the user lacks DESCRIBE_CONFIGS',
  ])
  expect(topicDifferences(spec, { ...asDeclared, settings: new Map() })).toHaveLength(Object.keys(spec.config).length)
})

it("meets a development's declaration with a production's topic, and not the other way round", () => {
  const dev = { ...spec, replication: 1, config: { ...spec.config, 'min.insync.replicas': '1' } }
  expect(topicDifferences(dev, asDeclared)).toEqual([])
  const single = { ...differing({ 'min.insync.replicas': '1' }), replication: 1 }
  expect(topicDifferences(dev, single)).toEqual([])
  expect(topicDifferences(spec, single)).toHaveLength(2)
})

it('says that a topic which wants more copies in sync than it has takes no writes', () => {
  const single = { ...asDeclared, replication: 1 }
  expect(topicDifferences({ ...spec, replication: 1 }, single)).toEqual([
    'grants.v1: min.insync.replicas is 2 of 1: no service can write',
  ])
})

it('alters what differs, and keeps what else was set on the topic, since the broker takes settings as a whole', () => {
  expect(settingsToAlter(spec, asDeclared.settings ?? new Map())).toBeUndefined()
  const settings = new Map([
    ...(differing({ 'retention.ms': '1000', 'min.insync.replicas': '3' }).settings ?? []),
    ['compression.type', setting('zstd')],
    ['segment.bytes', setting('1073741824', false)],
  ])
  expect(settingsToAlter(spec, settings)).toEqual({
    ...spec.config,
    'min.insync.replicas': '3',
    'compression.type': 'zstd',
  })
})
