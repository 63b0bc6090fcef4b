import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, faultyBus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { type DecodedEvent, decodeEvent, topicNamed } from '@bailiwick/contracts'
import { systemClock } from '@bailiwick/kit'
import { leafHash } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { leafTopics } from '../ingest/topics.ts'
import { Story } from '../trace/story.fixture.ts'

const openBus = (story: Story): Promise<Bus> =>
  embeddedBus({
    dir: story.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })

type Appended = DecodedEvent<'evidence.v1'>

/** The events on evidence.v1, exactly as they are there. */
async function stream(bus: Bus): Promise<Appended[]> {
  const topic = topicNamed('evidence.v1') ?? expect.fail('no topic')
  const events: Appended[] = []
  await using follower = await bus.follow(['evidence.v1'], 'start', async (batch) => {
    for (const { bytes } of batch) {
      const decoded = decodeEvent(topic, bytes)
      if (!decoded.ok) return expect.fail(decoded.detail)
      events.push(decoded.event as Appended)
    }
  })
  await follower.caughtUp
  return events
}

/** Folds events as a reader does: keeps the first of each id. */
const folded = (events: readonly Appended[]) =>
  [...new Map(events.toReversed().map((event) => [event.id, event])).values()].reverse()

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await what()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits until the log has every event of the bus, and the stream the whole log. */
async function toldAll(bus: Bus, evidence: Running): Promise<Appended[]> {
  for (const topic of leafTopics) for (const id of await idsOn(bus, topic)) await evidence.integrated(id, 20_000)
  return until(async () => {
    const events = await stream(bus)
    return folded(events).length >= evidence.size() ? events : undefined
  })
}

it('tells each leaf once, in the order of the log, with who let it happen (V2)', async () => {
  using story = new Story()
  await using bus = await openBus(story)
  const ids = await story.tell(bus)
  await using evidence = await story.evidence(bus)
  for (const decision of ids.decisions) expect(decision).toBeDefined()
  const events = await toldAll(bus, evidence)
  const { entries } = await story.verified()
  expect(events.map(({ data }) => data.bailiwick.log.index)).toEqual(events.map((_, n) => n))
  for (const [n, { data, id, subject, partitionkey }] of events.entries()) {
    const hash = Buffer.from(leafHash(Buffer.from(entries[n] ?? ''))).toString('base64url')
    expect([id, data.metadata.uid, data.bailiwick.log.leaf_hash]).toEqual([`evt_${hash}`, `evt_${hash}`, hash])
    expect([subject, partitionkey]).toEqual([String(n), String(n)])
    expect(data.bailiwick.log.checkpoint.size).toBeGreaterThan(n)
  }
  const decided = events.filter(({ data }) => data.bailiwick.decision_id !== undefined)
  expect(decided).toHaveLength(4)
  for (const { data } of decided)
    expect(data.bailiwick).toMatchObject({
      approvers: ['fiona'],
      agent: ids.instance,
      owner: story.agent.owner,
      task: ids.task,
      request_id: ids.request_id,
      grant_id: ids.grant_id,
      lineage: [{ agent: ids.instance, grant_id: ids.grant_id }],
    })
  expect(decided.map(({ data }) => data.bailiwick.outcome ?? data.bailiwick.decision)).toEqual(
    expect.arrayContaining(['ALLOW', 'succeeded']),
  )
})

it('names no person whose assertion does not hold (V3)', async () => {
  using story = new Story()
  await using bus = await openBus(story)
  await story.tell(bus, {
    assertion: (assertion) => ({ ...assertion, signature: Buffer.alloc(70, 1).toString('base64url') }),
  })
  await using evidence = await story.evidence(bus)
  const events = await toldAll(bus, evidence)
  const allowed = events.filter(({ data }) => data.bailiwick.decision === 'ALLOW')
  expect(allowed.length).toBeGreaterThan(0)
  for (const { data } of allowed) {
    expect(data.bailiwick.approvers).toEqual([])
    expect(data.bailiwick.approval_problem).toEqual(expect.stringMatching(/^[a-z_]+$/))
  }
})

it('waits for the grant of a decision that came into the log before it', async () => {
  using story = new Story()
  const real = await openBus(story)
  await using bus = faultyBus(real, () => undefined)
  const ids = await story.tell(bus)
  bus.hold('grants.v1')
  await using evidence = await story.evidence(bus)
  await evidence.integrated((await idsOn(real, 'decisions.v1'))[0] ?? '', 20_000)
  bus.release('grants.v1')
  await evidence.integrated((await idsOn(real, 'grants.v1'))[0] ?? '', 20_000)
  const events = await toldAll(real, evidence)
  const told = events.find(({ data }) => data.bailiwick.decision_id === ids.decisions[0])
  const granted = events.find(({ data }) => data.metadata.event_code === 'grant.created')
  expect(told?.data.bailiwick.log.index).toBeLessThan(granted?.data.bailiwick.log.index ?? 0)
  expect(told?.data.bailiwick).toMatchObject({ approvers: ['fiona'], grant_id: ids.grant_id })
})

async function idsOn(bus: Bus, topic: string): Promise<string[]> {
  const ids: string[] = []
  await using follower = await bus.follow([topic], 'start', async (batch) => {
    for (const { bytes } of batch) ids.push((JSON.parse(Buffer.from(bytes).toString()) as { id: string }).id)
  })
  await follower.caughtUp
  return ids
}

it('resumes at its position after a restart, and repeats events under the same ids if the position is lost', async () => {
  using story = new Story()
  await using bus = await openBus(story)
  await story.tell(bus)
  const position = join(story.at.evidence, 'feeds/evidence.v1.json')
  const run = async () => {
    await using evidence = await story.evidence(bus)
    return await toldAll(bus, evidence)
  }
  const first = await run()
  expect(JSON.parse(readFileSync(position, 'utf8'))).toMatchObject({ v: 1, next: first.length, dropped: [] })
  const second = await run()
  expect(folded(second).map(({ id }) => id)).toEqual(second.map(({ id }) => id))
  const whole = readFileSync(position, 'utf8')
  const spoilt: (() => void)[] = [
    () => writeFileSync(position, whole.slice(0, whole.length / 2)),
    () => writeFileSync(position, ''),
    () => writeFileSync(position, whole.replace(/"next":\d+/, '"next":99999999')),
    () => writeFileSync(position, whole.replace(/"origin":"/, '"origin":"another.')),
    () => rmSync(position),
  ]
  for (const spoil of spoilt) {
    spoil()
    const before = (await stream(bus)).length
    await using evidence = await story.evidence(bus)
    const events = await until(async () => {
      const now = await stream(bus)
      return now.length >= before + evidence.size() ? now : undefined
    })
    expect(folded(events).map(({ data }) => data.metadata.sequence)).toEqual(folded(events).map((_, n) => n))
    const again = events.slice(-evidence.size())
    expect(again.map(({ id }) => id)).toEqual(folded(events).map(({ id }) => id))
  }
}, 20_000)

it('does not hold the log up while the bus takes nothing of it, and loses nothing (V2)', async () => {
  using story = new Story()
  const real = await openBus(story)
  let broken = true
  await using bus = faultyBus(real, ({ method, topic }) =>
    method === 'publish' && topic === 'evidence.v1' && broken ? 'before' : undefined,
  )
  await story.tell(bus)
  await using evidence = await story.evidence(bus)
  for (const id of await idsOn(real, 'decisions.v1')) await evidence.integrated(id, 20_000)
  expect(await stream(real)).toEqual([])
  broken = false
  const events = await toldAll(real, evidence)
  expect(events.map(({ data }) => data.metadata.sequence)).toEqual(events.map((_, n) => n))
}, 20_000)
