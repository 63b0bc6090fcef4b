import { expect, it } from 'vitest'
import { FakeInstallation, grantId } from './installation.fixture.ts'

it('asks for the state of a grant with a proof of this very call, and without its credential', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  for (const state of ['live', 'suspended', 'ended']) {
    fake.completion = () => ({ body: { grant_id: grantId, state } })
    expect(await agent.grantState({ grantId })).toBe(state)
  }
  const [asked] = fake.at(`/oauth/grants/${grantId}/state`)
  expect(asked).toMatchObject({ method: 'POST', proof: { jti: expect.any(String) } })
  expect(asked?.headers.authorization).toBeUndefined()
})

it('takes nothing else for a state, and passes on why there is none', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  fake.completion = () => ({ body: { grant_id: grantId, state: 'perhaps' } })
  await expect(agent.grantState({ grantId })).rejects.toMatchObject({ code: 'answer_malformed' })
  fake.completion = () => ({ status: 404, body: { code: 'grant_unknown' } })
  await expect(agent.grantState({ grantId })).rejects.toMatchObject({ code: 'grant_unknown' })
})
