import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentOf, aWorld, type World } from './approval.fixture.ts'
import { aPerson, type Person } from './browser.fixture.ts'

let world: World
let olga: Person
beforeAll(async () => {
  world = await aWorld()
  olga = aPerson(world)
  expect((await olga.enrol()).status).toBe(200)
})
afterAll(() => world[Symbol.asyncDispose]())

async function asked(over: Parameters<ReturnType<typeof agentOf>['sign']>[0] = {}) {
  const agent = agentOf(world)
  const submitted = await agent.submit(agent.sign(over))
  expect(submitted.statusCode, submitted.body).toBe(202)
  return { agent, id: submitted.json().task.id as string }
}

it('an agent asks, a person approves what it was shown, and the agent finds its grant', async () => {
  const { agent, id } = await asked()
  expect((await agent.status(id)).json()).toMatchObject({ task: { id, status: 'pending' } })
  const approved = await olga.approve(id)
  expect(approved.body).toMatchObject({ status: 'approved', grant: 'active' })
  expect((await agent.status(id)).json()).toMatchObject({
    task: { id, status: 'approved' },
    result: { mode: 'reevaluate', approval: { grant_id: approved.body.grant_id } },
  })
})
