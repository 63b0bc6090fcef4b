import { writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { installation } from '../installation.fixture.ts'
import { bailiwick, temporaryFolder } from '../io.fixture.ts'
import { operatorAt } from '../operator.fixture.ts'

const hash = (letter: string) => letter.repeat(43)
const value = (salted_sha256: string, over: object = {}) => ({
  leaf_index: 7,
  event_id: 'evt_1',
  type: 'request.received',
  time: '2026-11-27T08:00:00.000Z',
  subject: 'req_1',
  at: '/purpose',
  salted_sha256,
  state: 'held',
  ...over,
})

/** A running system that has these values, and erases them on command, or does not. */
async function erase(
  argv: readonly string[],
  has: object[][],
  { answer = 'ERASE\n', obeys = true, list = [] as readonly unknown[] } = {},
) {
  using folder = temporaryFolder()
  const file = folder.at('erasures.jsonl')
  writeFileSync(file, list.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  installation(folder)
  const erased = new Set<string>()
  const state = (each: object) => {
    const { salted_sha256, ...rest } = each as ReturnType<typeof value>
    return { ...rest, salted_sha256, ...(erased.has(salted_sha256) ? { state: 'erased' } : {}) }
  }
  let monotonic = 0
  const clock = { now: () => 0, monotonic: () => (monotonic += 10_000) }
  await using operator = await operatorAt(folder.path, ({ path, body }) => {
    if (path === '/operator/values/erase' || path === '/operator/calls/erase') {
      const { values } = body as { values: { attachment_id: string }[] }
      if (obeys) for (const { attachment_id } of values) erased.add(attachment_id.slice(4))
      return { body: { erased: [] } }
    }
    const page = Number(/cursor=(\d)/.exec(path)?.[1] ?? 0)
    const next = page + 1 < has.length ? { next: String(page + 1) } : {}
    return { body: { values: (has[page] ?? []).map(state), ...next } }
  })
  const input = (async function* typed() {
    yield Buffer.from(answer)
  })()
  const said = await bailiwick(['erase', ...argv.map((word) => word.replace('LIST', file)), '--data', folder.path], {
    input,
    clock,
  })
  const posted = operator.calls.filter(({ method }) => method === 'POST')
  return { ...said, orders: posted.map(({ body }) => body), paths: posted.map(({ path }) => path) }
}

const reason = ['--reason', 'personal_data'] as const

it('erases all that there is once the operator typed it, each value once', async () => {
  const has = [
    [value(hash('a')), value(hash('a'), { type: 'request.denied' })],
    [value(hash('b'), { at: '/reason' }), value(hash('c'), { state: 'erased' })],
  ]
  const { code, out, err, orders } = await erase(['req_1', ...reason], has)
  expect(orders).toEqual([
    {
      reason: 'personal_data',
      values: ['a', 'b'].map((letter) => ({ attachment_id: `att_${hash(letter)}`, about: 'req_1' })),
    },
  ])
  expect(err).toContain('Type ERASE to delete these 2')
  expect(out).toBe('Erased 2 of 2; the log says so (value.erased). Proofs hold as before.')
  expect(code).toBe(0)
})

it('tells the service that wrote each value, and leaves values that were not kept', async () => {
  const call = { type: 'decision.allowed', subject: 'dec_1', at: '/action/call' }
  const has = [[value(hash('a')), value(hash('b'), call), value(hash('c'), { ...call, state: 'unkept' })]]
  const { code, orders, paths } = await erase(['req_1', ...reason, '--yes'], has)
  expect(paths).toEqual(['/operator/values/erase', '/operator/calls/erase'])
  expect(orders).toMatchObject([
    { values: [{ attachment_id: `att_${hash('a')}` }] },
    { values: [{ attachment_id: `att_${hash('b')}`, about: 'dec_1' }] },
  ])
  expect(code).toBe(0)
  const unkept = await erase(['dec_2', ...reason, '--yes'], [[value(hash('c'), { ...call, state: 'unkept' })]])
  expect(unkept).toMatchObject({ code: 2, orders: [], err: expect.stringContaining('its call was not kept here') })
})

it.each(['', 'erase\n', 'y\n', 'ERASE all\n'])('erases nothing at the word %j', async (answer) => {
  const { code, out, err, orders } = await erase(['req_1', ...reason], [[value(hash('a'))]], { answer })
  expect({ code, out, orders }).toEqual({ code: 1, out: '', orders: [] })
  expect(err).toContain('Nothing was erased.')
})

it('takes one value by its hash, and nothing else that is found under that name', async () => {
  const has = [[value(hash('a')), value(hash('b'))]]
  for (const name of [hash('b'), `att_${hash('b')}`]) {
    const { orders } = await erase([name, ...reason, '--yes'], has, { answer: '' })
    expect(orders).toMatchObject([{ values: [{ attachment_id: `att_${hash('b')}` }] }])
  }
})

it('says what evidence has not done yet, and ends with 1', async () => {
  const { code, out, err } = await erase(['req_1', ...reason, '--yes', '--json'], [[value(hash('a'))]], {
    obeys: false,
  })
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({ reason: 'personal_data', erased: [], pending: [hash('a')], events: ['evt_1'] })
  expect(err).toContain('evidence has not erased it yet')
})

it.each([
  ['nothing is held there', ['req_1', ...reason], [[]], 'no event there holds a salted hash (entity_unknown)'],
  [
    'all of it is gone',
    ['req_1', ...reason],
    [[value(hash('a'), { state: 'erased' })]],
    'everything there is erased already (entity_unknown)',
  ],
  ['the reason is a text', ['req_1', '--reason', 'Fiona asked for it'], [[]], 'Allowed choices are'],
  ['there is no reason', ['req_1'], [[]], "required option '--reason <code>'"],
  ['there is no id', [...reason], [[]], "missing required argument 'id'"],
  ['both are said', ['req_1', '--again', 'LIST'], [[]], '--again takes no id'],
  ['two reasons are said', [...reason, '--again', 'LIST'], [[]], '--again takes no id'],
  ['there is no list', ['--again', '/nowhere'], [[]], '--again: cannot read /nowhere'],
])('ends with 2 when %s', async (_, argv, has, message) => {
  const { code, err, orders } = await erase(argv, has)
  expect(code).toBe(2)
  expect(err).toContain(message)
  expect(orders).toEqual([])
})

it('erases again what a list says that was erased, for the reasons of then, and what is here of it alone (V17)', async () => {
  const call = { type: 'decision.allowed', subject: 'dec_1', at: '/action/call' }
  const has = [[value(hash('a')), value(hash('b'), call), value(hash('c'), { state: 'erased' }), value(hash('d'))]]
  const list = [
    { reason: 'secret', erased: [hash('b'), hash('c')], pending: [hash('e')], events: ['evt_1', 'evt_2'] },
    '',
    { reason: 'retention', erased: [hash('a')], pending: [], events: ['evt_1'] },
    { reason: 'other', erased: [hash('a')], pending: [], events: ['evt_1'] },
  ]
  const { code, out, orders, paths } = await erase(['--again', 'LIST', '--json'], has, { list })
  expect(paths).toEqual(['/operator/values/erase', '/operator/calls/erase'])
  expect(orders).toEqual([
    { reason: 'retention', values: [{ attachment_id: `att_${hash('a')}`, about: 'req_1' }] },
    { reason: 'secret', values: [{ attachment_id: `att_${hash('b')}`, about: 'dec_1' }] },
  ])
  expect(out.split('\n').map((line) => JSON.parse(line))).toEqual([
    { reason: 'retention', erased: [hash('a')], pending: [], events: ['evt_1'] },
    { reason: 'secret', erased: [hash('b')], pending: [], events: ['evt_1'] },
  ])
  expect(code).toBe(0)
  const gone = await erase(['--again', 'LIST', '--yes'], [[value(hash('d'))]], { list })
  expect(gone).toMatchObject({ code: 0, orders: [], err: expect.stringContaining('Nothing of these 4 is here') })
})

it.each([
  ['no JSON', 'erased: all'],
  ['cut off', `{"reason":"secret","erased":["${hash('a')}"`],
  ['no reason of ours', { reason: 'they asked', erased: [hash('a')], pending: [], events: ['evt_1'] }],
  ['no hash', { reason: 'secret', erased: ['req_1'], pending: [], events: ['evt_1'] }],
  ['of no event', { reason: 'secret', erased: [hash('a')], pending: [] }],
])('erases nothing of a list of which a line is not one: %s (V17)', async (_, line) => {
  const list = [{ reason: 'secret', erased: [hash('a')], pending: [], events: ['evt_1'] }, line]
  const { code, err, orders } = await erase(['--again', 'LIST', '--yes'], [[value(hash('a'))]], { list })
  expect({ code, orders }).toEqual({ code: 2, orders: [] })
  expect(err).toContain('line 2 of')
})
