import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

/** The factor by which another agent's task may slow down, from its request to the end of its calls, while one agent floods. */
const factor = 10
const floodOf = 500

async function task(scene: Scene): Promise<number> {
  const started = performance.now()
  const agent = scene.agent('forecaster')
  const { grantId } = await scene.granted(agent)
  for (let calls = 0; calls < 10; calls++) expect(await scene.tryCall(agent, grantId)).toBe('ok')
  return performance.now() - started
}

it(`${floodOf} simultaneous requests by one agent slow another agent's task less than ${factor} times (V18)`, async () => {
  await using scene = await Scene.open()
  await task(scene) // warm-up
  const flooder = scene.agent('reconciler')
  const ask = () =>
    flooder.signRequest({
      authority: sampleAuthority,
      mode: 'window',
      expiresInSeconds: 600,
      purpose: 'x'.repeat(2000),
    })
  const answers = new Map<string, number>()
  /** The factor by which the other agent's task slows down meanwhile. */
  const flooded = async () => {
    const alone = await task(scene)
    const overHttp = Array.from({ length: floodOf / 2 }, async () => {
      const said = await flooder.request(ask()).then(
        () => 'received',
        (error: { code?: string }) => String(error.code),
      )
      answers.set(said, (answers.get(said) ?? 0) + 1)
    })
    const onTopic = scene.bus.publish(
      'access-requests.v1',
      Array.from({ length: floodOf / 2 }, () => flooder.accessRequestEvent(ask())),
    )
    const during = await task(scene)
    await Promise.all([...overHttp, onTopic])
    const times = during / alone
    console.log(`flood: a task of ${Math.round(alone)} ms took ${Math.round(during)} ms: × ${times.toFixed(1)}`)
    return times
  }
  // Other load on the machine may slow a task down once; a harmful flood does it every time.
  let times = await flooded()
  for (let more = 0; more < 3 && times >= factor; more++) times = await flooded()
  expect(times).toBeLessThan(factor)
  // The flooding agent gets a refusal, and has no more requests waiting than the limit allows.
  expect([...answers.keys()].filter((said) => said !== 'received' && said !== 'rate_limited')).toEqual([])
  await scene.stillWorks(scene.agent('forecaster'))
  expect((await scene.audited()).findings).toEqual([])
  const waiting = [...scene.ledger.requests.requests.values()].filter(({ state }) => state === 'pending')
  expect(waiting.length).toBeLessThanOrEqual(5)
})
