import { leafHash, openTlogProof } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import type { Running } from '../evidence.fixture.ts'
import { told } from '../trace/story.fixture.ts'
import type { EventView } from './event-view.ts'

interface Found {
  events: EventView[]
  next?: string
  size: number
}

async function get<T>(evidence: Running, path: string, query: Record<string, string> = {}, status = 200): Promise<T> {
  const text = new URLSearchParams(query).toString()
  const answer = await evidence.http.inject({ method: 'GET', url: `${path}${text === '' ? '' : `?${text}`}` })
  expect([path, query, answer.statusCode]).toEqual([path, query, status])
  return answer.json() as T
}
const search = async (evidence: Running, query: Record<string, string>) =>
  (await get<Found>(evidence, '/v1/events', query)).events

const counted = (events: readonly EventView[]) =>
  Object.fromEntries([...Map.groupBy(events, ({ type }) => type)].map(([type, of]) => [type, of.length]))

it('finds events by agent, approver, task, resource, kind and time, and by all of them at once', async () => {
  await told({}, async (story, { task, instance, decisions, grant_id, request_id }, evidence) => {
    const whole = {
      'request.received': 1,
      'request.approved': 1,
      'grant.created': 1,
      'credential.intended': 2,
      'decision.allowed': 2,
      'outcome.reported': 2,
    }
    expect(counted(await search(evidence, { task }))).toEqual(whole)
    expect(counted(await search(evidence, { agent: instance }))).toEqual(whole)
    expect(counted(await search(evidence, { agent: story.agent.id }))).toMatchObject(whole)
    expect(counted(await search(evidence, { id: grant_id, type: 'outcome' }))).toEqual({ 'outcome.reported': 2 })
    expect(counted(await search(evidence, { id: request_id }))).toEqual(whole)
    // The approvals of an approver, and everything that followed from them; found by name, although assertions name passkeys.
    const { 'request.received': _, ...approved } = whole
    expect(counted(await search(evidence, { approver: 'fiona' }))).toMatchObject(approved)
    expect(counted(await search(evidence, { approver: 'fiona', type: 'decision', resource: 'invoices.read' }))).toEqual(
      {
        'decision.allowed': 2,
      },
    )
    expect(await search(evidence, { approver: 'unknown' })).toEqual([])
    expect(await search(evidence, { task, reason: 'budget_exhausted' })).toEqual([])
    expect(await search(evidence, { task, to: '2026-01-01T00:00:00Z' })).toEqual([])
    expect(counted(await search(evidence, { task, from: '2026-01-01T01:00:00+01:00' }))).toEqual(whole)
    const [outcome] = await search(evidence, { id: decisions[1] ?? '', type: 'outcome' })
    expect(outcome).toMatchObject({
      kind: 'outcome',
      agent: instance,
      task,
      resource: 'invoices.read',
      status: 'succeeded',
    })
  })
})

it('gives page after page, and treats a made-up cursor like any other position', async () => {
  await told({}, async (_story, { task }, evidence) => {
    const all = await search(evidence, { task })
    const paged: EventView[] = []
    let cursor: string | undefined
    do {
      const page: Found = await get(evidence, '/v1/events', { task, limit: '2', ...(cursor ? { cursor } : {}) })
      expect(page.events.length).toBeLessThanOrEqual(2)
      paged.push(...page.events)
      cursor = page.next
    } while (cursor !== undefined)
    expect(paged).toEqual(all)
    // A made-up cursor shows the leaves before it, and nothing that the log does not have.
    expect(await search(evidence, { task, cursor: '999999999999999_999999999999999' })).toEqual(all)
    expect(await search(evidence, { task, cursor: '0_0' })).toEqual([])
    for (const made of [
      '',
      '1',
      '_',
      '-1_0',
      '1_-1',
      '1e9_1',
      '1_1_1',
      '0x1_1',
      `${'9'.repeat(16)}_1`,
      '1_1\n',
      "1_1'",
    ])
      await get(evidence, '/v1/events', { task, cursor: made }, 400)
  })
})

it('pages through a trace, each page with what its steps followed from', async () => {
  await told({}, async (_story, { grant_id }, evidence) => {
    const path = `/v1/trace/${grant_id}`
    interface Story {
      steps: { event_id: string; type: string; verified: boolean }[]
      truncated: boolean
      next?: string
      verified: boolean
    }
    const whole = await get<Story>(evidence, path)
    expect(whole.truncated).toBe(false)
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const page: Story = await get(evidence, path, { limit: '1', ...(cursor ? { cursor } : {}) })
      expect(page.truncated).toBe(page.next !== undefined)
      expect(page.verified).toBe(true)
      expect(page.steps.at(-1)?.type).toBe('request.received')
      for (const { event_id } of page.steps) seen.add(event_id)
      cursor = page.next
    } while (cursor !== undefined)
    expect([...seen].toSorted()).toEqual(whole.steps.map(({ event_id }) => event_id).toSorted())
    const outcomes = await get<Story>(evidence, path, { type: 'outcome' })
    expect(outcomes.steps.map(({ type }) => type)).not.toContain('credential.issued')
    expect(outcomes.steps.filter(({ type }) => type === 'outcome.reported')).toHaveLength(2)
    expect((await get<Story>(evidence, path, { type: 'decision.denied' })).steps).toEqual([])
  })
})

it('refuses a search that it does not understand, whole, rather than to leave out a part of it', async () => {
  await told({}, async (_story, _ids, evidence) => {
    const refused: Record<string, string>[] = [
      { agnet: 'x' },
      { agent: '' },
      { agent: 'x'.repeat(2101) },
      { from: 'yesterday' },
      { to: '2026-13-01T00:00:00Z' },
      { from: '2026-02-02T00:00:00Z', to: '2026-01-01T00:00:00Z' },
      { type: 'decisoin' },
      { type: 'decision.' },
      { limit: '0' },
      { limit: '201' },
      { limit: '1.5' },
      { limit: 'all' },
    ]
    for (const query of refused) await get(evidence, '/v1/events', query, 400)
    const twice = await evidence.http.inject({ method: 'GET', url: '/v1/events?agent=a&agent=b' })
    expect(twice.statusCode).toBe(400)
    await get(evidence, '/v1/trace/x', { limit: '501' }, 400)
    const hour = '2026-01-01T00:00:00Z'
    await get(evidence, '/v1/activity', { from: hour, to: '2026-02-02T00:00:00Z' }, 400)
    await get(evidence, '/v1/activity', { from: '2026-02-02T00:00:00Z', to: hour }, 400)
  })
})

it('draws what agents were told, hour by hour', async () => {
  await told({}, async (story, _ids, evidence) => {
    const to = new Date()
    const from = new Date(to.getTime() - 3 * 3_600_000)
    const { hours, agents } = await get<{
      hours: number
      agents: { agent: string; allowed: number[]; denied: number[] }[]
    }>(evidence, '/v1/activity', { from: from.toISOString(), to: to.toISOString() })
    expect(hours).toBe(4)
    expect(agents.map(({ agent }) => agent)).toEqual([story.agent.id])
    const sum = (counts: number[] = []) => counts.reduce((total, count) => total + count, 0)
    expect([sum(agents[0]?.allowed), sum(agents[0]?.denied)]).toEqual([2, 0])
    expect(agents[0]?.allowed).toHaveLength(4)
  })
})

it('gives the exact bytes of a leaf with a receipt that holds for them alone (V14)', async () => {
  await told({}, async (story, { decisions }, evidence) => {
    const [{ event_id = '', leaf_index = -1 } = {}] = await search(evidence, { id: decisions[0] ?? '' })
    const { entry, receipt } = await get<{ entry: string; receipt: string }>(evidence, `/v1/events/${event_id}`)
    const { entries } = await story.verified()
    expect(entry).toBe(entries[leaf_index])
    const opened = openTlogProof(receipt, leafHash(Buffer.from(entry)), { log: story.log })
    expect(opened).toMatchObject({ ok: true, index: leaf_index })
    expect(openTlogProof(receipt, leafHash(Buffer.from(`${entry} `)), { log: story.log })).toMatchObject({ ok: false })
    await get(evidence, '/v1/events/evt_00000000000000000000000000', {}, 404)
    await get(evidence, '/v1/events/..%2Ftrace', {}, 400)
  })
})
