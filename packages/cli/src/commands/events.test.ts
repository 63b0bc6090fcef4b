import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const row = {
  leaf_index: 41,
  event_id: 'evt_1',
  type: 'decision.denied',
  time: '2026-11-24T18:00:00.000Z',
  subject: 'dec_1',
  agent: 'spiffe://a/agent/b/one',
  task: 'q3\u001b[2J',
  resource: 'invoices/pay',
  reason: 'budget_exhausted',
}

async function events(answer: { status?: number; body: unknown }, ...more: string[]) {
  using folder = temporaryFolder()
  installation(folder)
  await using operator = await operatorAt(folder.path, () => answer)
  const said = await bailiwick(['events', '--data', folder.path, ...more])
  return { ...said, paths: operator.calls.map(({ path }) => path) }
}

it('finds events by what is given, one a line, and nothing in them acts on the terminal', async () => {
  const found = await events(
    { body: { events: [row], next: '17_4' } },
    '--reason',
    'budget_exhausted',
    '--task',
    'q3 & q4',
  )
  expect(found.paths).toEqual(['/v1/events?reason=budget_exhausted&task=q3+%26+q4'])
  expect(found.out.split('\n')).toEqual([
    '2026-11-24T18:00:00.000Z  decision.denied       dec_1  budget_exhausted  invoices/pay  q3\\u001b[2J  spiffe://a/agent/b/one',
    'There is more. Go on with --cursor 17_4',
  ])
  expect(found.code).toBe(0)
})

it('says when nothing matches, and when it is not known yet', async () => {
  expect((await events({ body: { events: [] } })).out).toBe('Nothing matches.')
  expect((await events({ body: { events: [], next: '1_1' } })).out).toContain('There is more.')
})

it('says which entries it cannot read', async () => {
  expect((await events({ body: { events: [row], unread: [7, 9] } })).out).toContain(
    '\nNOT READ: a newer version wrote entries 7, 9',
  )
})

it('says what the service refused', async () => {
  const body = { code: 'request_malformed', detail: 'cursor: not a cursor' }
  const { code, err } = await events({ status: 400, body }, '--cursor', 'x')
  expect([code, err]).toEqual([2, 'bailiwick: cursor: not a cursor (request_malformed)'])
})

it.each(['abc', '', '0', '201', '1.5', '1e2', '0x10'])(
  'says what --limit takes, and sends no request for %j',
  async (limit) => {
    const { code, err, paths } = await events({ body: { events: [row] } }, '--limit', limit)
    expect(code).toBe(2)
    expect(err).toContain(`option '--limit <n>' argument '${limit}' is invalid. A whole number from 1 to 200.`)
    expect(paths).toEqual([])
  },
)
