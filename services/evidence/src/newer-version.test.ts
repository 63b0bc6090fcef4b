import { readFileSync } from 'node:fs'
import type { Bus } from '@bailiwick/bus'
import { embeddedBus } from '@bailiwick/bus/embedded'
import { type DecodedEvent, leafAppended, type OcsfEvent, topicNamed } from '@bailiwick/contracts'
import { eventText, exampleEvent } from '@bailiwick/contracts/examples'
import { sha256 } from '@bailiwick/credentials'
import { systemClock } from '@bailiwick/kit'
import { parseSkey, type SignerKey } from '@bailiwick/tlog'
import { expect, it, vi } from 'vitest'
import { Installed } from './evidence.fixture.ts'
import { compiled, judgedByOcsf } from './feeds/ocsf/compiled.fixture.ts'
import { tellExample } from './feeds/ocsf/ocsf.fixture.ts'
import { unreadEvent } from './feeds/ocsf/tell-unread.ts'
import { diskLogStorage } from './log/disk/disk-log-storage.ts'
import { Log } from './log/log.ts'

const known = exampleEvent('decisions.v1', 'denials.summarised')
const schema = 'urn:bailiwick:schema:decisions.v1:decision.deferred'
const secret = 'WHAT-IT-SAYS'
/** Events as a newer version may write them: with a type, a topic, or a member that this version does not know. */
const newer = [
  eventText({ ...known, id: 'evt_NEWER_TYPE_1', type: 'decision.deferred', dataschema: schema, data: { secret } }),
  eventText({
    ...known,
    id: 'evt_NEWER_TOPIC_1',
    type: 'promise.given',
    dataschema: 'urn:bailiwick:schema:promises.v1:promise.given',
    data: { secret },
  }),
  eventText({ ...known, id: 'evt_NEWER_FORM_1', data: { ...Object(known.data), denials: secret } }),
].map((bytes) => Buffer.from(bytes))
const before = Buffer.from(eventText({ ...known, id: 'evt_BEFORE_THEM_1' }))
const behind = Buffer.from(eventText({ ...known, id: 'evt_BEHIND_THEM_1' }))
const ids = [before, ...newer, behind].map((bytes) => unreadEvent(bytes).id)

async function told(bus: Bus): Promise<OcsfEvent[]> {
  const events: OcsfEvent[] = []
  await using follower = await bus.follow(['evidence.v1'], 'start', async (batch) => {
    for (const { bytes } of batch)
      events.push((JSON.parse(Buffer.from(bytes).toString()) as DecodedEvent<'evidence.v1'>).data)
  })
  await follower.caughtUp
  return events
}

it('goes on behind leaves of a newer version, in every feed, and says that they are there (V2)', async () => {
  using installed = new Installed()
  {
    const key = parseSkey(readFileSync(installed.at.logKey, 'utf8').trim()) as SignerKey
    await using storage = await diskLogStorage({ log: installed.at.log, dir: installed.at.evidence })
    const log = await Log.open(storage, key, () => systemClock.now())
    await log.append([before, ...newer, behind], {})
  }
  await using bus = await embeddedBus({
    dir: installed.at.bus,
    partitions: (topic) => topicNamed(topic)?.partitions ?? 1,
    retentionMs: () => undefined,
    inMemory: (topic) => topic === 'heads.v1',
    now: () => systemClock.now(),
  })
  await using _issuer = await installed.registered(bus)
  await using evidence = await installed.evidence(bus)
  const events = await vi.waitFor(
    async () => {
      const events = await told(bus)
      expect(events.length).toBeGreaterThanOrEqual(ids.length)
      return events
    },
    { timeout: 60_000 },
  )
  expect(events.slice(0, ids.length).map(({ metadata }) => metadata.original_event_uid)).toEqual(ids)
  for (const event of events.slice(1, 1 + newer.length)) {
    expect(event).toMatchObject({ class_uid: 2004, severity_id: 3, message: expect.stringContaining('cannot read') })
    expect(JSON.stringify(event)).not.toContain(secret)
  }
  const get = async (url: string) => {
    const { statusCode, payload } = await evidence.operator.inject({ method: 'GET', url })
    return { statusCode, ...JSON.parse(payload) }
  }
  expect(await get(`/v1/events?type=${known.type}&limit=200`)).toMatchObject({ statusCode: 200, unread: [3] })
  // For this version, a type that it does not know is a mistake.
  expect(await get('/v1/events?type=promise.given')).toMatchObject({ statusCode: 400 })
  expect(await get(`/v1/trace/${ids[2]}`)).toMatchObject({ statusCode: 200, verified: false, unread: [2], steps: [] })
  const all = await get('/v1/events?limit=200')
  expect(all.events.map(({ event_id }: { event_id: string }) => event_id)).toEqual(
    expect.arrayContaining(['evt_BEFORE_THEM_1', 'evt_BEHIND_THEM_1']),
  )
  expect(new Set(all.unread)).toEqual(new Set([1, 2, 3]))
})

it.each(newer.map((bytes) => [unreadEvent(bytes).id, bytes] as const))('tells %s as OCSF demands (V2)', (_, bytes) => {
  const event = JSON.parse(JSON.stringify(tellExample('unknown', unreadEvent(bytes))))
  expect(leafAppended.safeParse(event).error?.issues ?? []).toEqual([])
  expect(event.metadata.event_code).toBe(unreadEvent(bytes).type)
  expect(event.bailiwick.log.leaf_hash).toHaveLength(sha256('').length)
  if (compiled !== undefined) expect(judgedByOcsf(event, compiled)).toEqual([])
})
