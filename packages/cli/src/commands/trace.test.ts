import { emptyRoot, signCheckpoint } from '@bailiwick/tlog'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { logKey } from '../log.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const noteOf = (size: number, key = logKey()) =>
  signCheckpoint({ origin: 'log.example/cli', size, root: emptyRoot(), extensions: [] }, key)

const step = (over: object = {}) => ({
  kind: 'outcome',
  leaf_index: 41,
  event_id: 'evt_1',
  type: 'outcome.reported',
  time: '2026-11-24T18:00:00.000Z',
  subject: 'dec_1',
  verified: true,
  signed_by: ['invoices-api'],
  data: { a: 1 },
  steps: [] as object[],
  ...over,
})

async function trace(answer: object, ...more: string[]) {
  return traceWith([], answer, ...more)
}

async function traceWith(values: object[], answer: object, ...more: string[]) {
  using folder = temporaryFolder()
  installation(folder)
  const body = {
    id: 'dec_1',
    verified: true,
    truncated: false,
    steps: [],
    trees: [step()],
    size: 50,
    checkpoint: noteOf(50),
    ...answer,
  }
  await using operator = await operatorAt(folder.path, ({ path }) => ({
    body: path.startsWith('/v1/values/') ? { values } : body,
  }))
  const said = await bailiwick(['trace', 'spiffe://a/agent/b', '--data', folder.path, ...more])
  return { ...said, calls: operator.calls }
}

it('shows each step with its entry, who signed, and that it was verified', async () => {
  const { code, out, calls } = await trace({})
  expect(code).toBe(0)
  expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'GET /v1/trace/spiffe%3A%2F%2Fa%2Fagent%2Fb',
    'GET /v1/values/spiffe%3A%2F%2Fa%2Fagent%2Fb?causes=true',
  ])
  expect(out.split('\n')).toEqual([
    '2026-11-24T18:00:00.000Z  outcome    outcome.reported  dec_1',
    '    entry 41, evt_1: verified, signed by invoices-api',
    'SINGLE OPERATOR: one person’s passkey was enough for every approval here.',
    'All 1 steps verified',
    'in the log of 50 entries',
  ])
})

it('gives a machine all that was told, the data of each step included', async () => {
  const { out, err } = await trace({}, '--json')
  expect(err).toMatch(/^SINGLE OPERATOR: /)
  expect(JSON.parse(out)).toMatchObject({ verified: true, trees: [{ data: { a: 1 } }], steps: [] })
})

it.each([
  [
    'a step does not verify',
    { trees: [step({ steps: [step({ verified: false, problem: 'agent_unknown' })] })] },
    'NOT VERIFIED (agent_unknown)',
  ],
  ['the service says that not all do', { verified: false }, 'NOT all steps verified'],
  [
    'the log did not sign the checkpoint',
    { checkpoint: noteOf(50, logKey('log.example/cli', 2)) },
    'NOT signed by this log',
  ],
  ['a step stands outside of what the checkpoint commits to', { checkpoint: noteOf(41) }, 'NOT all steps verified'],
])('ends with 1 when %s', async (_, answer, message) => {
  const { code, out } = await trace(answer)
  expect(code).toBe(1)
  expect(out).toContain(message)
  expect(JSON.parse((await trace(answer, '--json')).out)).toMatchObject({ verified: false })
})

it.each([
  [{ trees: [] }, 'Nothing matches.'],
  [{ trees: [], truncated: true, next: '1_1' }, 'Nothing so far.'],
])('takes nothing for no proof', async (answer, said) => {
  const { code, out } = await trace(answer, '--type', 'decision')
  expect(code).toBe(1)
  expect(out.split('\n')).toContain(said)
  expect(out).not.toContain('verified')
  expect(JSON.parse((await trace(answer, '--json')).out)).toMatchObject({ verified: false })
})

it('shows what followed below what it followed from, and asks for no more than was wanted', async () => {
  const grant = step({ type: 'grant.created', kind: 'grant', steps: [step({ kind: 'decision', steps: [step()] })] })
  const { out, calls } = await trace(
    { trees: [grant] },
    '--type',
    'decision.denied',
    '--from',
    '2026-11-24',
    '--limit',
    '9',
  )
  expect(calls[0]?.path).toBe('/v1/trace/spiffe%3A%2F%2Fa%2Fagent%2Fb?type=decision.denied&from=2026-11-24&limit=9')
  expect(out.split('\n').map((line) => /^ */.exec(line)?.[0].length)).toEqual([0, 4, 2, 6, 4, 8, 0, 0, 0])
})

it('says of a denial what was denied and why', async () => {
  const data = { action: { resource: { type: 'tool', id: 'invoices/delete' } }, reason: 'action_not_granted' }
  expect((await trace({ trees: [step({ data })] })).out).toContain('dec_1  invoices/delete  action_not_granted')
  for (const data of [null, 'x', 7, { action: null, reason: {} }, { action: { resource: 'x' } }])
    expect((await trace({ trees: [step({ data })] })).code).toBe(0)
})

it('lets nothing that an event says act on the terminal', async () => {
  const { out } = await trace({ trees: [step({ subject: '\u001b[31mdec\u202e_1' })] })
  expect(out).toContain('\\u001b[31mdec\\u202e_1')
  expect(out.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
})

it('shows a person’s or an agent’s own words below the event, cut and in quotation marks, or says why it cannot', async () => {
  const value = (over: object) => ({ event_id: 'evt_1', at: '/purpose', state: 'held', ...over })
  const { out } = await traceWith(
    [
      value({ text: 'a "b"\n\u202e' }),
      value({ text: '€'.repeat(501) }),
      value({ at: '/reason', state: 'erased', erased_at: '2026-11-27', by: 'operator', reason: 'other' }),
      value({ state: 'absent' }),
      value({ state: 'altered' }),
      value({ at: '/action/call', state: 'contradicted' }),
      value({ event_id: 'evt_2', text: 'of another event' }),
    ],
    {},
  )
  expect(out.split('\n').slice(2, 8)).toEqual([
    '    purpose: "a \\"b\\"\\n\\u202e"',
    `    purpose: "${'€'.repeat(500)}" … (cut)`,
    '    reason: erased 2026-11-27 by operator (other)',
    '    purpose: not kept here',
    '    purpose: NOT SHOWN: what is kept is not what was committed to',
    '    action/call: NOT SHOWN: it is another call than the event says',
  ])
  expect(out).not.toContain('another event')
})

it('says when there is more', async () => {
  const { out } = await trace({ truncated: true, next: '17_4' })
  expect(out).toContain('There is more: these are the newest. Go on with --cursor 17_4')
})

it('says which entries a newer version wrote, and calls nothing verified that may be among them', async () => {
  const { out, code } = await trace({ verified: false, unread: [7, 9] })
  expect(out.split('\n')).toContain('NOT READ: a newer version wrote entries 7, 9')
  expect(out).toContain('NOT all steps verified')
  expect(code).toBe(1)
})

it('says that the log names no such thing', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const body = { code: 'entity_unknown', detail: 'the log names no such thing' }
  await using _ = await operatorAt(folder.path, () => ({ status: 404, body }))
  const said = await bailiwick(['trace', 'dec_2', '--data', folder.path])
  expect(said).toEqual({ code: 2, out: '', err: 'bailiwick: the log names no such thing (entity_unknown)' })
})
