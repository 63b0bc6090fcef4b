import { sampleAuthority } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

const asks = 500
const most = 5
/** After ten denials in a row, approval pauses every request of the agent. */
const mostDenied = 10

/** An agent that tries to wear people out: it asks for the same thing again and again, each time worded a little differently. */
function nearlyTheSame(scene: Scene, n: number) {
  const agent = scene.agent()
  const budget = n % 5 === 0 ? { ...sampleAuthority.budget, calls: 100 + (n % 7) } : sampleAuthority.budget
  return agent.signRequest({
    authority: { ...sampleAuthority, task: `quarterly-close-${n % 3}`, budget },
    mode: 'window',
    expiresInSeconds: 600 + (n % 4),
    purpose: `It is really urgent now, please (${n}).`,
  } as never)
}

function count(said: readonly string[]) {
  const counts: Record<string, number> = {}
  for (const each of said) counts[each] = (counts[each] ?? 0) + 1
  return counts
}

it(`an approver sees at most ${most} of ${asks} near-identical requests; the rest are folded or refused`, async () => {
  await using scene = await Scene.open()
  const agent = scene.agent()
  const said: string[] = []
  const tasks = new Set<string>()
  let shown = 0
  for (let n = 0; n < asks; n++) {
    const signed = nearlyTheSame(scene, n)
    const { key, bytes } = agent.accessRequestEvent(signed)
    if (n % 10 === 0) {
      await scene.put('access-requests.v1', key, bytes)
      continue
    }
    said.push(
      await agent.request(signed).then(
        ({ requestId }) => {
          if (tasks.has(requestId)) return 'folded'
          tasks.add(requestId)
          return 'received'
        },
        (error: { code?: string }) => String(error.code),
      ),
    )
    if (n % 25 === 0) shown = Math.max(shown, (await scene.approver.state()).requests.length)
  }
  const { requests } = await scene.approver.state()
  expect(Math.max(shown, requests.length)).toBeLessThanOrEqual(most)
  const counts = count(said)
  console.log(`ask flood: ${JSON.stringify(counts)}; shown at most ${Math.max(shown, requests.length)}`)
  expect(Object.keys(counts).filter((each) => !['received', 'folded', 'rate_limited'].includes(each))).toEqual([])
  expect(counts.received ?? 0).toBeLessThanOrEqual(most)
  expect(counts.folded ?? 0).toBeGreaterThan(0)
  // The flood costs the other agents none of their requests.
  await scene.stillWorks(scene.agent('forecaster'))
  expect((await scene.audited()).findings).toEqual([])
})

it(`an approver who denies every request is asked ${mostDenied} times, and then the agent is paused`, async () => {
  await using scene = await Scene.open()
  const agent = scene.agent()
  let prompts = 0
  let waits = 0
  for (let n = 0; n < 100; n++) {
    // Each is a different request, so that approval folds and pauses no single one.
    const signed = agent.signRequest({ authority: sampleAuthority, mode: 'window', expiresInSeconds: 600 + n } as never)
    const said = await agent.request(signed).catch((error: { code?: string }) => error.code)
    if (typeof said !== 'object') {
      expect(said).toBe('rate_limited')
      waits++
      continue
    }
    prompts++
    await scene.approver.deny(said.requestId, 'No.')
  }
  expect(prompts).toBe(mostDenied)
  expect(waits).toBe(100 - mostDenied)
  await scene.stillWorks(scene.agent('forecaster'))
})
