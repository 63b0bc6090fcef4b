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
  ...over,
})

async function trace(answer: object, ...more: string[]) {
  using folder = temporaryFolder()
  installation(folder)
  const body = {
    id: 'dec_1',
    verified: true,
    truncated: false,
    steps: [step()],
    trees: [],
    size: 50,
    checkpoint: noteOf(50),
    ...answer,
  }
  await using operator = await operatorAt(folder.path, () => ({ body }))
  const said = await bailiwick(['trace', 'spiffe://a/agent/b', '--data', folder.path, ...more])
  return { ...said, calls: operator.calls }
}

it('shows each step with its entry, who signed, and that it was verified', async () => {
  const { code, out, calls } = await trace({})
  expect(code).toBe(0)
  expect(calls).toEqual([{ method: 'GET', path: '/v1/trace/spiffe%3A%2F%2Fa%2Fagent%2Fb', body: undefined }])
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
  expect(JSON.parse(out)).toMatchObject({ verified: true, steps: [{ data: { a: 1 } }], trees: [] })
})

it.each([
  [
    'a step does not verify',
    { steps: [step({ verified: false, problem: 'agent_unknown' })] },
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

it('says when there is more', async () => {
  expect((await trace({ truncated: true })).out).toContain('There is more: these are the newest.')
})

it('says that the log names no such thing', async () => {
  using folder = temporaryFolder()
  installation(folder)
  const body = { code: 'entity_unknown', detail: 'the log names no such thing' }
  await using _ = await operatorAt(folder.path, () => ({ status: 404, body }))
  const said = await bailiwick(['trace', 'dec_2', '--data', folder.path])
  expect(said).toEqual({ code: 2, out: '', err: 'bailiwick: the log names no such thing (entity_unknown)' })
})
