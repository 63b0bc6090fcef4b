import { Readable } from 'node:stream'
import type { Notification, Obligation } from '@bailiwick/contracts'
import { errorCode } from '@bailiwick/errors'
import { systemClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import type { Effect, EnforcementPointOptions } from './enforcement-point.ts'
import { aCall, aPoint, FakePdp } from './pdp.fixture.ts'

const custom = (properties: object, id = 'o') => ({
  id,
  type: 'custom',
  properties: { vendor: 'bailiwick', ...properties },
})
const limit = (bytes: unknown, id?: string) => custom({ action: 'limit', bytes }, id)
const redact = (...fields: unknown[]) => custom({ action: 'redact', fields })
const notify = (to: string, id = to) => ({ id, type: 'notification', properties: { to, topic: 't', body: 'b' } })

/** The result of a call under these obligations, and the notifications sent for it. */
async function tried(obligations: unknown[], result: unknown, options: Partial<EnforcementPointOptions> = {}) {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp, options)
  pdp.answer = (evaluation) => pdp.allow(evaluation, { obligations: obligations as Obligation[] })
  let effects = 0
  const answer = await point
    .guard(aCall(), async () => {
      effects++
      return result
    })
    .then(
      (guarded) => (guarded.allowed ? { result: guarded.result } : { reason: guarded.reason }),
      (error: unknown) => ({ thrown: errorCode(error) }),
    )
  await point.delivered()
  return { answer, effects, outcome: pdp.outcomes[0], evaluation: pdp.evaluations[0] }
}

describe('an obligation', () => {
  it.each<[string, unknown[]]>([
    ['of a type that is not supported here', [{ id: 'x', type: 'session_termination', properties: { subject: 's' } }]],
    [
      'of another vendor',
      [{ id: 'x', type: 'custom', properties: { vendor: 'dlp', action: 'redact', fields: ['a'] } }],
    ],
    ['of an action that is none', [custom({ action: 'watermark', fields: ['a'] })]],
    ['with an unknown member', [custom({ action: 'limit', bytes: 9, unless: 'small' })]],
    ['without properties', [{ id: 'x', type: 'custom' }]],
    ['without an id', [{ ...limit(9), id: undefined }]],
    ['that is no object', ['limit']],
    ['whose id another has', [limit(9), redact('a')]],
    ['that limits to nothing', [limit(0)]],
    ['that limits to less than nothing', [limit(-1)]],
    ['that limits to a part of a byte', [limit(1.5)]],
    ['that limits in words', [limit('9')]],
    ['that limits to what no number is', [limit(2 ** 53)]],
    ['that hides nothing', [redact()]],
    ['that hides what is no field', [redact('/a')]],
    ['that notifies, where notifications are not supported', [notify('ops')]],
    ['that wants a step-up after it', [{ id: 'x', type: 'step-up', properties: { acr_value: 'a' } }]],
    ['beside one that is understood', [limit(9, 'a'), { id: 'b', type: 'x', properties: {} }]],
  ])('%s: nothing happens, and the outcome says so (V1, V13)', async (_, obligations) => {
    const { answer, effects, outcome } = await tried(obligations, 'x')
    expect([answer, effects]).toEqual([{ reason: 'obligation_unknown' }, 0])
    expect(outcome).toMatchObject({ status: 'not_executed' })
  })

  it.each<[string, (context: Record<string, unknown>) => object]>([
    ['stripped from the answer', ({ obligations: _, ...context }) => context],
    ['made another one', (context) => ({ ...context, obligations: [limit(99)] })],
    ['added to', (context) => ({ ...context, obligations: [limit(9), notify('ops')] })],
  ])('that was %s, where the permit has it signed: nothing happens (V1, V13)', async (_, tamper) => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp, { notify: async () => undefined })
    pdp.answer = (evaluation) => {
      const { body } = pdp.allow(evaluation, { obligations: [limit(9)] }) as { body: { context: object } }
      return { body: { ...body, context: tamper({ ...body.context }) } }
    }
    let effects = 0
    const guarded = await point.guard(aCall(), async () => effects++)
    expect([guarded, effects]).toMatchObject([{ allowed: false, reason: 'obligation_unknown' }, 0])
  })

  it('is declared as supported, notifications only if the point can send them', async () => {
    const declared = async (options: Partial<EnforcementPointOptions>) =>
      (await tried([], 'x', options)).evaluation?.context.supported_obligations
    expect(await declared({})).toEqual(['custom', 'step-up'])
    expect(await declared({ notify: async () => undefined })).toEqual(['custom', 'step-up', 'notification'])
  })
})

describe('a limit', () => {
  it.each<[string, unknown, number]>([
    ['a text', 'äbc', 4],
    ['bytes', Buffer.from('abcd'), 4],
    ['a JSON value', { a: 1 }, 7],
    ['nothing', undefined, 0],
  ])('lets %s out that just fits, and reports its bytes; one byte more stays inside (V9)', async (_, result, bytes) => {
    const fits = await tried([limit(Math.max(1, bytes))], result)
    expect(fits.answer).toEqual({ result })
    expect(fits.outcome).toMatchObject({ status: 'succeeded', egress_bytes: bytes })
    if (bytes < 2) return
    const over = await tried([limit(bytes - 1)], result)
    expect([over.answer, over.effects]).toEqual([{ thrown: 'answer_withheld' }, 1])
    expect(over.outcome).toMatchObject({ status: 'succeeded', egress_bytes: 0 })
  })

  it('that is the lower of two counts', async () => {
    expect((await tried([limit(9, 'a'), limit(3, 'b')], 'abcd')).answer).toEqual({ thrown: 'answer_withheld' })
  })

  const circular: Record<string, unknown> = {}
  circular.self = circular
  it.each<[string, unknown]>([
    ['a stream', Readable.from(['a'.repeat(100)])],
    ['what runs', () => 'a'.repeat(100)],
    ['an object with a class', new Map([['a', 'b']])],
    ['a value that spells itself', { toJSON: () => 'a'.repeat(100) }],
    ['a big integer', 10n ** 100n],
    ['a value in itself', circular],
  ])('keeps %s inside, because its length cannot be known (V9, V13)', async (_, result) => {
    expect((await tried([limit(1000)], result)).answer).toEqual({ thrown: 'answer_withheld' })
    expect((await tried([redact('a')], result)).answer).toEqual({ thrown: 'answer_withheld' })
  })

  it('is measured on what leaves: a getter that says more the second time leaves nothing more', async () => {
    let reads = 0
    const result = {
      get a() {
        return 'a'.repeat(++reads < 3 ? 1 : 1000)
      },
    }
    const { answer } = await tried([limit(20)], result)
    expect(JSON.stringify(answer).length).toBeLessThan(100)
  })
})

describe('a redaction', () => {
  it.each<[string, unknown, unknown]>([
    ['a JSON value', [{ iban: 'DE1' }], [{ iban: '[redacted]' }]],
    ['JSON as a text', '{"iban":"DE1"}', '{"iban":"[redacted]"}'],
    [
      'an answer of an MCP tool',
      { content: [{ text: '{"iban":"DE1"}' }] },
      { content: [{ text: '{"iban":"[redacted]"}' }] },
    ],
  ])('hides the field in %s', async (_, result, expected) => {
    expect((await tried([redact('iban')], result)).answer).toEqual({ result: expected })
  })

  it.each<[string, unknown]>([
    ['a free text', 'the IBAN is DE1'],
    ['two equal keys', '{"iban":"a","iban":"DE1"}'],
    ['bytes that are no JSON', Buffer.from([0xff, 0xfe])],
  ])('keeps %s inside (V13)', async (_, result) => {
    expect((await tried([redact('iban')], result)).answer).toEqual({ thrown: 'answer_withheld' })
  })

  it('is measured after it, with a limit', async () => {
    const both = [redact('iban'), limit(21, 'l')]
    expect((await tried(both, { iban: 'DE1'.repeat(99) })).answer).toEqual({ result: { iban: '[redacted]' } })
  })
})

describe('a notification', () => {
  const sending = () => {
    const sent: Notification[] = []
    return { sent, notify: async (each: Notification) => void sent.push(each) }
  }

  it('is sent before anything happens', async () => {
    const { sent, notify: send } = sending()
    const { answer } = await tried([notify('ops'), notify('sec')], 'x', { notify: send })
    expect(answer).toEqual({ result: 'x' })
    expect(sent).toEqual([
      { to: 'ops', topic: 't', body: 'b' },
      { to: 'sec', topic: 't', body: 'b' },
    ])
  })

  it.each<[string, () => Promise<void>]>([
    ['cannot be sent', () => Promise.reject(new Error('no'))],
    ['is never answered', () => new Promise(() => undefined)],
    [
      'throws at once',
      () => {
        throw new Error('no')
      },
    ],
  ])('that %s: nothing happens (V1, V13)', async (_, failing) => {
    const { answer, effects, outcome } = await tried([notify('ops')], 'x', { notify: failing, timeoutMs: 500 })
    expect([answer, effects]).toEqual([{ reason: 'obligation_failed' }, 0])
    expect(outcome).toMatchObject({ status: 'not_executed' })
  })

  it('is sent although another obligation is not understood, and nothing happens', async () => {
    const { sent, notify: send } = sending()
    const { effects } = await tried([notify('ops'), { id: 'x', type: 'y', properties: {} }], 'x', { notify: send })
    expect([sent.length, effects]).toEqual([1, 0])
  })

  it('that took longer than the permit lives leaves no time for the effect (V1)', async () => {
    let ahead = 0
    const now = () => systemClock.now() + ahead
    const slow = async () => {
      ahead = 7000
    }
    const { answer, effects } = await tried([notify('ops')], 'x', { notify: slow, now })
    expect([answer, effects]).toEqual([{ reason: 'obligation_failed' }, 0])
  })

  it('may change the arguments no more than anybody else (V1)', async () => {
    await using pdp = await FakePdp.start()
    const action = { name: 'n', properties: { amount: '1' }, resource: { type: 'tool', id: 't' } }
    await using point = await aPoint(pdp, {
      notify: async () => {
        action.properties.amount = '9999'
      },
    })
    pdp.answer = (evaluation) => pdp.allow(evaluation, { obligations: [notify('ops')] })
    let effects = 0
    const guarded = await point.guard(
      aCall(() => action),
      async () => effects++,
    )
    expect([guarded, effects]).toMatchObject([{ reason: 'permit_action_mismatch' }, 0])
  })

  it('of a denial is sent, and it stays a denial', async () => {
    await using pdp = await FakePdp.start()
    const { sent, notify: send } = sending()
    await using point = await aPoint(pdp, { notify: send })
    const stepUp = { id: 's', type: 'step-up', properties: { acr_value: 'a' } }
    const context = { reason: 'step_up_required', obligations: [stepUp, notify('sec'), 'garbage'] }
    pdp.answer = () => ({ body: { decision: false, context } })
    const guarded = await point.guard(aCall(), async () => 'x')
    expect([guarded, sent.length]).toMatchObject([{ allowed: false, reason: 'step_up_required' }, 1])
  })
})

it('an outcome that is due before the permit came has no time to happen (V1, V13)', async () => {
  const due = custom({ action: 'report_outcome_by', seconds: 1 })
  expect((await tried([due], 'x')).answer).toEqual({ result: 'x' })
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  const iat = Math.floor(systemClock.now() / 1000) - 3
  pdp.answer = (evaluation) => pdp.allow(evaluation, { iat, exp: iat + 5, obligations: [due] })
  expect(await point.guard(aCall(), async () => 'x')).toMatchObject({ allowed: false, reason: 'obligation_failed' })
})

it('a description that comes later holds up the outcome alone', async () => {
  await using pdp = await FakePdp.start()
  await using point = await aPoint(pdp)
  const { promise, resolve } = Promise.withResolvers<object>()
  expect(
    await point.guard(
      aCall(),
      async () => 'x',
      () => promise,
    ),
  ).toMatchObject({ allowed: true, result: 'x' })
  let isDelivered = false
  const delivered = point.delivered().then(() => {
    isDelivered = true
  })
  await new Promise(setImmediate)
  expect([isDelivered, pdp.outcomes.length]).toEqual([false, 0])
  resolve({ http_status: 200, egress_bytes: 3 })
  await delivered
  expect(pdp.outcomes).toMatchObject([{ status: 'succeeded', egress_bytes: 3 }])
})

describe('a call whose effect happens out of sight', () => {
  async function unseen(obligations?: Obligation[], effect: Effect = {}) {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    if (obligations !== undefined) pdp.answer = (evaluation) => pdp.allow(evaluation, { obligations })
    const answer = await point.guard(
      { ...aCall(), isUnseen: true },
      async () => 'told',
      async () => ({ cost: { amount: '0', currency: 'EUR' }, ...effect }),
    )
    await point.delivered()
    return { answer, outcome: pdp.outcomes[0], supported: pdp.evaluations[0]?.context.supported_obligations }
  }

  it('is asked for without obligations on the answer, and reported as not observed: nothing comes back (V9)', async () => {
    const { answer, outcome, supported } = await unseen()
    expect(answer).toMatchObject({ allowed: true, result: 'told' })
    expect(supported).toEqual(['step-up'])
    expect(outcome).toMatchObject({ status: 'not_observed' })
    expect(outcome).not.toHaveProperty('cost')
  })

  it('is reported as another source says, and never with a cost: nothing comes back (V9)', async () => {
    const { outcome } = await unseen(undefined, { status: 'succeeded', http_status: 201 })
    expect(outcome).toMatchObject({ status: 'succeeded', http_status: 201 })
    expect(outcome).not.toHaveProperty('cost')
  })

  it.each([
    ['hides a field', redact('iban')],
    ['limits the answer', limit(9)],
    ['wants its outcome in time', custom({ action: 'report_outcome_by', seconds: 30 })],
  ])('is refused by a decision that %s, no matter what was declared (V13)', async (_, obligation) => {
    const { answer, outcome } = await unseen([obligation as Obligation])
    expect(answer).toMatchObject({ allowed: false, reason: 'obligation_unsupported' })
    expect(outcome).toMatchObject({ status: 'not_executed' })
  })
})
