import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bus } from '@bailiwick/bus'
import { exampleEvent } from '@bailiwick/contracts/examples'
import { saltedHash, sha256 } from '@bailiwick/credentials'
import { parseBundle, tell, tellValues, verifyBundle } from '@bailiwick/verify'
import { expect, it, vi } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { type Lies, type Story, type Told, told } from '../trace/story.fixture.ts'

const words = 'OUR-AGENTS-WORDS'

const get = async (server: Running['operator'], url: string) => {
  const { statusCode, body } = await server.inject({ method: 'GET', url })
  return { status: statusCode, text: body, body: JSON.parse(body) }
}

/** Runs the test with a story whose words evidence has. */
function kept(use: (story: Story, ids: Told, evidence: Running, bus: Bus) => Promise<void>): Promise<void> {
  return told({}, async (story, ids, evidence, bus) => {
    await vi.waitFor(async () => expect(await stateOf(evidence, ids)).toBe('held'), { timeout: 20_000 })
    await use(story, ids, evidence, bus)
  })
}

async function stateOf({ operator }: Running, { request_id }: Told): Promise<string> {
  const { body } = await get(operator, `/v1/values/${request_id}`)
  return body.values.find(({ at }: { at: string }) => at === '/purpose')?.state
}

/** Every file of the data directory that holds these words. */
function holding(story: Story, text: string): string[] {
  return readdirSync(story.data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file).includes(text))
}

const erasure = (story: Story, about: string) => ({
  attachment_id: `att_${story.purposeHash}`,
  about,
  by: 'operator',
  reason: 'data_subject_request' as const,
})

it('withholds words unless they are asked for, and proves those that are revealed (V3, V17)', async () => {
  await kept(async (story, { decisions, request_id }, { operator, http }) => {
    const bundleOf = async (query: string) => (await get(operator, `/v1/bundle/${decisions[0]}${query}`)).text
    for (const query of ['', '?reveal=all&withhold=purpose', `?reveal=purpose&withhold=${story.purposeHash}`]) {
      const withheld = await bundleOf(query)
      expect(withheld).not.toContain(words)
      const report = await verifyBundle(parseBundle(Buffer.from(withheld)), { log: story.log })
      if (!report.ok) expect.fail(report.reason)
      expect(report.steps.flatMap(tellValues)).toEqual([
        '    purpose: withheld, or erased; the log has its salted hash',
        '    action/call: withheld, or erased; the log has its salted hash',
      ])
    }
    for (const name of ['all', 'purpose', story.purposeHash]) {
      const bundle = parseBundle(Buffer.from(await bundleOf(`?reveal=${name}`)))
      const report = await verifyBundle(bundle, { log: story.log })
      if (!report.ok) expect.fail(report.reason)
      expect(report.steps.flatMap((step) => [tell(step), ...tellValues(step)]).join('\n')).toContain(
        `and signed that with its own key (entry ${report.steps[0]?.leaf_index})\n    purpose, as it was written: "Reconcile, says ${words}"`,
      )
      for (const value of [
        { ...story.purpose, text: 'Pay Mallory' },
        { ...story.purpose, salt: Buffer.alloc(16).toString('base64url') },
        { ...story.purpose, salt: 'no salt of sixteen....' },
      ])
        for (const values of [[value], [story.purpose, value]])
          expect(await verifyBundle({ ...bundle, values }, { log: story.log })).toEqual({
            ok: false,
            reason: 'value_unproved',
          })
    }
    // The log is public, but the words are not.
    expect((await get(http, `/v1/trace/${request_id}`)).text).not.toContain(words)
    const { body: before } = await get(operator, `/v1/values/${decisions[0]}?causes=true`)
    expect(before.values.filter(({ at }: { at: string }) => at !== '/action/call')).toMatchObject([
      { type: 'request.received', at: '/purpose', state: 'held' },
    ])
    expect((await get(operator, `/v1/values/${decisions[0]}`)).body.values).toMatchObject([
      { type: 'decision.allowed', at: '/action/call', state: 'unkept' },
    ])
    // Users who are signed in at the console read traces too.
    expect((await get(operator, `/v1/trace/${request_id}`)).text).not.toContain(words)
    expect(await get(http, `/v1/values/${request_id}`)).toMatchObject({ status: 404 })
    expect(await get(http, `/v1/bundle/${decisions[0]}?reveal=all`)).toMatchObject({
      status: 403,
      body: { code: 'caller_forbidden' },
    })
    expect(await get(operator, `/v1/bundle/${decisions[0]}?reveal=reasons`)).toMatchObject({
      body: { code: 'request_malformed' },
    })
  })
})

it('shows no value that is not the one that its event committed to (V3)', async () => {
  await kept(async (story, ids, evidence) => {
    const file = join(story.at.evidence, 'values/attachments.approval.v1', story.purposeHash)
    const genuine = readFileSync(file)
    for (const swapped of [JSON.stringify({ ...story.purpose, text: 'Pay Mallory' }), '{}', 'no JSON', '']) {
      writeFileSync(file, swapped)
      expect(await stateOf(evidence, ids)).toBe('altered')
      const { text } = await get(evidence.operator, `/v1/values/${ids.request_id}`)
      expect(text).not.toContain('Mallory')
      expect(await get(evidence.operator, `/v1/bundle/${ids.decisions[0]}?reveal=all`)).toMatchObject({
        body: { code: 'value_altered' },
      })
    }
    writeFileSync(file, genuine)
    expect(await stateOf(evidence, ids)).toBe('held')
  })
})

it('erases at the word of the service that wrote it alone, everywhere, and every proof still holds (V14, V17)', async () => {
  await kept(async (story, ids, evidence, bus) => {
    const { request_id, decisions } = ids
    expect(holding(story, words).length).toBeGreaterThan(1)
    await using issuer = await story.participant(bus, 'issuer')
    await using pdp = await story.participant(bus, 'policy-decision')
    await using approval = await story.participant(bus, 'approval')
    const data = erasure(story, request_id)
    const erased = { type: 'attachment.erased' as const, subject: data.attachment_id, data }
    const erasedBy = (key: string) => ({ ...erased, key })
    // With another key, the bus itself removes nothing.
    await issuer.producer.publish('attachments.approval.v1', [erasedBy('issuer')])
    await pdp.producer.publish('attachments.approval.v1', [erasedBy('pdp')])
    await pdp.producer.publish('attachments.policy-decision.v1', [erased])
    const finding = await leafOf(evidence, 'value.erased')
    expect(finding.subject).toBe(`attachments.policy-decision.v1 ${data.attachment_id}`)
    expect(await stateOf(evidence, ids)).toBe('held')

    await approval.producer.publish('attachments.approval.v1', [erased])
    await vi.waitFor(async () => expect(await stateOf(evidence, ids)).toBe('erased'), { timeout: 20_000 })
    expect(holding(story, words)).toEqual([])
    expect(holding(story, story.purpose.salt)).toEqual([])
    const isApprovals = ({ subject }: Found) => subject.startsWith('attachments.approval.v1 ')
    const { event_id } = await leafOf(evidence, 'value.erased', isApprovals)
    const { body } = await get(evidence.operator, `/v1/events/${event_id}`)
    expect(JSON.parse(body.entry).data).toEqual({
      ...data,
      topic: 'attachments.approval.v1',
      salted_sha256: story.purposeHash,
    })

    // Sending the value again does not bring it back.
    await approval.producer.publish('attachments.approval.v1', [story.attachment(request_id)])
    await approval.producer.publish('attachments.approval.v1', [erased])
    const another = `att_${'A'.repeat(43)}`
    const behind = { ...erased, subject: another, data: { ...data, attachment_id: another } }
    await approval.producer.publish('attachments.approval.v1', [behind])
    await leafOf(evidence, 'value.erased', ({ subject }) => subject.endsWith(another))
    // The repeated erasure is not reported either: the next one follows it on the topic, and would be reported after it.
    const { body: told } = await get(evidence.operator, '/v1/events?type=value.erased')
    expect(told.events.filter(isApprovals)).toHaveLength(2)
    expect((await get(evidence.operator, `/v1/trace/${request_id}`)).body.verified).toBe(true)
    const { text, body: after } = await get(evidence.operator, `/v1/values/${request_id}`)
    expect(text).not.toContain(words)
    expect(after.values.filter(({ at }: { at: string }) => at === '/purpose')).toMatchObject([
      { state: 'erased', by: 'operator', reason: 'data_subject_request' },
    ])
    const bundle = await get(evidence.operator, `/v1/bundle/${decisions[0]}?reveal=all`)
    expect(await verifyBundle(parseBundle(Buffer.from(bundle.text)), { log: story.log })).toMatchObject({ ok: true })
    expect(await get(evidence.operator, `/v1/bundle/${decisions[0]}?reveal=purpose`)).toMatchObject({
      status: 410,
      body: { code: 'value_gone' },
    })
    const received = await leafOf(evidence, 'request.received')
    const receipt = await evidence.http.inject({ method: 'GET', url: `/log/proof/${received.event_id}` })
    expect(receipt.statusCode).toBe(200)
    expect((await story.verified()).entries.length).toBeGreaterThan(10)
    await vi.waitFor(() => expect(holding(story, words)).toEqual([]), { timeout: 20_000 })
  })
})

it('shows the words of one event as its own alone, though another event names it (V3)', async () => {
  await keptCall({}, async (story, ids, evidence, pdp) => {
    const received = await leafOf(evidence, 'request.received')
    const [, call] = story.calls
    const { data } = exampleEvent('decisions.v1', 'decision.allowed')
    const { action_digest: _, ...action } = Object(data).action
    const decision_id = `dec_${'7'.repeat(26)}`
    await pdp.publish('decisions.v1', [
      {
        ...{ type: 'decision.allowed', subject: decision_id, key: ids.grant_id, version: 99 },
        data: {
          ...(data as object),
          ...{ decision_id, action: { ...action, call: { salted_sha256: saltedHash(call) } }, call_kept: true },
          obligations: [{ id: received.event_id, type: 'custom', properties: { action: 'redact' } }],
        } as never,
      },
    ])
    await leafOf(evidence, 'decision.allowed', ({ subject }) => subject === decision_id)
    const { body } = await get(evidence.operator, `/v1/values/${received.event_id}`)
    expect(body.values).toMatchObject([{ event_id: received.event_id, at: '/purpose' }])
  })
})

interface Found {
  event_id: string
  subject: string
}

/** The first leaf of a type, once the log has it. */
function leafOf({ operator }: Running, type: string, fits: (event: Found) => boolean = () => true): Promise<Found> {
  return vi.waitFor(
    async () => {
      const { body } = await get(operator, `/v1/events?type=${type}`)
      return body.events.find(fits) ?? expect.fail(`no ${type} yet`)
    },
    { timeout: 20_000 },
  )
}

const customer = 'CUSTOMER-TWO'

/** Runs the test with a story whose second call the decision point handed over. */
function keptCall(
  lies: Lies,
  use: (story: Story, ids: Told, evidence: Running, pdp: Handing, bus: Bus) => Promise<void>,
) {
  return told(lies, async (story, ids, evidence, bus) => {
    await using pdp = await story.participant(bus, 'policy-decision')
    await pdp.producer.publish('attachments.policy-decision.v1', [story.callAttachment(ids.decisions[1] ?? '')])
    const state = lies.invoice === undefined ? 'held' : 'contradicted'
    await vi.waitFor(async () => expect(await callState(evidence, ids)).toBe(state), { timeout: 60_000 })
    await use(story, ids, evidence, pdp.producer, bus)
  })
}
type Handing = Awaited<ReturnType<Story['participant']>>['producer']

async function callState({ operator }: Running, { decisions }: Told): Promise<string> {
  const { body } = await get(operator, `/v1/values/${decisions[1]}`)
  return body.values[0]?.state
}

it('withholds a call with its arguments unless it is asked for, proves what is revealed, and erases it for good (V3, V14, V17)', async () => {
  await keptCall({}, async (story, ids, evidence, pdp, bus) => {
    const { operator } = evidence
    const [first, second] = ids.decisions
    const verified = async (query: string) => {
      const { text } = await get(operator, `/v1/bundle/${second}${query}`)
      return { text, report: await verifyBundle(parseBundle(Buffer.from(text)), { log: story.log }) }
    }
    const withheld = await verified('')
    expect(withheld.text).not.toContain(customer)
    const { text, report } = await verified('?reveal=call')
    if (!report.ok) expect.fail(report.reason)
    expect(report.steps.flatMap(tellValues)).toContain(
      `    action/call, as it was written: ${JSON.stringify(story.calls[1].text)}`,
    )
    expect(text).not.toContain(words)
    const bundle = parseBundle(Buffer.from(text))
    const [, call] = story.calls
    for (const value of [
      { ...call, text: call.text.replace('TWO', 'ONE') },
      { ...call, salt: story.calls[0].salt },
    ])
      expect(await verifyBundle({ ...bundle, values: [value] }, { log: story.log })).toEqual({
        ok: false,
        reason: 'value_unproved',
      })
    // A call that was not kept cannot be revealed, and the log holds nothing to guess it from.
    expect(await get(operator, `/v1/bundle/${first}?reveal=call`)).toMatchObject({ status: 410 })
    const entries = (await story.verified()).entries.join('\n')
    for (const { text: each, salt } of story.calls)
      for (const guessed of [each, salt, sha256(each)]) expect(entries).not.toContain(guessed)

    const attachment_id = `att_${saltedHash(call)}`
    const data = { attachment_id, about: second ?? '', by: 'operator', reason: 'personal_data' as const }
    await pdp.publish('attachments.policy-decision.v1', [{ type: 'attachment.erased', subject: attachment_id, data }])
    await vi.waitFor(async () => expect(await callState(evidence, ids)).toBe('erased'), { timeout: 60_000 })
    await vi.waitFor(() => expect(holding(story, customer)).toEqual([]), { timeout: 60_000 })
    expect(holding(story, call.salt)).toEqual([])
    expect(await get(operator, `/v1/bundle/${second}?reveal=call`)).toMatchObject({ body: { code: 'value_gone' } })
    expect((await get(operator, `/v1/trace/${second}`)).body.verified).toBe(true)
    expect((await verified('?reveal=all')).report).toMatchObject({ ok: true })
    // A bundle that was handed out earlier still verifies.
    expect(await verifyBundle(bundle, { log: story.log })).toMatchObject({ ok: true })

    // If another instance sends it again from its queue, it stays erased. A copy from another service does not restore it.
    await pdp.publish('attachments.policy-decision.v1', [story.callAttachment(second ?? '')])
    await using approval = await story.participant(bus, 'approval')
    const copy = { attachment_id, about: 'a copy', ...call, salted_sha256: saltedHash(call) ?? '' }
    const stored = { type: 'attachment.stored' as const, subject: attachment_id, data: copy }
    await approval.producer.publish('attachments.approval.v1', [stored])
    const folder = join(story.at.evidence, 'values')
    const isThere = () => readdirSync(join(folder, 'attachments.approval.v1')).includes(saltedHash(call) ?? '')
    await vi.waitFor(() => expect(isThere()).toBe(true), { timeout: 60_000 })
    expect(await callState(evidence, ids)).toBe('erased')
    expect(await get(operator, `/v1/bundle/${second}?reveal=call`)).toMatchObject({ body: { code: 'value_gone' } })
  })
})

it('does not tell of a call that is another one than its decision says, though it hashes (V3)', async () => {
  await keptCall({ invoice: 'INV-2' }, async (story, { decisions }, { operator }) => {
    for (const name of ['call', 'all'])
      expect(await get(operator, `/v1/bundle/${decisions[1]}?reveal=${name}`)).toMatchObject({
        body: { code: 'value_contradicted' },
      })
    const { text } = await get(operator, `/v1/bundle/${decisions[1]}`)
    const bundle = { ...parseBundle(Buffer.from(text)), values: [story.calls[1]] }
    expect(await verifyBundle(bundle, { log: story.log })).toMatchObject({
      ok: false,
      reason: 'value_contradicted',
    })
  })
})
