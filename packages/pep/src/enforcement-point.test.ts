import { type Action, actionDigest, actionText, generateKey, saltedHash } from '@bailiwick/credentials'
import { ServiceError } from '@bailiwick/errors'
import { systemClock } from '@bailiwick/kit'
import { describe, expect, it } from 'vitest'
import type { Permitted } from './enforcement-point.ts'
import { memoryOutcomeStore } from './outcome-store.ts'
import { aCall, anAction, aPoint, certify, type Evaluation, FakePdp } from './pdp.fixture.ts'

/** Counts effects: a denial must leave the count at 0. */
function anEffect() {
  const done: Permitted[] = []
  return {
    done,
    run: async (permitted: Permitted) => {
      done.push(permitted)
      return 'result'
    },
  }
}

describe('guard', () => {
  it('runs the effect once with exactly the arguments that were allowed, and reports it (V1)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    const guarded = await point.guard(aCall(), effect.run, () => ({ http_status: 200, egress_bytes: 12 }))
    expect(guarded).toMatchObject({ allowed: true, result: 'result' })
    expect(effect.done).toHaveLength(1)
    expect(effect.done[0]?.action).toEqual(anAction())
    await point.delivered()
    const [evaluation] = pdp.evaluations
    expect(evaluation).toMatchObject({
      action: { name: 'tools/call', properties: { amount: '10.00', currency: 'EUR' } },
      context: { bailiwick: { credential: 'a.b.c', proof: 'd.e.f', htm: 'POST', htu: 'https://api.example/adjust' } },
    })
    expect(pdp.outcomes).toMatchObject([
      {
        sequence: 1,
        status: 'succeeded',
        http_status: 200,
        egress_bytes: 12,
        decision_id: guarded.allowed && guarded.decisionId,
        call_id: evaluation?.context.bailiwick.call_id,
        action_digest: evaluation?.context.bailiwick.action_digest,
      },
    ])
  })

  it('signs its outcome over the call that it saw, under the salt that the permit holds (V1, V17)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const salt = Buffer.alloc(16, 7).toString('base64url')
    pdp.answer = (evaluation) => pdp.allow(evaluation, { action_salt: salt })
    const hash = saltedHash({ salt, text: actionText(anAction()) })
    await point.guard(aCall(), async ({ actionHash }) => expect(actionHash).toBe(hash))
    await point.guard(aCall(), async () => Promise.reject(new Error('no effect'))).catch(() => undefined)
    await point.delivered()
    expect(pdp.outcomes.map(({ action_digest }) => action_digest)).toEqual([hash, hash])
    expect(JSON.stringify(pdp.outcomes)).not.toContain(actionDigest(anAction()))
  })

  it('gives the effect arguments that can no longer be changed (V1)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const action = anAction()
    await point.guard(aCall(action), async (permitted) => {
      action.properties = { amount: '9999' }
      expect(permitted.action.properties).toEqual({ amount: '10.00', currency: 'EUR' })
      expect(() => Object.assign(permitted.action.properties, { amount: '9999' })).toThrow(TypeError)
    })
    expect.assertions(2)
  })

  const otherDigest = 'A'.repeat(43)
  const second = () => Math.floor(systemClock.now() / 1000)
  const lies: [string, string, (pdp: FakePdp, evaluation: Evaluation) => unknown][] = [
    ['denies', 'policy_denied', () => ({ body: { decision: false, context: { reason: 'policy_denied' } } })],
    [
      'denies for a reason of a later version',
      'internal',
      () => ({ body: { decision: false, context: { reason: 'x' } } }),
    ],
    ['denies without a word', 'internal', () => ({ body: { decision: false } })],
    ['answers 500', 'pdp_unavailable', (pdp, e) => ({ ...pdp.allow(e), status: 500 })],
    ['answers 201', 'pdp_unavailable', (pdp, e) => ({ ...pdp.allow(e), status: 201 })],
    ['answers 400', 'request_invalid', () => ({ status: 400, body: {} })],
    ['answers 413', 'body_too_large', () => ({ status: 413, body: {} })],
    ['answers garbage', 'pdp_unavailable', () => ({ text: '<html>' })],
    ['answers nothing', 'pdp_unavailable', () => ({ text: '' })],
    [
      'answers without end',
      'pdp_unavailable',
      (pdp, e) => ({ body: { ...(pdp.allow(e).body as object), more: 'a'.repeat(1_100_000) } }),
    ],
    [
      'says both: the second of two equal keys allows',
      'pdp_unavailable',
      (pdp, e) => ({ text: `{"decision":false,${JSON.stringify(pdp.allow(e).body).slice(1)}` }),
    ],
    [
      'says "true" in quotes',
      'pdp_unavailable',
      (pdp, e) => ({ body: { ...(pdp.allow(e).body as object), decision: 'true' } }),
    ],
    ['allows without a permit', 'pdp_unavailable', () => ({ body: { decision: true, context: {} } })],
    [
      'sends an empty permit',
      'pdp_unavailable',
      () => ({ body: { decision: true, context: { decision_id: `dec_${'1'.repeat(20)}`, permit: '' } } }),
    ],
    ['permits another action', 'permit_invalid', (pdp, e) => pdp.allow(e, { action_digest: otherDigest })],
    ['permits another enforcement point', 'permit_invalid', (pdp, e) => pdp.allow(e, { aud: 'another-point' })],
    ['permits another instance', 'permit_invalid', (pdp, e) => pdp.allow(e, { instance: `${'B'.repeat(21)}A` })],
    ['permits whichever instance', 'permit_invalid', (pdp, e) => pdp.allow(e, { instance: undefined } as never)],
    ['is another PDP', 'permit_invalid', (pdp, e) => pdp.allow(e, { iss: 'https://pdp.example' })],
    [
      'sends a permit that has expired',
      'permit_invalid',
      (pdp, e) => pdp.allow(e, { iat: second() - 20, exp: second() - 15 }),
    ],
    [
      'sends a permit of the future',
      'permit_invalid',
      (pdp, e) => pdp.allow(e, { iat: second() + 60, exp: second() + 65 }),
    ],
    ['signs with an uncertified key', 'permit_invalid', (pdp, e) => pdp.allow(e, {}, generateKey('permit'))],
    [
      'names another decision than its permit',
      'permit_invalid',
      (pdp, e) => ({
        body: { decision: true, context: { decision_id: `dec_${'9'.repeat(20)}`, permit: pdp.permit(e) } },
      }),
    ],
    [
      'puts a condition into the permit',
      'obligation_unknown',
      (pdp, e) => pdp.allow(e, { obligations: [{ id: 'log' }] }),
    ],
    [
      'puts a condition beside the permit',
      'obligation_unknown',
      (pdp, e) => {
        const { context } = pdp.allow(e).body as { context: object }
        return { body: { decision: true, context: { ...context, obligations: [{ id: 'redact' }] } } }
      },
    ],
    [
      'limits what it allows',
      'obligation_unknown',
      (pdp, e) => {
        const { context } = pdp.allow(e).body as { context: object }
        return { body: { decision: true, context: { ...context, limit: { rows: 3 } } } }
      },
    ],
  ]
  it.each(lies)('has no effect when the PDP %s: %s (V1, V13)', async (_, reason, lie) => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    pdp.answer = (evaluation) => lie(pdp, evaluation) as object
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason })
    expect(effect.done).toHaveLength(0)
    // The same point still allows an honest call afterwards.
    pdp.answer = (evaluation) => pdp.allow(evaluation)
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: true })
  })

  it('follows no PDP that sends it elsewhere (V13)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    pdp.answer = (evaluation) =>
      pdp.evaluations.length === 1 ? { status: 307, headers: { location: '/elsewhere' } } : pdp.allow(evaluation)
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'pdp_unavailable' })
    expect([effect.done.length, pdp.evaluations.length]).toEqual([0, 1])
  })

  it('has no effect when the PDP does not answer in time (V1, V13)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp, { timeoutMs: 100 })
    const effect = anEffect()
    pdp.answer = () => ({ hang: true })
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'pdp_unavailable' })
    expect(effect.done).toHaveLength(0)
  })

  it('has no effect when there is no PDP (V1, V13)', async () => {
    const pdp = await FakePdp.start()
    await pdp[Symbol.asyncDispose]()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'pdp_unavailable' })
    expect(effect.done).toHaveLength(0)
  })

  const certificates: [string, (pdp: FakePdp) => unknown][] = [
    ['has no certificate', () => undefined],
    ['has a certificate by another root', (pdp) => certify(pdp.permitKey, {}, generateKey('root'))],
    ['has the certificate of another key', () => certify(generateKey('permit'))],
    ['is certified for another purpose', (pdp) => certify(pdp.permitKey, { purpose: 'binding-token' })],
    ['is certified for another installation', (pdp) => certify(pdp.permitKey, { installation: 'ins_another0000000' })],
    ['is no longer certified', (pdp) => certify(pdp.permitKey, { not_after: '2026-02-01T00:00:00.000Z' })],
    ['is not certified yet', (pdp) => certify(pdp.permitKey, { not_before: '2045-01-01T00:00:00.000Z' })],
  ]
  it.each(certificates)('has no effect when the permit key %s (V1, V12)', async (_, certificate) => {
    await using pdp = await FakePdp.start()
    pdp.jwks = () => ({ keys: [{ ...pdp.permitKey.publicJwk, kid: pdp.permitKey.kid, certificate: certificate(pdp) }] })
    await using point = await aPoint(pdp)
    const effect = anEffect()
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'permit_invalid' })
    expect(effect.done).toHaveLength(0)
  })

  it.each([
    ['nothing', undefined],
    ['garbage', { keys: 'none' }],
  ])('has no effect when the key set is %s (V13)', async (_, set) => {
    await using pdp = await FakePdp.start()
    pdp.jwks = () => set
    await using point = await aPoint(pdp)
    const effect = anEffect()
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'pdp_unavailable' })
    expect(effect.done).toHaveLength(0)
  })

  it('takes a permit by a key that the PDP began to use later, and none by one that it gave up', async () => {
    await using pdp = await FakePdp.start()
    let now = systemClock.now()
    pdp.now = () => now
    await using point = await aPoint(pdp, { now: () => now })
    expect(await point.guard(aCall(), anEffect().run)).toMatchObject({ allowed: true })
    const next = generateKey('permit')
    pdp.jwks = () => ({ keys: [{ certificate: certify(next) }] })
    pdp.answer = (evaluation) => pdp.allow(evaluation, {}, next)
    now += 2000
    expect(await point.guard(aCall(), anEffect().run)).toMatchObject({ allowed: true })
    pdp.answer = (evaluation) => pdp.allow(evaluation)
    expect(await point.guard(aCall(), anEffect().run)).toMatchObject({ allowed: false, reason: 'permit_invalid' })
  })

  it('does not let strangers make it read the key set again and again', async () => {
    await using pdp = await FakePdp.start()
    const { jwks } = pdp
    let reads = 0
    pdp.jwks = () => {
      reads++
      return jwks()
    }
    await using point = await aPoint(pdp, { now: () => 1_900_000_000_000 })
    pdp.now = () => 1_900_000_000_000
    pdp.answer = (evaluation) => pdp.allow(evaluation, {}, generateKey('permit'))
    for (let n = 0; n < 5; n++) await point.guard(aCall(), anEffect().run)
    expect([pdp.evaluations.length, reads]).toEqual([5, 1])
  })

  it('stops taking permits by a key that the PDP withdrew within a minute', async () => {
    await using pdp = await FakePdp.start()
    let now = systemClock.now()
    pdp.now = () => now
    await using point = await aPoint(pdp, { now: () => now })
    expect(await point.guard(aCall(), anEffect().run)).toMatchObject({ allowed: true })
    pdp.jwks = () => ({ keys: [] })
    now += 60_000
    expect(await point.guard(aCall(), anEffect().run)).toMatchObject({ allowed: false, reason: 'permit_invalid' })
  })

  it('refuses arguments that changed after the permit, and says that nothing was executed (V1)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    const action = anAction('10.00')
    pdp.answer = (evaluation) => {
      action.properties = { ...action.properties, amount: '9999.00' }
      return pdp.allow(evaluation)
    }
    const guarded = await point.guard(aCall(action), effect.run)
    expect(guarded).toMatchObject({ allowed: false, reason: 'permit_action_mismatch' })
    expect(effect.done).toHaveLength(0)
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'not_executed', sequence: 1 }])
  })

  it('refuses arguments that can no longer be read after the permit (V1, V13)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    let reads = 0
    const action = (): Action => {
      if (reads++ > 0) throw new Error('gone')
      return anAction()
    }
    expect(await point.guard(aCall(action), effect.run)).toMatchObject({ reason: 'permit_action_mismatch' })
    expect(effect.done).toHaveLength(0)
  })

  it('lets one of twenty racers have the effect of one permit (V1, V10)', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    let answer: ReturnType<FakePdp['allow']> | undefined
    pdp.answer = (evaluation) => {
      answer ??= pdp.allow(evaluation)
      return answer
    }
    const guarded = await Promise.all(Array.from({ length: 20 }, () => point.guard(aCall(), effect.run)))
    expect(effect.done).toHaveLength(1)
    expect(guarded.filter((g) => g.allowed)).toHaveLength(1)
    expect(guarded.filter((g) => !g.allowed && g.reason === 'permit_used')).toHaveLength(19)
    await point.delivered()
    // One decision has one outcome: a second one, not_executed, would give back what was spent.
    expect(pdp.outcomes).toMatchObject([{ status: 'succeeded' }])
  })

  it('gives no caller the answer to a call of the same id that is still being decided (V10)', async () => {
    await using pdp = await FakePdp.start()
    let now = systemClock.now()
    pdp.now = () => now
    await using point = await aPoint(pdp, { now: () => now })
    now += 7001
    const callId = 'call-0123456789abcdef'
    const effect = anEffect()
    const guarded = await Promise.all([
      point.guard({ ...aCall(), callId }, effect.run),
      point.guard({ ...aCall(), callId }, effect.run),
    ])
    expect(guarded).toMatchObject([
      { allowed: true, callId },
      { allowed: false, reason: 'call_in_progress' },
    ])
    expect(pdp.evaluations).toHaveLength(1)
  })

  it('says nothing about a call whose old permit the PDP sends again: its effect may have happened (V9, V10)', async () => {
    await using pdp = await FakePdp.start()
    let now = systemClock.now()
    pdp.now = () => now
    await using point = await aPoint(pdp, { now: () => now })
    let answer: ReturnType<FakePdp['allow']> | undefined
    pdp.answer = (evaluation) => {
      answer ??= pdp.allow(evaluation)
      return answer
    }
    const effect = anEffect()
    await point.guard(aCall(), effect.run)
    now += 60_000
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'permit_invalid' })
    expect(effect.done).toHaveLength(1)
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ status: 'succeeded' }])
  })

  it('takes a permit for as long as it lives by the clock of a PDP that is a second ahead, and then never again (V10)', async () => {
    await using pdp = await FakePdp.start()
    let now = Math.floor(systemClock.now() / 1000) * 1000
    await using point = await aPoint(pdp, { now: () => now })
    let answer: ReturnType<FakePdp['allow']> | undefined
    pdp.now = () => now + 1000
    pdp.answer = (evaluation) => {
      answer ??= pdp.allow(evaluation)
      return answer
    }
    const effect = anEffect()
    await point.guard(aCall(), effect.run)
    for (const ms of [5000, 1999, 1, 1]) {
      now += ms
      expect((await point.guard(aCall(), effect.run)).allowed).toBe(false)
    }
    expect(effect.done).toHaveLength(1)
  })

  it("asks under the caller's id for a call, and under one of its own where that is none", async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const callId = 'call-0123456789abcdef'
    await point.guard({ ...aCall(), callId }, anEffect().run)
    await point.guard(aCall(), anEffect().run)
    const ids = pdp.evaluations.map((e) => e.context.bailiwick.call_id)
    expect(ids[0]).toBe(callId)
    expect(ids[1]).toMatch(/^call_[0-9A-Z]{26}$/)
  })

  it.each(['', 'no id', 'call-0123456789abcdef ', 'x'.repeat(65)])(
    'refuses %j, which is no call id: under another, a repetition would be another call (V10)',
    async (callId) => {
      await using pdp = await FakePdp.start()
      await using point = await aPoint(pdp)
      const effect = anEffect()
      expect(await point.guard({ ...aCall(), callId }, effect.run)).toEqual({
        allowed: false,
        reason: 'request_malformed',
      })
      expect([effect.done, pdp.evaluations]).toEqual([[], []])
    },
  )

  it('of a name run no effect by a permit that another of them was given (V1, V10)', async () => {
    await using pdp = await FakePdp.start()
    await using first = await aPoint(pdp)
    await using second = await aPoint(pdp)
    let given: ReturnType<FakePdp['allow']> | undefined
    pdp.answer = (evaluation) => {
      given ??= pdp.allow(evaluation)
      return given
    }
    const effect = anEffect()
    const call = { ...aCall(), callId: 'call-0123456789abcdef' }
    expect(await first.guard(call, effect.run)).toMatchObject({ allowed: true })
    expect(await second.guard(call, effect.run)).toMatchObject({ reason: 'permit_invalid' })
    expect(effect.done).toHaveLength(1)
  })

  it('reports what the effect threw as failed, or as unknown, and throws it on', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const throwing = (error: Error) =>
      point.guard(aCall(), () => {
        throw error
      })
    await expect(throwing(new Error('the disk is full'))).rejects.toThrow('the disk is full')
    await expect(throwing(new ServiceError('outcome_unknown'))).rejects.toMatchObject({ code: 'outcome_unknown' })
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([
      { sequence: 1, status: 'failed' },
      { sequence: 2, status: 'unknown' },
    ])
  })

  it('reports an effect that happened even when its description is none', async () => {
    await using pdp = await FakePdp.start()
    const problems: string[] = []
    await using point = await aPoint(pdp, { onProblem: ({ code }) => problems.push(code) })
    const guarded = await point.guard(aCall(), anEffect().run, () => ({ cost: { amount: 'much', currency: 'EUR' } }))
    expect(guarded).toMatchObject({ allowed: true, result: 'result' })
    await point.delivered()
    expect(pdp.outcomes).toMatchObject([{ sequence: 1, status: 'succeeded' }])
    expect(problems).toEqual(['internal'])
  })

  it('tells its owner why a call is refused as internal, and the caller nothing (V13)', async () => {
    await using pdp = await FakePdp.start()
    const problems: unknown[] = []
    const now = () => {
      if (pdp.evaluations.length > 0) throw new Error('no clock')
      return systemClock.now()
    }
    await using point = await aPoint(pdp, { now, onProblem: ({ code, cause }) => problems.push([code, cause]) })
    const effect = anEffect()
    const guarded = await point.guard(aCall(), effect.run)
    expect(guarded).toMatchObject({ allowed: false, reason: 'internal' })
    expect(JSON.stringify(guarded)).not.toContain('clock')
    expect(problems).toEqual([['internal', new Error('no clock')]])
    expect(effect.done).toHaveLength(0)
  })

  it('refuses arguments without a canonical form before it asks anybody', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const effect = anEffect()
    const call = aCall({ ...anAction(), properties: { amount: Number.NaN } })
    await expect(point.guard(call, effect.run)).rejects.toMatchObject({ code: 'request_malformed' })
    expect(pdp.evaluations).toHaveLength(0)
    expect(effect.done).toHaveLength(0)
  })

  it('passes on where access can be asked for, and the nonce that the next proof needs', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const access_request = {
      endpoint: 'http://localhost:8420/access/v1/requests',
      expires_at: '2026-01-01T00:00:00.000Z',
      binding_token: 'a.b.c',
    }
    pdp.answer = () => ({
      body: { decision: false, context: { reason: 'credential_missing', access_request, dpop_nonce: 'n-1' } },
    })
    const call = { ...aCall(), credential: undefined, proof: undefined }
    const guarded = await point.guard(call, anEffect().run)
    expect(guarded).toMatchObject({ reason: 'credential_missing', accessRequest: access_request, dpopNonce: 'n-1' })
    expect(pdp.evaluations[0]?.subject.id).toBe('unknown')
  })

  it('lets nothing more happen once what happened can no longer be told (V13)', async () => {
    await using pdp = await FakePdp.start()
    pdp.outcome = () => ({ status: 503 })
    await using point = await aPoint(pdp, { maxPendingOutcomes: 3, store: memoryOutcomeStore() })
    const effect = anEffect()
    for (let n = 0; n < 3; n++) await point.guard(aCall(), effect.run)
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: false, reason: 'queue_full' })
    expect(effect.done).toHaveLength(3)
    pdp.outcome = () => ({ status: 204 })
    await point.delivered()
    expect(await point.guard(aCall(), effect.run)).toMatchObject({ allowed: true })
  })
})
