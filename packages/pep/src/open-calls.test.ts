import { ServiceError } from '@bailiwick/errors'
import { describe, expect, it } from 'vitest'
import type { Permitted } from './enforcement-point.ts'
import { aCall, anAction, aPoint, FakePdp } from './pdp.fixture.ts'

/** An effect that goes on until its signal is aborted, and then throws the reason. */
const goesOn = ({ signal }: Permitted) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
const over = (reason: string, ...decisions: (string | undefined)[]) => ({
  body: { over: decisions.map((decision_id) => ({ decision_id, reason })), unknown: [] },
})

describe('a call that goes on', () => {
  it('is asked about, and is cut when its grant no longer stands (V7)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    pdp.openCalls = ([decision]) => over('grant_revoked', decision)
    await expect(point.guard(aCall(), goesOn)).rejects.toThrow('stream_cut: grant_revoked')
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
  })

  it('goes on while another call is cut', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const asked = new Set<number>()
    let first: string | undefined
    pdp.openCalls = (decisions) => {
      asked.add(decisions.length)
      first ??= decisions[0]
      return decisions.length < 2 && asked.size === 1 ? over('none') : over('delegation_revoked', first)
    }
    const finish = new AbortController()
    const calls = [0, 1].map(() =>
      point.guard(aCall(), (permitted) =>
        Promise.race([
          goesOn(permitted),
          new Promise((resolve) => finish.signal.addEventListener('abort', () => resolve('done'))),
        ]),
      ),
    )
    const cut = await Promise.race(calls.map((call) => call.catch((error: unknown) => String(error))))
    expect(cut).toContain('delegation_revoked')
    await expect.poll(() => asked.has(1)).toBe(true)
    finish.abort()
    const ends = await Promise.allSettled(calls)
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it('and what it leaves behind are watched apart, although one decision allowed both (V7)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const left: string[] = []
    let asks = 0
    pdp.openCalls = (decisions) => (++asks < 3 ? over('none') : over('delegation_revoked', ...new Set(decisions)))
    const call = point.guard(aCall(), (permitted) => {
      point.watch(permitted.decisionId, (why) => left.push(why))
      return goesOn(permitted)
    })
    await expect(call).rejects.toThrow('stream_cut: delegation_revoked')
    await expect.poll(() => left).toEqual(['delegation_revoked'])
  })

  it('leaves behind what is watched after it, however long it went on (V7)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const left: string[] = []
    const asked = Promise.withResolvers<void>()
    let isWithdrawn = false
    let asks = 0
    pdp.openCalls = ([decision]) => {
      if (++asks === 5) asked.resolve()
      return isWithdrawn ? over('grant_revoked', decision) : over('none')
    }
    await point.guard(aCall(), async ({ decisionId }) => {
      point.watch(decisionId, (why) => left.push(why))
      await asked.promise
    })
    isWithdrawn = true
    await expect.poll(() => left).toEqual(['grant_revoked'])
  })

  it('is over before it is asked about if it is short', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    let asks = 0
    pdp.openCalls = () => {
      asks++
      return over('none')
    }
    for (let n = 0; n < 20; n++) await point.guard(aCall(), async () => 'done')
    expect(asks).toBe(0)
  })

  it.each<[string, FakePdp['openCalls'], string, number]>([
    ['the decision point does not answer', () => ({ hang: true }), 'pdp_unavailable', 600],
    ['the decision point answers nonsense', () => ({ body: { over: 'none' } }), 'pdp_unavailable', 600],
    ['the decision point does not know it', (unknown) => ({ body: { over: [], unknown } }), 'pdp_unavailable', 600],
    ['the decision point is of an earlier version', () => ({ status: 404 }), 'pdp_unavailable', 600],
    ['the decision point is not fresh', () => ({ status: 503, body: { code: 'state_stale' } }), 'state_stale', 60_000],
  ])('is cut when %s (V8, V13)', async (_, openCalls, why, maxSilenceMs) => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp, { maxSilenceMs })
    pdp.openCalls = openCalls
    await expect(point.guard(aCall(), goesOn)).rejects.toThrow(`stream_cut: ${why}`)
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'unknown', cut: why }])
  })

  it('survives single answers that are lost', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp, { maxSilenceMs: 10_000 })
    let asks = 0
    const answered = Promise.withResolvers<void>()
    pdp.openCalls = () => {
      if (++asks === 20) answered.resolve()
      return asks % 2 ? { status: 500 } : over('none')
    }
    const call = point.guard(aCall(), (permitted) => Promise.race([goesOn(permitted), answered.promise]))
    expect(await call).toMatchObject({ allowed: true })
  })

  it('says how long it may flow, and is cut after that', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const call = point.guard({ ...aCall(), answerSeconds: 1 }, goesOn)
    await expect(call).rejects.toThrow('stream_cut: deadline_exceeded')
    expect(pdp.evaluations[0]?.context.bailiwick).toMatchObject({ answer_seconds: 1 })
  })

  it('is cut when its point closes, and its outcome is delivered', async () => {
    await using pdp = await FakePdp.start()
    const point = await aPoint(pdp)
    const began = Promise.withResolvers<void>()
    const call = point.guard(aCall(), (permitted) => {
      began.resolve()
      return goesOn(permitted)
    })
    await began.promise
    const closing = point[Symbol.asyncDispose]()
    await expect(call).rejects.toThrow('stream_cut: point_closed')
    await closing
    expect(pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'point_closed' }])
  })

  it('does not begin if its point closes while it is decided', async () => {
    await using pdp = await FakePdp.start()
    const point = await aPoint(pdp)
    const held = Promise.withResolvers<void>()
    pdp.answer = async (evaluation) => {
      await held.promise
      return pdp.allow(evaluation)
    }
    let began = 0
    const call = point.guard(aCall(), async () => ++began)
    await expect.poll(() => pdp.evaluations.length).toBe(1)
    const closing = point[Symbol.asyncDispose]()
    held.resolve()
    expect(await call).toMatchObject({ allowed: false, reason: 'call_not_begun' })
    await closing
    expect(began).toBe(0)
    expect(pdp.outcomes).toMatchObject([{ status: 'not_executed' }])
  })

  it('that a description still measures is watched until that is over', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    pdp.openCalls = ([decision]) => over('agent_revoked', decision)
    let signal: AbortSignal | undefined
    await point.guard(
      aCall(),
      async (permitted) => {
        signal = permitted.signal
        return 'begun'
      },
      async () => {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
        return { status: 'unknown', cut: signal?.reason.detail, egress_bytes: 5 }
      },
    )
    await expect.poll(() => pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'agent_revoked', egress_bytes: 5 }])
  })
})

describe('bytes that are forwarded', () => {
  it('are copied before they are read: what was decided on is what the effect gets (V1)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const bytes = Buffer.from('{"amount":"10.00"}')
    pdp.answer = (asked) => {
      bytes.fill('9')
      return pdp.allow(asked)
    }
    const action = (view: Uint8Array) => ({ ...anAction(), properties: JSON.parse(Buffer.from(view).toString()) })
    const sent = await point.guard({ ...aCall(), bytes, action }, async (permitted) => permitted)
    expect(sent).toMatchObject({ result: { action: { properties: { amount: '10.00' } } } })
    expect(Buffer.from(Object(sent).result.bytes).toString()).toBe('{"amount":"10.00"}')
    expect(pdp.evaluations[0]?.action.properties).toEqual({ amount: '10.00' })
  })

  it('that give another action the second time are refused', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    let reads = 0
    const action = () => anAction(`${++reads}.00`)
    const effect = async () => 'done'
    expect(await point.guard({ ...aCall(), bytes: Buffer.from('x'), action }, effect)).toMatchObject({
      allowed: false,
      reason: 'permit_action_mismatch',
    })
  })
})

describe('an effect that throws', () => {
  it.each([
    ['call_not_begun', 'not_executed'],
    ['call_in_progress', 'not_executed'],
    ['upstream_unreachable', 'not_executed'],
    ['upstream_busy', 'not_executed'],
    ['upstream_address_forbidden', 'not_executed'],
    ['secret_unavailable', 'not_executed'],
    ['upstream_timed_out', 'unknown'],
    ['upstream_failed', 'unknown'],
    ['upstream_redirected', 'unknown'],
    ['outcome_unknown', 'unknown'],
    ['queue_full', 'failed'],
    ['internal', 'failed'],
  ] as const)('%s is reported as %s', async (code, status) => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const failing = point.guard(aCall(), async () => {
      throw new ServiceError(code)
    })
    await expect(failing).rejects.toThrow(code)
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status }])
  })
})
