import { testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const clock = testClock(Date.parse('2026-11-24T18:00:00.000Z'))
const request = (id: string, state: string, expires_at = '2026-11-24T19:00:00.000Z') => ({
  id,
  state,
  kind: 'access',
  from: 'spiffe://bailiwick.local/agent/reconciler/i1',
  about: 'month end',
  mode: 'per_action',
  received_at: '2026-11-24T17:59:00.000Z',
  expires_at,
  endorsements: 1,
})
const requests = [
  request('req_open', 'pending'),
  request('req_late', 'pending', '2026-11-24T18:00:00.000Z'),
  request('req_done', 'approved'),
]

it('lists what can still be answered, and all of them when asked', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ body: { requests } }))
  const open = await bailiwick(['requests', '--data', folder.path], { clock })
  expect(open.code).toBe(0)
  expect(open.out.split('\n')).toEqual([
    'req_open  pending, 1 signed',
    '  access for spiffe://bailiwick.local/agent/reconciler/i1: "month end" (per_action)',
    '  received 2026-11-24T17:59:00.000Z, to be answered by 2026-11-24T19:00:00.000Z',
  ])
  const all = await bailiwick(['requests', '--all', '--json', '--data', folder.path], { clock })
  expect(JSON.parse(all.out)).toEqual(requests)
})

it('says loudly who may answer alone, in words beside the JSON', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ body: { requests, single_operator: true, recoveries: [] } }))
  for (const more of [[], ['--json']]) {
    const { out, err } = await bailiwick(['requests', ...more, '--data', folder.path], { clock })
    expect(err).toMatch(/^SINGLE OPERATOR: /)
    expect(out).not.toContain('SINGLE OPERATOR')
  }
})

it('says that nothing waits', async () => {
  using folder = temporaryFolder()
  await using _ = await operatorAt(folder.path, () => ({ body: { requests: [] } }))
  expect(await bailiwick(['requests', '--data', folder.path])).toMatchObject({
    code: 0,
    out: 'Nothing waits for an approver.',
  })
})

it('lets no name in a request act on the terminal', async () => {
  using folder = temporaryFolder()
  const name = 'olga\u001b]0;owned\u0007\nreq_2  approved'
  const hostile = { ...request('req_1', 'pending'), from: name, about: `${name}\u202e` }
  await using _ = await operatorAt(folder.path, () => ({ body: { requests: [hostile] } }))
  const { out } = await bailiwick(['requests', '--data', folder.path], { clock })
  expect(out).toContain('olga\\u001b]0;owned\\u0007\\u000areq_2')
  expect(out).toMatch(/^[ -~\n]+$/)
  expect(out.split('\n')).toHaveLength(3)
})

it('prints JSON in which a name means what it is, and shows nothing else', async () => {
  using folder = temporaryFolder()
  const hostile = { ...request('req_1', 'pending'), from: 'olga\u202e\u200b\u{e0041}\u3164"' }
  await using _ = await operatorAt(folder.path, () => ({ body: { requests: [hostile] } }))
  const { out } = await bailiwick(['requests', '--json', '--data', folder.path], { clock })
  expect(out).toMatch(/^[ -~\n]+$/)
  expect(JSON.parse(out)).toEqual([hostile])
})
