import { rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type AccessToken, signAccessToken } from '@bailiwick/credentials'
import { errorCode, ServiceError } from '@bailiwick/errors'
import { paths } from '@bailiwick/installation'
import { describe, expect, it } from 'vitest'
import { writeLog } from '../audit/write-log.ts'
import { audit, readLog } from '../audit.ts'
import { eventually } from '../e2e/world.ts'
import { holds, Stage } from './stage.ts'

/** Holds back what is published until it is opened; counts the callers that wait at it. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, open: resolve, waiting: 0 }
}

it('leaves a log in which nothing can be left out, doubled or put elsewhere unseen (V2, V15)', async () => {
  await using stage = await Stage.open()
  const agent = stage.agent()
  const { requestId, grantId } = await stage.grant(agent)
  for (let n = 0; n < 5; n++) await stage.warm(agent, grantId)
  await stage.approver.withdraw(requestId)
  await stage.judged(agent, grantId)
  await stage.restart()
  expect(await stage.judged(agent, grantId)).toBe('grant_revoked')
  expect(await stage.audited()).toMatchObject({ findings: [] })

  const { log: logDir, trust: trustPath } = paths(stage.data)
  const { entries } = await readLog(logDir, stage.trust.log.vkey)
  // By number, not by place: what one producer says on two topics may stand in the log the other way round.
  const lastOf = new Map<string, { n: number; sequence: string }>()
  for (const [n, bytes] of entries.entries()) {
    const { source, sequence } = JSON.parse(Buffer.from(bytes).toString())
    if (sequence > (lastOf.get(source)?.sequence ?? '')) lastOf.set(source, { n, sequence })
  }
  const ends = new Set([...lastOf.values()].map(({ n }) => n))
  const rulesOf = async (leaves: readonly Uint8Array[]) => {
    writeLog(stage.data, leaves)
    const { findings, gaps } = await audit({ logDir, trustPath })
    // Numbers that a killed process may have lost are named, and are not findings.
    return [...findings.map(({ rule }) => rule), ...gaps.map(() => 'V15')]
  }
  for (const n of entries.keys()) {
    // Only the next head can miss the last event of a producer without a successor.
    if (!ends.has(n)) expect(await rulesOf(entries.toSpliced(n, 1)), `without leaf ${n}`).not.toEqual([])
  }
  expect(await rulesOf([...entries, entries[20] as Uint8Array])).toContain('V2')
  const [first, second] = entries.flatMap((bytes, n) =>
    /"decision\.allowed"/.test(Buffer.from(bytes).toString()) ? [n] : [],
  )
  const swapped = [...entries]
  swapped[first as number] = entries[second as number] as Uint8Array
  swapped[second as number] = entries[first as number] as Uint8Array
  expect(await rulesOf(swapped)).not.toEqual([])
})

describe('the whole system, with a hand on its bus', () => {
  it('answers ALLOW, and has an effect, only once the decision is durable (V2)', async () => {
    await using stage = await Stage.open()
    const agent = stage.agent()
    const { grantId } = await stage.grant(agent)
    await stage.warm(agent, grantId)
    const held = gate()
    stage.before = async (_, events) => {
      if (!holds(events, 'decision.allowed')) return
      held.waiting++
      await held.promise
    }
    let answer: string | undefined
    const reading = (async () => {
      // Until one comes so far.
      while (held.waiting === 0) answer = await stage.read(agent, grantId)
    })()
    while (held.waiting === 0) await pause(5)
    answer = undefined
    await pause(200)
    expect({ answer, effects: stage.effects }).toEqual({ answer: undefined, effects: 1 })
    held.open()
    await reading
    expect(['allowed', 'deadline_exceeded']).toContain(answer)
    expect(stage.effects).toBe(answer === 'allowed' ? 2 : 1)
    expect(await stage.audited()).toMatchObject({ findings: [] })
  })

  it('denies a decision that is not durable in time, and takes it back when it turns out to be (V2, V9, V13)', async () => {
    await using stage = await Stage.open()
    const agent = stage.agent()
    const { grantId } = await stage.grant(agent)
    await agent.credential({ grantId }, { wait: AbortSignal.timeout(60_000) })
    const held = gate()
    stage.before = async (_, events) => {
      if (!holds(events, 'decision.allowed')) return
      held.waiting++
      await held.promise
    }
    // Until one comes so far; on a busy machine the deadline may pass before.
    do expect(await stage.read(agent, grantId)).toBe('deadline_exceeded')
    while (held.waiting === 0)
    held.open()
    await eventually(async () => (await stage.events('decisions.v1')).find(({ type }) => type === 'decision.abandoned'))
    expect(stage.effects).toBe(0)
    expect(await stage.audited()).toMatchObject({
      findings: [],
      counted: { 'decision.allowed': 1, 'decision.abandoned': 1 },
    })
  })

  it('denies while the log cannot be written, and has no effect (V13)', async () => {
    await using stage = await Stage.open()
    const agent = stage.agent()
    const { grantId } = await stage.grant(agent)
    await agent.credential({ grantId }, { wait: AbortSignal.timeout(60_000) })
    let broken = true
    stage.before = async (topic) => {
      if (broken && topic === 'decisions.v1') throw new ServiceError('outcome_unknown', 'broken before its effect')
    }
    expect(await stage.read(agent, grantId)).not.toBe('allowed')
    broken = false
    expect(stage.effects).toBe(0)
    await pause(1500)
    expect(await stage.audited()).toMatchObject({ findings: [] })
  })

  it('signs a credential only once its intent is durable (V4)', async () => {
    await using stage = await Stage.open()
    const agent = stage.agent()
    const { grantId } = await stage.grant(agent)
    const held = gate()
    let issued = 0
    stage.before = async (_, events) => {
      if (holds(events, 'credential.issued')) issued++
      if (!holds(events, 'credential.intended')) return
      held.waiting++
      await held.promise
    }
    let credential: object | undefined
    const minting = agent.credential({ grantId }, { wait: AbortSignal.timeout(60_000) }).then((is) => {
      credential = is
    })
    while (held.waiting === 0) await pause(5)
    await pause(200)
    expect({ credential, issued }).toEqual({ credential: undefined, issued: 0 })
    held.open()
    await minting
    expect(issued).toBe(1)
    await stage.warm(agent, grantId)
    expect(await stage.audited()).toMatchObject({ findings: [], counted: { 'credential.issued': 1 } })
  })

  it("denies a credential that the issuer's own key signed without an intent (V4)", async () => {
    await using stage = await Stage.open()
    const honest = stage.agent()
    const { grantId } = await stage.grant(honest)
    const { token } = await honest.credential({ grantId }, { wait: AbortSignal.timeout(60_000) })
    const claims: AccessToken = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    const key = stage.system.host.key('issuer', 'credential', 'credential')
    const unrecorded = signAccessToken({ ...claims, jti: `crd_${'0'.repeat(26)}` }, key)
    // A stolen issuer hands it out: the agent uses what it is given.
    const stolen: typeof fetch = async (url, init) =>
      String(url).endsWith('/oauth/token')
        ? Response.json({ access_token: unrecorded, token_type: 'DPoP', expires_in: 300 })
        : fetch(url, init)
    expect(await stage.judged(stage.agent({ fetch: stolen }), grantId)).toBe('credential_unrecorded')
    expect(stage.effects).toBe(0)
    await stage.warm(honest, grantId)
    expect(await stage.audited()).toMatchObject({ findings: [] })
  })

  it('allows nothing after a withdrawal, even if a store is flushed or a process restarted (V7)', async () => {
    await using stage = await Stage.open()
    const agent = stage.agent()
    const { requestId, grantId } = await stage.grant(agent)
    await stage.warm(agent, grantId)
    await stage.approver.withdraw(requestId)
    expect(await stage.judged(agent, grantId)).toBe('grant_revoked')
    await stage.stop()
    rmSync(paths(stage.data).grants, { recursive: true })
    await stage.start()
    expect(await stage.judged(agent, grantId)).toBe('grant_revoked')
    await expect(stage.agent().credential({ grantId })).rejects.toMatchObject({ code: 'access_request_refused' })
    expect(stage.effects).toBe(1)
    expect(await stage.audited()).toMatchObject({ findings: [], counted: { 'revocation.declared': 1 } })
  })

  it('allows and mints nothing without young heads of the issuer, and goes on when they are back (V8)', async () => {
    await using stage = await Stage.open({ BAILIWICK_MAX_STALENESS: '2s' })
    const agent = stage.agent()
    const { grantId } = await stage.grant(agent)
    await stage.warm(agent, grantId)
    const silence = gate()
    stage.before = async (topic, events) => {
      const fromIssuer = topic === 'heads.v1' && events.some(({ key }) => key.startsWith('/issuer/'))
      if (fromIssuer) await silence.promise
    }
    await eventually(async () => {
      await pause(20) // as often as it can, a fast machine would spend the whole budget
      return (await stage.read(agent, grantId)) === 'state_stale' || undefined
    })
    const before = stage.effects
    expect(await stage.read(agent, grantId)).toBe('state_stale')
    const minting = await stage.agent().credential({ grantId }).catch(errorCode)
    expect(minting).toBe('service_unready')
    expect(stage.effects).toBe(before)
    silence.open()
    await stage.warm(agent, grantId)
    expect(await stage.audited()).toMatchObject({ findings: [] })
  })
})
