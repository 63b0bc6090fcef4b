import { generateKey, signCallerAssertion } from '@bailiwick/credentials'
import { newId } from '@bailiwick/kit'
import { sampleKey } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { agentId, askTokenWithNonce, type CallAsk, credentialFor, read } from './agent-side.ts'
import { granted } from './granted.ts'
import { eventually, type World } from './world.ts'

const otherPoint = { id: 'other-point', key: generateKey('pep-caller') }

function otherCaller({ clock, random, url }: World): string {
  const iat = Math.floor(clock.now() / 1000)
  const { id, key } = otherPoint
  const jti = newId('call', clock.now(), random)
  return signCallerAssertion({ iss: id, sub: id, aud: url, iat, exp: iat + 60, jti }, key)
}

it('an agent or enforcement point over its limit of concurrent requests gets 429, and others are served (V18)', async () => {
  const gate = Promise.withResolvers<void>()
  const holds = new Set<string | undefined>()
  await using system = await granted({
    entities: (all) => [
      ...all,
      ...all.flatMap((each) => {
        if (each.type !== 'enforcement-point') return []
        const { id, key } = otherPoint
        return [{ ...each, value: { ...each.value, id, caller_jwk: { ...key.publicJwk } } }]
      }),
    ],
    pdp: { agentCalls: 3, pointCalls: 5, decisionDeadlineMs: 600_000 },
    wrapRecord: (record) => async (drafts) => {
      if (drafts.some(({ type, key }) => type === 'decision.allowed' && holds.has(key))) await gate.promise
      return record(drafts)
    },
  })
  const { world, people, point } = system
  const forecaster = 'forecaster'
  const theirs = await people.grant({ agent: forecaster })
  const details = [{ type: 'bailiwick_grant', grant_id: theirs.grantId }]
  const { token } = await eventually(async () => {
    const answer = await askTokenWithNonce(world, { agent: forecaster, details })
    return answer.token === undefined ? undefined : answer
  })
  const ours: CallAsk = { credential: system.credential, ...read }
  const other: CallAsk = {
    ...{ credential: token, proofKey: sampleKey(world.data, forecaster), subject: agentId(forecaster) },
    ...read,
  }
  const elsewhere = await credentialFor(world, (await people.grant()).grantId)
  const earlier = await point.call({ credential: elsewhere, ...read, observed: { call_id: `call_${'1'.repeat(20)}` } })
  expect(earlier.decision).toBe(true)

  const answers: { decision?: boolean; code?: string; retry: unknown }[] = []
  const send = async (ask: CallAsk, caller?: string) => {
    const answer = await point.send(point.body(ask).body, caller)
    return { ...answer.json(), retry: answer.headers['retry-after'] } as (typeof answers)[number]
  }
  const running = [ours, ours, ours, ours].map(async (ask) => answers.push(await send(ask)))
  holds.add(system.grant.grantId)
  // Three stay under way, so the one that came last is the one that is answered.
  await eventually(() => answers.length > 0 || undefined)
  expect(answers).toEqual([expect.objectContaining({ status: 429, code: 'queue_full', retry: '1' })])
  // Another task of the agent shares the limit.
  expect(await send({ credential: elsewhere, ...read })).toMatchObject({ status: 429, code: 'queue_full', retry: '1' })
  expect(await send(other)).toMatchObject({ decision: true })

  answers.length = 0
  holds.add(theirs.grantId)
  running.push(...[other, other, other].map(async (ask) => answers.push(await send(ask))))
  await eventually(() => answers.length > 0 || undefined)
  expect(answers).toEqual([expect.objectContaining({ code: 'queue_full', retry: '1' })])
  expect(await send({ credential: elsewhere, ...read })).toMatchObject({ code: 'queue_full' })
  // A request through another point is not delayed, and outcomes are still accepted.
  expect(await send({ credential: undefined, ...read }, otherCaller(world))).toMatchObject({ decision: false })
  const told = point.outcome(earlier, `call_${'1'.repeat(20)}`, 'succeeded')
  expect(await point.report(told)).toBe(204)

  answers.length = 0
  gate.resolve()
  await Promise.all(running)
  expect(answers.map(({ decision }) => decision)).toEqual([true, true, true, true, true])
  expect(await send(ours)).toMatchObject({ decision: true })
  expect(system.taken()).toBe(4n)
})

it('an agent and a grant each get their decisions per minute, then 429 without an event (V18)', async () => {
  await using system = await granted({ pdp: { agentDecisionsPerMinute: 12, grantDecisionsPerMinute: 7 } })
  const { world, people, point, grant } = system
  const send = async (ask: CallAsk) => {
    const answer = await point.send(point.body(ask).body)
    return { ...answer.json(), status: answer.statusCode, retry: Number(answer.headers['retry-after']) }
  }
  const asked = async (ask: CallAsk) => {
    const answers = []
    for (let n = 0; n < 20; n++) answers.push(await send(ask))
    const decided = answers.filter(({ status }) => status === 200)
    return {
      decided: decided.length,
      denied: decided.filter(({ decision }) => decision === false).length,
      refused: answers.filter(({ status }) => status !== 200),
    }
  }
  const denials = async () => {
    const ofGrant = (await world.events('decisions.v1')).filter(
      (event) => event.type === 'decision.denied' && event.data.actor?.grant_id === grant.grantId,
    )
    return ofGrant.length
  }
  const refused = { status: 429, code: 'decision_quota_exceeded', retry: expect.any(Number) }
  const ours = await asked({ credential: system.credential, ...read })
  // One went to fetch the nonce. Some quota returns during the loop, on a slow machine in time for the last ones.
  expect(ours.decided).toBeGreaterThanOrEqual(6)
  expect(ours.refused[0]).toMatchObject(refused)
  expect(new Set(ours.refused.map(({ code }) => code))).toEqual(new Set([refused.code]))
  const second = await credentialFor(world, (await people.grant()).grantId)
  const more = await asked({ credential: second, ...read })
  expect(more.refused[0]).toMatchObject(refused)
  // Another agent is unaffected.
  const theirs = await people.grant({ agent: 'forecaster' })
  const details = [{ type: 'bailiwick_grant', grant_id: theirs.grantId }]
  const { token } = await eventually(async () => {
    const answer = await askTokenWithNonce(world, { agent: 'forecaster', details })
    return answer.token === undefined ? undefined : answer
  })
  const other = { proofKey: sampleKey(world.data, 'forecaster'), subject: agentId('forecaster') }
  expect(await send({ credential: token, ...other, ...read })).toMatchObject({ decision: true })
  // Before these calls: the nonce, and 501 EUR.
  expect(await denials()).toBeLessThanOrEqual(2 + ours.denied)
})
