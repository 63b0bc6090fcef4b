import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@bailiwick/testkit'
import { afterAll, expect, it } from 'vitest'
import { projectAdapters, Scene } from './scene.ts'

const data = mkdtempSync(join(tmpdir(), 'abuse-id-'))
afterAll(() => rmSync(data, { recursive: true, force: true }))

it('no service can undo a revocation by using its event id on a topic of its own, even across a restart (V7)', async () => {
  await using on = await projectAdapters()
  const { adapters } = on
  const place = { data, port: await freePort(), invoicesPort: await freePort(), ...(adapters && { adapters }) }
  let grantId = ''
  {
    await using scene = await Scene.open(place)
    const agent = scene.agent()
    const granted = await scene.granted(agent)
    grantId = granted.grantId
    expect(await scene.tryCall(agent, grantId)).toBe('ok')
    expect(await scene.revoke('grant', grantId)).toBe(200)
    expect(await scene.tryCall(agent, grantId)).toBe('grant_revoked')
    const [revocation] = await scene.events('revocations.v1')
    await scene.forge(
      'approvals.v1',
      {
        type: 'request.cancelled',
        id: String(revocation?.id),
        source: '/approval/thief',
        subject: granted.requestId,
        version: 9,
        data: { request_id: granted.requestId, by: agent.id },
      },
      scene.stolenKey('approval'),
    )
    expect(await scene.tryCall(agent, grantId)).toBe('grant_revoked')
  }
  // A reader that starts may read the approvals before the revocations.
  await using scene = await Scene.reopen(place)
  expect(scene.ledger.revocations.find('grant', grantId)).toBeDefined()
  expect(await scene.tryCall(scene.agent(), grantId)).toMatch(/revoked|refused/)
})
