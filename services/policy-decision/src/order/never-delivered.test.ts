import { ServiceError } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import { queued } from './queued.fixture.ts'
import { allowedDraft, anAllow } from './tree-order.fixture.ts'

describe('an ALLOW that was never delivered', () => {
  const back = (id: string) => ({
    type: 'decision.abandoned',
    subject: id,
    data: { decision_id: id, grant_id: 'grt_1', call_id: `call_${id}` },
  })
  const fact = (id: string, more: object = {}) =>
    ({ topic: 'decisions.v1', verdict: 'counts', event: allowedDraft(id), ...more }) as never

  it('is taken back at once where it counts (V9)', async () => {
    const w = queued()
    w.add(anAllow('a'))
    await w.idle()
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    await w.idle()
    expect(w.writes[1]).toMatchObject([{ ...back('a'), version: 2 }])
    expect(w.trees.get('grt_1')?.taken.calls).toBe(0n)
    // The decision is not remembered for later.
    w.queues.onFact(fact('a'))
    await w.idle()
    expect(w.writes).toHaveLength(2)
  })

  it('else as soon as it does, once', async () => {
    const w = queued()
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    await w.idle()
    w.queues.onFact(fact('a', { topic: 'grants.v1' }))
    w.queues.onFact(fact('a', { verdict: 'void' }))
    w.queues.onFact(fact('a', { event: { type: 'outcome.reported', data: { decision_id: 'a' } } }))
    w.queues.onFact(fact('b'))
    expect(w.queues.length).toBe(0)
    w.add(anAllow('a'))
    await w.idle()
    w.queues.onFact(fact('a'))
    expect(w.queues.length).toBe(1)
    w.queues.onFact(fact('a'))
    expect(w.queues.length).toBe(1)
    await w.idle()
    expect(w.writes[1]).toMatchObject([back('a')])
    expect(w.writes[1]).toHaveLength(1)
  })

  it('is taken back once the bus takes events again: an outage costs no budget (V9)', async () => {
    const w = queued()
    w.add(anAllow('a'))
    await w.idle()
    let refusals = 2
    w.order.before = async () => {
      if (refusals-- > 0) throw new ServiceError('bus_unavailable')
    }
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    await expect.poll(() => w.trees.get('grt_1')?.taken.calls, { timeout: 20_000 }).toBe(0n)
    expect(refusals).toBe(-1)
    expect(w.writes.at(-1)).toMatchObject([back('a')])
  })

  it.each<[string, (w: ReturnType<typeof queued>) => void]>([
    [
      'other instances were first too often',
      ({ order }) => {
        order.overtaken = 3
      },
    ],
    [
      'it is not known whether the bus took that',
      ({ order }) => {
        order.before = async () => {
          order.before = async () => undefined
          throw new ServiceError('outcome_unknown')
        }
      },
    ],
  ])('is taken back later if %s: a busy tree costs no budget (V9)', async (_, hinder) => {
    const w = queued()
    w.add(anAllow('a'))
    await w.idle()
    hinder(w)
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    await expect.poll(() => w.trees.get('grt_1')?.taken.calls, { timeout: 20_000 }).toBe(0n)
    expect(w.writes.at(-1)).toMatchObject([back('a')])
  })

  it('is taken back before the decision point has stopped (V9)', async () => {
    const w = queued()
    const durable = Promise.withResolvers<void>()
    w.order.before = () => durable.promise
    const allowed = anAllow('a')
    allowed.work.recorded = () => w.queues.abandonOnce('grt_1', 'a', 'call_a')
    w.add(allowed)
    const stopped = w.queues.settled(20_000)
    await w.idle()
    expect(w.queues.length).toBe(0)
    durable.resolve()
    await stopped
    expect(w.writes[1]).toMatchObject([back('a')])
    expect(w.trees.get('grt_1')?.taken.calls).toBe(0n)
    await w.queues.settled(20_000)
  })

  it('holds up no stop where the bus is away', async () => {
    const w = queued()
    w.order.before = () => new Promise(() => undefined)
    w.add(anAllow('a'))
    await w.queues.settled(20)
  })

  it('stays as it is where it was settled meanwhile, or never counted', async () => {
    const w = queued()
    w.add(anAllow('a'))
    await w.idle()
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    const spent = w.trees.get('grt_1')?.allows.get('a')
    Object.assign(spent ?? {}, { standing: 'settled' })
    await w.idle()
    w.queues.abandonOnce('grt_1', 'a', 'call_a')
    w.queues.onFact(fact('a'))
    w.queues.abandonOnce('grt_1', 'unheard of', 'call_x')
    w.queues.onFact(fact('unheard of'))
    await w.idle()
    expect(w.writes).toHaveLength(1)
    expect(w.told).toEqual([])
  })

  it('of 2,048 that wait for it, the oldest is forgotten', async () => {
    const w = queued()
    w.add(anAllow('n0'), anAllow('n1'))
    await w.idle()
    for (const { allows } of w.trees.values())
      for (const id of ['n0', 'n1']) Object.assign(allows.get(id) ?? {}, { standing: 'missing' })
    for (let n = 0; n < 2048; n++) w.queues.abandonOnce('grt_1', `n${n}`, `call_n${n}`)
    w.queues.abandonOnce('grt_1', 'one more', 'c')
    w.queues.onFact(fact('n0'))
    expect(w.queues.length).toBe(0)
    w.queues.onFact(fact('n1'))
    expect(w.queues.length).toBe(1)
    await w.idle()
  })
})
