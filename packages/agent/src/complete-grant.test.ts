import { expect, it } from 'vitest'
import { FakeInstallation, grantId } from './installation.fixture.ts'

const path = `/oauth/grants/${grantId}/complete`

it('gives a grant back with a proof of this very call, and forgets its credentials', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  const { token } = await agent.credential({ grantId })
  const ofApi = await agent.credential({ grantId, resource: 'https://api.example' })
  fake.completion = () => ({ body: { grant_id: grantId, state: 'completed' } })
  await agent.complete({ grantId })
  const [asked] = fake.at(path)
  expect(asked).toMatchObject({ method: 'POST', proof: { nonce: 'nonce-1' }, text: '' })
  expect(asked?.headers.authorization).toBeUndefined()
  expect((await agent.credential({ grantId })).token).not.toBe(token)
  expect((await agent.credential({ grantId, resource: 'https://api.example' })).token).not.toBe(ofApi.token)
})

it('keeps what it holds when the grant was not taken back, and says why', async () => {
  await using fake = await FakeInstallation.start()
  const agent = fake.agent()
  const { token } = await agent.credential({ grantId })
  fake.completion = () => ({ status: 503, body: { code: 'service_standby' } })
  await expect(agent.complete({ grantId })).rejects.toMatchObject({ code: 'service_standby' })
  expect((await agent.credential({ grantId })).token).toBe(token)
})
