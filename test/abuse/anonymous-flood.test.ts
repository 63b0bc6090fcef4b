import { fork } from 'node:child_process'
import { join } from 'node:path'
import { endWithThis } from '@bailiwick/native'
import { sample, sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { eventually, Scene } from './scene.ts'
import type { StrangersTold } from './stranger-flooder.ts'

const requests = 885
const atOnce = 32

it('any number of requests without a credential leave one sum a minute in the log, and no event of their own (V18)', async () => {
  await using scene = await Scene.open()
  const { grantId } = await scene.granted()
  const before = (await scene.events('decisions.v1')).length
  const started = Date.now()
  const statuses = new Map<number, number>()
  const strangers = Array.from({ length: atOnce }, async (_, stranger) => {
    for (let n = stranger; n < requests; n += atOnce) {
      // No header, a value that is not a token, and a value that looks like one: none of them identifies the caller.
      const authorization = [undefined, 'DPoP nonsense', 'DPoP eyJhbGciOiJFUzI1NiJ9.e30.AAAA'][n % 3]
      const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
      const answer = await fetch(`${scene.invoices.url}/read`, { method: 'POST', headers, body: '{"invoice":"INV-1"}' })
      await answer.arrayBuffer()
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    }
  })
  await Promise.all(strangers)
  const minutes = Math.ceil((Date.now() - started) / 60_000) + 1
  const more = (await scene.events('decisions.v1')).slice(before)
  console.log(`anonymous flood: ${JSON.stringify({ requests, statuses: [...statuses], leaves: more.length, minutes })}`)
  expect([...statuses.keys()].every((status) => status >= 400 && status < 500)).toBe(true)
  expect(more.filter(({ type }) => type !== 'denials.summarised')).toEqual([])
  expect(more.length).toBeLessThanOrEqual(minutes)
  // The sum says how often, for the enforcement point that was called.
  await scene.system.services.policyDecision[Symbol.asyncDispose]()
  const sums = (await scene.events('decisions.v1')).filter(({ type }) => type === 'denials.summarised')
  const told = sums.flatMap(
    ({ data }) => (data as unknown as { denials: { subject: string; count: number }[] }).denials,
  )
  const counted = told.filter(({ subject }) => subject === sample.enforcementPoint)
  expect(counted.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(0)
  expect(grantId).toMatch(/^grt_/)
})

/** Honest calls, each with a credential, a proof, a decision and its outcome. Returns the median in ms. */
async function medianOf(call: () => Promise<string>, count: number): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < count; n++) {
    const started = performance.now()
    expect(await call()).toBe('ok')
    took.push(performance.now() - started)
  }
  return took.sort((a, b) => a - b)[Math.floor(count / 2)] ?? 0
}

it('64 anonymous connections from an honest caller’s own address are slowed down, and the honest caller is answered (V18)', async () => {
  const perSecond = process.env.BAILIWICK_STRANGER_REQUESTS_PER_SECOND
  await using scene = await Scene.open(
    perSecond === undefined ? {} : { env: { BAILIWICK_STRANGER_REQUESTS_PER_SECOND: perSecond } },
  )
  const agent = scene.agent()
  const authority = { ...sampleAuthority, budget: { ...sampleAuthority.budget, calls: 1000 } }
  const requestId = await scene.asked(agent, authority)
  const { grant_id: grantId = '' } = await scene.approver.approve(requestId)
  const call = () => scene.tryCall(agent, grantId)
  await medianOf(call, 10)
  const quiet = await medianOf(call, 40)
  const flooder = fork(join(import.meta.dirname, 'stranger-flooder.ts'), [scene.url, '64'], {
    execArgv: process.execArgv,
  })
  endWithThis(flooder)
  let told: StrangersTold = { answered: 0, refused: 0 }
  flooder.on('message', (message) => {
    told = message as StrangersTold
  })
  try {
    // Their burst is used up, unless the limit is off.
    await eventually('they are refused', () => told.refused > 64 || perSecond !== undefined || undefined, 60_000)
    const from = told
    const started = performance.now()
    const flooded = await medianOf(call, 40)
    const seconds = (performance.now() - started) / 1000
    const more = { answered: told.answered - from.answered, refused: told.refused - from.refused }
    const figures = { quiet, flooded, ratio: flooded / quiet, seconds, ...more }
    console.log(`64 strangers: ${JSON.stringify(figures)}`)
    // Each connection waits a second after each refusal, and all of them share the rate of one network.
    if (perSecond === undefined) expect(more.answered + more.refused).toBeLessThan((100 + 2 * 64) * (seconds + 3))
    expect((await scene.audited()).findings).toEqual([])
  } finally {
    flooder.kill()
  }
})
