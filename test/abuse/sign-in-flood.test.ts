import { sample } from '@bailiwick/standalone/sample'
import { expect, it } from 'vitest'
import { Scene } from './scene.ts'

it('a flood of challenge requests does not stop a person from signing in and withdrawing (V7)', async () => {
  await using scene = await Scene.open()
  const agent = scene.agent()
  const { grantId, requestId } = await scene.granted(agent)
  expect(await scene.tryCall(agent, grantId)).toBe('ok')
  const ask = (body: object = {}) =>
    scene.system.host.http.inject({
      method: 'POST',
      url: '/console/api/session/options',
      headers: { origin: scene.url },
      payload: body,
    })
  await scene.approver.signIn(async () => {
    for (let asked = 0; asked < 12_000; asked += 500)
      await Promise.all(Array.from({ length: 500 }, () => ask({ approver_id: sample.owner })))
  })
  await scene.approver.withdraw(requestId)
  expect(await scene.tryCall(agent, grantId)).toBe('grant_revoked')
})
