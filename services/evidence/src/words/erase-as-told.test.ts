import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { ServiceError } from '@bailiwick/errors'
import type { Participant } from '@bailiwick/instance'
import { expect, it, vi } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { attachmentTopics } from '../ingest/topics.ts'
import { type Story, type Told, told } from '../trace/story.fixture.ts'
import { eraseAsTold } from './erase-as-told.ts'
import { ValueStore } from './value-store.ts'

const words = 'OUR-AGENTS-WORDS'
const patience = { timeout: 60_000 }

async function stateOf({ operator }: Running, { request_id }: Told): Promise<string> {
  const { payload } = await operator.inject({ method: 'GET', url: `/v1/values/${request_id}` })
  return JSON.parse(payload).values.find(({ at }: { at: string }) => at === '/purpose')?.state
}

const fileOf = (story: Story) => join(story.at.evidence, 'values/attachments.approval.v1', story.purposeHash)

/** The bus once its findings are gone: it keeps them for 30 days. A reader that follows findings for its own place still gets them. */
const forgetful = (bus: Bus): Bus => ({
  publish: (topic, events) => bus.publish(topic, events),
  ends: (topic) => bus.ends(topic),
  consume: (topics, group, handler) => bus.consume(topics, group, handler),
  follow: (topics, since, handler) =>
    bus.follow(topics, since, (batch) => handler(topics.length === 1 && topics[0] === 'findings.v1' ? [] : batch)),
  [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
})

/** Erases the agent's words, and resolves once the log says so. */
async function erased(story: Story, ids: Told, evidence: Running, bus: Bus): Promise<void> {
  await using approval = await story.participant(bus, 'approval')
  const attachment_id = `att_${story.purposeHash}`
  const data = { attachment_id, about: ids.request_id, by: 'operator', reason: 'personal_data' as const }
  await approval.producer.publish('attachments.approval.v1', [
    { type: 'attachment.erased', subject: attachment_id, data },
  ])
  await vi.waitFor(async () => {
    const url = '/v1/events?type=value.erased'
    const { payload } = await evidence.operator.inject({ method: 'GET', url })
    expect(JSON.parse(payload).events).toHaveLength(1)
  }, patience)
  expect(await stateOf(evidence, ids)).toBe('erased')
}

it('what the log says was erased stays so where an older copy of the words is put beside it (V17)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    await vi.waitFor(async () => expect(await stateOf(evidence, ids)).toBe('held'), patience)
    const older = readFileSync(fileOf(story))
    expect(older.toString()).toContain(words)
    await erased(story, ids, evidence, bus)
    await evidence[Symbol.asyncDispose]()
    writeFileSync(fileOf(story), older)
    await using again = await story.evidence(forgetful(bus))
    expect(await stateOf(again, ids)).toBe('erased')
    expect(readFileSync(fileOf(story), 'utf8')).not.toContain(words)
    expect(JSON.parse(readFileSync(fileOf(story), 'utf8'))).toMatchObject({ by: 'operator', reason: 'personal_data' })
  })
})

/** A participant that has not read the key of a finding for its first `tries`: each time it waited to the deadline. */
function starved({ keyRing, projection, ...participant }: Participant, tries: number): Participant {
  let left = tries
  const verifyEvent: typeof keyRing.verifyEvent = (...event) =>
    left-- > 0 ? { ok: false, code: 'key_unknown', detail: 'not read yet' } : keyRing.verifyEvent(...event)
  const waitFor = () => Promise.reject(new ServiceError('deadline_exceeded'))
  return { ...participant, keyRing: { verifyEvent }, projection: { waitFor } } as unknown as Participant
}

it('an older folder of evidence erases what its bus says was erased since, however late it reads the keys (V17)', async () => {
  await told({}, async (story, ids, evidence, bus) => {
    await vi.waitFor(async () => expect(await stateOf(evidence, ids)).toBe('held'), patience)
    await evidence[Symbol.asyncDispose]()
    const backup = join(story.data, 'older')
    cpSync(story.at.evidence, backup, { recursive: true })
    {
      await using newer = await story.evidence(bus)
      await erased(story, ids, newer, bus)
    }
    rmSync(story.at.evidence, { recursive: true })
    cpSync(backup, story.at.evidence, { recursive: true })
    expect(readFileSync(fileOf(story), 'utf8')).toContain(words)
    // The log would not start. If an administrator of the bus lets it start, this continues after the start.
    const values = await ValueStore.open(join(story.at.evidence, 'values'), attachmentTopics)
    await using participant = await story.participant(bus, 'approval')
    await using _erasing = await eraseAsTold({
      bus,
      participant: starved(participant, 20),
      values,
      onFatal: (error) => expect.fail(String(error)),
    })
    await vi.waitFor(() => expect(readFileSync(fileOf(story), 'utf8')).not.toContain(words), patience)
    expect(JSON.parse(readFileSync(fileOf(story), 'utf8'))).toMatchObject({ by: 'operator', reason: 'personal_data' })
  })
})
