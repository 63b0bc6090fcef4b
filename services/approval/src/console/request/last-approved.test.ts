import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentOf, authority, aWorld, type World } from '../../approval.fixture.ts'
import { aPerson, type Person } from '../../browser.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld({ rule: { arguments: 'digest_only' } })
  olga = aPerson(world)
  await olga.enrol()
})
afterAll(() => world[Symbol.asyncDispose]())

async function asked(over: object, seconds = 3600, more: object = {}): Promise<string> {
  const agent = agentOf(world)
  const submitted = await agent.submit(
    agent.sign({ authority: { ...authority, ...over } as never, expires_in_seconds: seconds, ...more }),
  )
  expect(submitted.statusCode, submitted.body).toBe(202)
  return submitted.json().task.id
}
const lastOf = async (id: string) =>
  ((await olga.get(`/requests/${id}`)).body as { last_approved: object | null }).last_approved

it('compares a request with the statement that people last signed for its task, and offers what both allow (V3)', async () => {
  const first = await asked({ task: 'again' }, 1800)
  expect(await lastOf(first)).toBeNull()
  await olga.approve(first, { authority: { ...authority, task: 'again', budget: { calls: 5 } } })
  // Compares with the approved request, not with a later one that was denied.
  const between = await asked({ task: 'again', budget: { calls: 9 } })
  await olga.post(`/requests/${between}/deny`)
  const wider = await asked({ task: 'again', budget: { calls: 30 } })
  expect(await lastOf(wider)).toMatchObject({
    id: first,
    state: 'approved',
    by: ['olga'],
    narrowed: true,
    task: 'again',
    same_task: true,
    permissions: authority.permissions,
    lines: ['May do tools/call on tool invoices/read; at most 10 times'],
    once: false,
    relation: 'wider',
    added: ['At most 30 calls in all', 'Within 60 min'],
    removed: ['At most 5 calls in all', 'Within 30 min'],
    as_last_time: { authority: { ...authority, task: 'again', budget: { calls: 5 } }, minutes: 30 },
  })
  // The offer is a narrowing that the server takes.
  const { authority: offered } = ((await lastOf(wider)) as { as_last_time: { authority: object } }).as_last_time
  expect((await olga.approve(wider, { authority: offered as never })).body).toMatchObject({ grant: 'active' })
  const same = await asked({ task: 'again', budget: { calls: 4 } }, 1800)
  expect(await lastOf(same)).toMatchObject({ id: wider, relation: 'narrower', as_last_time: null })
})

it('else compares with the same tools under another task’s name, and says so', async () => {
  const [read] = authority.permissions
  const other = await asked({ task: 'other name', permissions: [{ ...read, max_uses: 99 }] })
  expect(await lastOf(other)).toMatchObject({
    same_task: false,
    task: 'again',
    relation: 'wider',
    as_last_time: { authority: { task: 'other name', permissions: [read] } },
  })
  const elsewhere = { ...read, resource: { type: 'tool', id: 'invoices/elsewhere' } }
  expect(await lastOf(await asked({ task: 'elsewhere', permissions: [elsewhere] }))).toBeNull()
})

it('writes the lines of one exact action as it writes their difference, so that each is found', async () => {
  const once = (digest: string) => ({ mode: 'per_action', action_digest: digest.repeat(43) })
  const [read] = authority.permissions
  const one = { task: 'one action', permissions: [read] }
  const first = await asked(one, 1800, once('A'))
  await olga.approve(first)
  const last = await lastOf(
    await asked(
      { ...one, permissions: [{ ...read, resource: { type: 'tool', id: 'invoices/other' } }] },
      1800,
      once('E'),
    ),
  )
  const line = 'May do tools/call on tool invoices/read; at most once'
  expect(last).toMatchObject({ id: first, once: true, lines: [line], removed: expect.arrayContaining([line]) })
  // Of an ask for a time, the difference does not say "once", and neither do the lines.
  expect(await lastOf(await asked(one, 1800))).toMatchObject({ id: first, once: false })
})
