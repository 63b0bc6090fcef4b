import { setImmediate } from 'node:timers/promises'
import { parseMicros } from '@bailiwick/authority'
import { generateKey, signOutcome } from '@bailiwick/credentials'
import { newId, systemRandom } from '@bailiwick/kit'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { anAllow, reservedOf, treeOrder } from '../order/tree-order.fixture.ts'
import { TreeQueues } from '../order/tree-queue.ts'
import { now, spell } from '../steps/living-call.fixture.ts'
import { reportOutcome, sweepMissing } from './outcomes.ts'
import { OutcomesInHand } from './outcomes-in-hand.ts'

const key = generateKey('outcome')
const digest = 'A'.repeat(43)
const [decisionId, callId] = [newId('dec', now, systemRandom), newId('call', now, systemRandom)]
const point = { id: 'https://pep.example/', may_release: true, outcome_jwk: key.publicJwk as never }
type Point = typeof point

/** An ALLOW that counts, and its enforcement point, which reports. */
async function allowed(data: object = {}) {
  const world = treeOrder()
  const queues = new TreeQueues(world.pdp)
  const action = { name: 'tools/call', resource: { type: 'tool', id: 'erp/read' }, action_digest: digest }
  queues.add('grt_1', anAllow(decisionId, { data: { call_id: callId, action, ...data } }).work)
  await setImmediate()
  const claims = {
    installation: 'ins_00000000000001',
    enforcement_point: point.id,
    sequence: 7,
    call_id: callId,
    decision_id: decisionId,
    action_digest: digest,
    status: 'succeeded' as const,
    at: spell(now),
  }
  const refused: object[] = []
  const inHand = new OutcomesInHand()
  const relay = (jws: string, by: Point = point, through = queues) =>
    reportOutcome(world.pdp, through, by as never, jws, { tell: (data) => void refused.push(data) }, inHand)
  const signed = (over: object = {}, signer = key) => signOutcome({ ...claims, ...over }, signer)
  const report = (over: object = {}, by: Point = point, signer = key, through = queues) =>
    relay(signed(over, signer), by, through)
  return {
    ...world,
    queues,
    inHand,
    refused,
    relay,
    signed,
    report,
    record: () => world.trees.get('grt_1')?.allows.get(decisionId),
    taken: () => world.trees.get('grt_1')?.taken,
    outcomes: () => world.writes.flat().filter(({ type }) => type === 'outcome.reported'),
  }
}

/** The other ECDSA signature that verifies as well: s becomes n - s. */
function respelled(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url')
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString(
    'base64url',
  )
}
const nothing = { calls: 0, egress_bytes: 0, cost: {} }
const code = (code: string, detail?: string) =>
  expect.objectContaining({ code, ...(detail === undefined ? {} : { detail }) })

describe('what an enforcement point signed', () => {
  it('is relayed, once: it settles in full, and the same again changes nothing (V10)', async () => {
    const w = await allowed()
    await w.report()
    await w.report()
    expect(w.outcomes()).toMatchObject([
      {
        ...{ key: 'grt_1', version: 2, subject: decisionId },
        data: {
          ...{ decision_id: decisionId, grant_id: 'grt_1', enforcement_point: point.id, sequence: 7 },
          ...{ status: 'succeeded', released: nothing, outcome: expect.stringMatching(/^ey/), after: 'evt_1' },
        },
      },
    ])
    expect([w.record()?.standing, w.taken()?.calls]).toEqual(['settled', 1n])
    expect(w.store.settled).toEqual([{ takeId: decisionId, to: 2, giveBack: { egress_bytes: 0n } }])
    expect(w.order.waits).toEqual([])
  })

  it('that settled already needs no turn to be told again', async () => {
    const w = await allowed()
    await w.report()
    const closed = { add: () => expect.unreachable() } as unknown as TreeQueues
    await w.report({}, point, key, closed)
    await expect(w.report({ sequence: 8 }, point, key, closed)).rejects.toEqual(code('outcome_mismatch'))
  })

  it('gives back, where it may release and nothing was executed, what was reserved, once (V9)', async () => {
    const w = await allowed()
    await w.report({ status: 'not_executed' })
    await w.report({ status: 'not_executed' })
    expect(w.outcomes()).toMatchObject([{ data: { status: 'not_executed', released: reservedOf } }])
    expect([w.taken()?.calls, w.taken()?.cost.get('EUR')]).toEqual([0n, 0n])
    const giveBack = { calls: 1n, 'cost:EUR': 2_500_000n, 'uses:0': 1n, egress_bytes: 0n }
    expect(w.store.settled).toEqual([{ takeId: decisionId, to: 2, giveBack }])
  })

  it.each<[why: string, by: Partial<Point>, status: string, mode: string]>([
    ['something happened', {}, 'failed', 'window'],
    ['the status is unknown', {}, 'unknown', 'window'],
    ['nothing was observed', {}, 'not_observed', 'window'],
    ['the point may not release', { may_release: false }, 'not_executed', 'window'],
    ['one action was approved, and is used by its ALLOW', {}, 'not_executed', 'per_action'],
  ])('gives nothing back where %s (V9)', async (_, by, status, mode) => {
    const w = await allowed()
    w.grant.mode = mode
    await w.report({ status }, { ...point, ...by })
    expect(w.outcomes()).toMatchObject([{ data: { status, released: nothing } }])
    expect(w.taken()?.calls).toBe(1n)
    expect(w.store.settled).toMatchObject([{ giveBack: { egress_bytes: 0n } }])
    expect(w.store.settled[0]?.giveBack).not.toHaveProperty('calls')
  })

  it.each<[status: string, cost: string, left: string]>([
    ['succeeded', '1', '1.5'],
    ['succeeded', '0', '2.5'],
    ['succeeded', '2.499999', '0.000001'],
    ['failed', '0.4', '2.1'],
  ])(
    'gives back the money that an effect did not cost, once, and not its call: %s at %s (V9)',
    async (status, amount, left) => {
      const w = await allowed()
      const cost = { amount, currency: 'EUR' }
      await w.report({ status, cost })
      await w.report({ status, cost })
      expect(w.outcomes()).toMatchObject([{ data: { status, released: { ...nothing, cost: { EUR: left } } } }])
      const spent = parseMicros(amount)
      expect([w.taken()?.calls, w.taken()?.cost.get('EUR')]).toEqual([1n, spent])
      const giveBack = { calls: 0n, 'cost:EUR': parseMicros(left), 'uses:0': 0n, egress_bytes: 0n }
      expect(w.store.settled).toEqual([{ takeId: decisionId, to: 2, giveBack }])
    },
  )

  it.each<[why: string, over: object, by?: Partial<Point>, mode?: string]>([
    ['costs what was reserved', { cost: { amount: '2.5', currency: 'EUR' } }],
    ['costs more than was reserved', { cost: { amount: '2.6', currency: 'EUR' } }],
    ['costs another currency', { cost: { amount: '1', currency: 'USD' } }],
    ['does not say what it costs', {}],
    ['may go on', { status: 'unknown', cost: { amount: '1', currency: 'EUR' } }],
    ['was not observed', { status: 'not_observed', cost: { amount: '1', currency: 'EUR' } }],
    [
      'was reported by a point that may not release',
      { cost: { amount: '1', currency: 'EUR' } },
      { may_release: false },
    ],
    ['was done in the process of its agent', { enforced_by: 'in_process', cost: { amount: '1', currency: 'EUR' } }],
    ['was not done, in the process of its agent', { enforced_by: 'in_process', status: 'not_executed' }],
    ['is the one action that was approved', { cost: { amount: '1', currency: 'EUR' } }, {}, 'per_action'],
  ])('gives no money back for an effect that %s (V9)', async (_, over, by = {}, mode = 'window') => {
    const w = await allowed()
    w.grant.mode = mode
    await w.report(over, { ...point, ...by })
    expect(w.outcomes()).toMatchObject([{ data: { released: nothing } }])
    expect(w.taken()?.cost.get('EUR')).toBe(2_500_000n)
    expect(w.store.settled).toEqual([{ takeId: decisionId, to: 2, giveBack: { egress_bytes: 0n } }])
  })

  it('gives no money back for a cost that comes late (V9)', async () => {
    const w = await allowed()
    Object.assign(w.record() ?? {}, { standing: 'missing' })
    await w.report({ cost: { amount: '1', currency: 'EUR' } })
    expect(w.outcomes()).toMatchObject([{ data: { released: nothing } }])
    expect(w.taken()?.cost.get('EUR')).toBe(2_500_000n)
  })

  it.each([
    [30, 70n],
    [100, 0n],
    [130, 0n],
    [undefined, 0n],
  ])('leaves of 100 bytes that were reserved what was not sent: %s sent, %s left', async (egress_bytes, left) => {
    const w = await allowed({ reserved: { ...reservedOf, egress_bytes: 100 } })
    await w.report({ ...(egress_bytes === undefined ? {} : { egress_bytes }) })
    expect(w.store.settled).toMatchObject([{ giveBack: { egress_bytes: left } }])
  })

  it('leaves no bytes of an effect that was not observed, even if it states fewer (V9)', async () => {
    const w = await allowed({ reserved: { ...reservedOf, egress_bytes: 100 } })
    await w.report({ status: 'not_observed', egress_bytes: 0 })
    expect(w.store.settled).toMatchObject([{ giveBack: { egress_bytes: 0n } }])
    expect(w.taken()?.egressBytes).toBe(100n)
  })

  it('is a fact too when it comes late, and gives nothing back (V9)', async () => {
    const w = await allowed({ reserved: { ...reservedOf, egress_bytes: 100 } })
    Object.assign(w.record() ?? {}, { standing: 'missing' })
    await w.report({ status: 'not_executed', egress_bytes: 0 })
    expect(w.outcomes()).toMatchObject([{ data: { released: nothing } }])
    expect([w.record()?.standing, w.taken()?.calls]).toEqual(['settled', 1n])
    expect(w.store.settled).toMatchObject([{ giveBack: { egress_bytes: 0n } }])
  })

  it('counts although the grant store is away', async () => {
    const w = await allowed()
    const { grantStore } = w.pdp as { grantStore: object }
    Object.assign(grantStore, { settle: async () => Promise.reject(new Error('away')) })
    await w.report()
    expect(w.record()?.standing).toBe('settled')
  })
})

describe('an instance of an enforcement point (V10)', () => {
  const instance = `${'I'.repeat(21)}A`
  const previous = `${'P'.repeat(42)}A`
  const another = newId('dec', now, systemRandom)
  /** Two ALLOWs of one instance. */
  async function both() {
    const w = await allowed({ instance })
    const call_id = newId('call', now, systemRandom)
    const action = { name: 'tools/call', resource: { type: 'tool', id: 'erp/read' }, action_digest: digest }
    w.queues.add('grt_1', anAllow(another, { data: { call_id, action, instance } }).work)
    await setImmediate()
    return { ...w, second: { decision_id: another, call_id } }
  }
  const first = { instance, sequence: 1 }

  it('alone reports what it was allowed', async () => {
    const w = await both()
    for (const by of [{}, { instance: `${'J'.repeat(21)}A`, sequence: 1 }])
      await expect(w.report(by)).rejects.toEqual(
        code('outcome_mismatch', 'the decision belongs to another instance of its enforcement point'),
      )
    await w.report(first)
    expect(w.outcomes()).toHaveLength(1)
  })

  it('gives each number to one outcome, in whichever order they come; another under it goes on the log as refused', async () => {
    const w = await both()
    await w.report({ ...w.second, instance, sequence: 2, previous })
    w.numbers.add(`${point.id} ${instance}`, 2, now)
    await expect(w.report({ instance, sequence: 2, previous })).rejects.toEqual(code('outcome_sequence_reused'))
    expect(w.refused).toMatchObject([{ decision_id: decisionId, code: 'outcome_sequence_reused' }])
    await w.report(first)
    expect(w.outcomes()).toHaveLength(2)
  })

  it('reports many at once in one durable write, in their order; a number that stands twice among them counts once', async () => {
    const w = await both()
    const twice = w.signed({ ...w.second, instance, sequence: 1 })
    w.order.before = async () => void w.numbers.add(`${point.id} ${instance}`, 1, now)
    const told = [w.signed(first), w.signed(first), twice].map((jws) => w.relay(jws))
    expect(await Promise.allSettled(told)).toMatchObject([
      { status: 'fulfilled' },
      { status: 'fulfilled' },
      { reason: code('outcome_sequence_reused') },
    ])
    w.order.before = async () => undefined
    const writes = w.writes.length
    const next = w.signed({ ...w.second, instance, sequence: 2, previous })
    await Promise.all([next, w.signed(first)].map((jws) => w.relay(jws)))
    expect(w.outcomes()).toHaveLength(2)
    expect(w.writes.length).toBe(writes + 1)
  })

  it('has one durable write for a list', async () => {
    const w = await both()
    const before = w.writes.length
    const second = w.signed({ ...w.second, instance, sequence: 2, previous })
    await Promise.all([w.signed(first), second].map((jws) => w.relay(jws)))
    expect(w.writes.slice(before).map((drafts) => drafts.map(({ data }) => Object(data).sequence))).toEqual([[1, 2]])
  })

  it('may have the numbers of another one', async () => {
    const w = await both()
    w.numbers.add(`${point.id} ${'J'.repeat(21)}A`, 1, now)
    w.numbers.add(`another-point ${instance}`, 1, now)
    await w.report(first)
    expect(w.outcomes()).toHaveLength(1)
  })
})

it('a point without instances may count from 1 again, since its starts cannot be distinguished', async () => {
  const w = await allowed()
  w.numbers.add(`${point.id} undefined`, 7, now)
  await w.report()
  expect(w.outcomes()).toHaveLength(1)
})

it('a second outcome with other bytes stands on the log, and the same bytes are one in both spellings of their signature (V10)', async () => {
  const w = await allowed()
  const signed = w.signed()
  await w.relay(signed)
  const [head, body, signature = ''] = signed.split('.')
  await w.relay([head, body, respelled(signature)].join('.'))
  expect(w.refused).toEqual([])
  await expect(w.report({ detail_hash: digest })).rejects.toEqual(code('outcome_mismatch'))
  expect(w.refused).toMatchObject([{ decision_id: decisionId, grant_id: 'grt_1', code: 'outcome_mismatch' }])
})

describe('what is none', () => {
  const stranger = generateKey('outcome')
  it('and says which', async () => {
    const w = await allowed()
    const call_id = newId('call', now, systemRandom)
    await expect(w.report({ call_id })).rejects.toEqual(code('outcome_mismatch', 'the decision is another one'))
    // An enforcement point that does not know of salts also fails here. Its operator must see why.
    await expect(w.report({ action_digest: `${'B'.repeat(42)}A` })).rejects.toEqual(
      code('outcome_mismatch', 'the action is not named by the salted hash that its permit gives'),
    )
    const keyless = { ...point, outcome_jwk: {} as never }
    await expect(w.report({}, keyless)).rejects.toEqual(code('key_unknown', 'the outcome key is none'))
    await w.report()
    await expect(w.report({ sequence: 8 })).rejects.toEqual(
      code('outcome_mismatch', 'the decision has another outcome'),
    )
  })

  it.each<[what: string, why: string, over: object, by?: Partial<Point>, signer?: typeof key]>([
    ['of a decision that was never made', 'decision_unknown', { decision_id: newId('dec', now, systemRandom) }],
    ['of another call', 'outcome_mismatch', { call_id: newId('call', now, systemRandom) }],
    ['of another action', 'outcome_mismatch', { action_digest: `${'B'.repeat(42)}A` }],
    ["of another point's decision", 'outcome_mismatch', { enforcement_point: 'p2' }, { id: 'p2' }],
    ["signed as another's", 'key_unknown', { enforcement_point: 'p2' }],
    ['of another installation', 'token_audience_wrong', { installation: 'ins_00000000000002' }],
    ['of a point whose key is none', 'key_unknown', {}, { outcome_jwk: {} as never }],
    ['of a key that is not its own', 'key_unknown', {}, {}, stranger],
  ])('is refused and changes nothing: %s', async (_, why, over, by, signer) => {
    const w = await allowed()
    await expect(w.report(over, { ...point, ...by }, signer)).rejects.toEqual(code(why))
    expect([w.writes.length, w.record()?.standing]).toEqual([1, 'open'])
  })

  it('of an ALLOW that was taken back', async () => {
    const w = await allowed()
    w.queues.abandonOnce('grt_1', decisionId, callId)
    // Both events wait for the same write. The second one is judged by the result of the first.
    await expect(w.report()).rejects.toEqual(code('outcome_mismatch', 'the decision was taken back'))
    expect(w.outcomes()).toEqual([])
    await expect(w.report()).rejects.toEqual(code('outcome_mismatch', 'the decision was taken back'))
  })

  it('but the same outcome, reported twice at once, is written once, and both reports are answered (V10)', async () => {
    const w = await allowed()
    await Promise.all([w.report(), w.report()])
    expect(w.outcomes()).toMatchObject([{ data: { status: 'succeeded' } }])
    expect(w.taken()?.calls).toBe(1n)
  })

  it.each([
    ['another status', { status: 'not_executed' }],
    ['another number', { sequence: 8 }],
  ])('the second of two of one decision, with %s: at once, and later (V10)', async (_, over) => {
    const w = await allowed()
    const both = [w.report(), w.report(over)]
    await expect(both[1]).rejects.toEqual(code('outcome_mismatch'))
    await both[0]
    await expect(w.report(over)).rejects.toEqual(code('outcome_mismatch'))
    await w.report()
    expect(w.outcomes()).toMatchObject([{ data: { status: 'succeeded', sequence: 7 } }])
    expect(w.taken()?.calls).toBe(1n)
  })

  it('is not said to count when that is unknown, or when others were first three times', async () => {
    const w = await allowed()
    const away = new Error('away')
    w.order.before = async () => Promise.reject(away)
    await expect(w.report()).rejects.toBe(away)
    w.order.before = async () => undefined
    w.order.overtaken = 3
    await expect(w.report()).rejects.toEqual(code('state_contended'))
    expect(w.store.settled).toEqual([])
  })
})

describe('an outcome that is overdue', () => {
  const missing = { type: 'outcome.missing', subject: decisionId }
  it('is said to be missing, once, and stays spent in full (V9)', async () => {
    const w = await allowed()
    w.order.now = now + 999
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    expect(w.writes).toHaveLength(1)
    w.order.now = now + 1000
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    const data = { decision_id: decisionId, grant_id: 'grt_1', due: spell(now + 1000) }
    expect(w.writes[1]).toMatchObject([{ ...missing, data }])
    expect(w.writes[1]).toHaveLength(1)
    expect([w.record()?.standing, w.taken()?.calls]).toEqual(['missing', 1n])
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    expect(w.writes).toHaveLength(2)
  })

  it('is not said to be missing while it is in hand, however long its write takes (V9)', async () => {
    const w = await allowed()
    const write = Promise.withResolvers<void>()
    w.order.before = () => write.promise
    const reported = w.report()
    await setImmediate()
    w.order.before = async () => undefined // applies to the next write
    w.order.now = now + 1000
    await sweepMissing(w.pdp, w.queues, w.inHand)
    write.reject(new Error('away'))
    await expect(reported).rejects.toThrow('away')
    await setImmediate()
    expect(w.record()?.standing).toBe('open')
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    expect(w.record()?.standing).toBe('missing')
  })

  it('is looked at again where it could not be said', async () => {
    const w = await allowed()
    w.order.now = now + 1000
    w.order.before = async () => Promise.reject(new Error('away'))
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    w.order.before = async () => undefined
    w.order.overtaken = 3
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    expect(w.record()?.standing).toBe('open')
    expect(w.told).toEqual([])
    await sweepMissing(w.pdp, w.queues, w.inHand)
    await setImmediate()
    expect(w.record()?.standing).toBe('missing')
  })

  it.each([
    { overdue: 50, atOnce: 1 },
    { overdue: 1000, atOnce: 13 },
    { overdue: 4000, atOnce: 32 },
  ])('is written among others, $atOnce of $overdue at a time: no call waits behind all (V18)', async (few) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const record = (n: number) => ({ id: `dec_${n}`, outcomeDue: now })
    const due = Array.from({ length: few.overdue }, (_, n) => ({ root: 'grt_1', record: record(n) }))
    const ledger = { decisions: { overdue: () => due } }
    let waiting = 0
    const queues = { addIfRoom: () => waiting++ } as unknown as TreeQueues
    const pdp = { clock: { now: () => now }, projection: { ledger } } as never
    const swept = sweepMissing(pdp, queues, new OutcomesInHand())
    expect(waiting).toBe(few.atOnce)
    await vi.advanceTimersByTimeAsync(9)
    expect(waiting).toBe(few.atOnce)
    await vi.advanceTimersByTimeAsync(1)
    expect(waiting).toBe(2 * few.atOnce)
    await vi.advanceTimersByTimeAsync(1250)
    await swept
    expect(waiting).toBe(few.overdue)
  })
})
