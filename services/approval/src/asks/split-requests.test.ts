import { itemIdOf, requestIdOf } from '@bailiwick/approval-statement'
import { parseAuthority } from '@bailiwick/authority'
import { jcsHash } from '@bailiwick/credentials'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { agentOf, aRule, authority, aWorld, type World } from '../approval.fixture.ts'
import type { AccessAsk } from '../requests.ts'

let world: World
beforeAll(async () => {
  const adjusting = { resources: [{ type: 'tool', id: 'invoices/adjust' }] }
  world = await aWorld({ moreRules: [aRule({ id: 'adjusting', order: 1, match: adjusting })] })
})
afterAll(() => world[Symbol.asyncDispose]())

const both = {
  ...authority,
  permissions: ['invoices/read', 'invoices/adjust', 'invoices/else'].map((id) => ({
    actions: ['tools/call'],
    resource: { type: 'tool', id },
  })),
}
const askOf = (id: string) => world.issuer.projection.ledger.requests.requests.get(id)?.received as AccessAsk

it('makes of what two rules split a request for each, with a share of the budget (V3)', async () => {
  const agent = agentOf(world)
  const request = agent.sign({ authority: both })
  const answers = await Promise.all([agent.submit(request), agent.submit(request)])
  const task = requestIdOf(request)
  for (const answer of answers) {
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toMatchObject({
      task: {
        id: task,
        status: 'pending',
        items: both.permissions.map(({ resource }) => ({
          resource,
          action: { name: 'tools/call' },
          status: 'pending',
        })),
      },
    })
  }
  const parts = [0, 1].map((n) => askOf(itemIdOf(request, n)))
  expect(parts.map((part) => part.item)).toEqual([0, 1].map((index) => ({ task, index, count: 2 })))
  expect(parts.map((part) => part.request)).toEqual([request, request])
  const shares = parts.map((part) => parseAuthority(part.authority))
  expect(shares).toMatchObject([
    { authority: { permissions: [both.permissions[0], both.permissions[2]], budget: { calls: 10 } } },
    { authority: { permissions: [both.permissions[1]], budget: { calls: 10 } } },
  ])
  expect(world.issuer.projection.ledger.requests.requests.has(task)).toBe(false)
})

it('tells the agent of the whole task under one id, and takes the whole task back', async () => {
  const agent = agentOf(world)
  const request = agent.sign({ authority: both })
  await agent.submit(request)
  const task = requestIdOf(request)
  expect((await agent.status(task)).json()).toMatchObject({ task: { id: task, status: 'pending' } })
  expect((await agent.cancel(task)).json()).toMatchObject({
    task: {
      id: task,
      status: 'cancelled',
      items: [{ status: 'cancelled' }, { status: 'cancelled' }, { status: 'cancelled' }],
    },
  })
})

it('receives the parts that a crash left out when the ask comes again, and the rest stay as they are', async () => {
  const agent = agentOf(world)
  const whole = agent.sign({ authority: both })
  await agent.submit(whole)
  const parts = [0, 1].map((n) => askOf(itemIdOf(whole, n)))
  // The state after a process died between two events: one part of an ask that is otherwise unknown.
  const request = agent.sign({ authority: both })
  const request_id = itemIdOf(request, 1)
  const claims = JSON.parse(Buffer.from(request.split('.')[1] ?? '', 'base64url').toString())
  const data = {
    ...(parts[1] as AccessAsk),
    request_id,
    request,
    request_hash: jcsHash(claims),
    item: { task: requestIdOf(request), index: 1, count: 2 },
  }
  await world.approval.publishOne('approvals.v1', { type: 'request.received', subject: request_id, version: 1, data })
  const status = async () => (await agent.status(requestIdOf(request))).json().task?.status
  await expect.poll(status).toBe('pending')
  expect((await agent.submit(request)).json()).toMatchObject({ task: { status: 'pending' } })
  expect(askOf(request_id)).toEqual(data)
})

it('does not split one action: its parts would allow it more than once (V10)', async () => {
  const agent = agentOf(world)
  const asked = { authority: both, mode: 'per_action' as const, action_digest: 'A'.repeat(43) }
  expect((await agent.submit(agent.sign(asked))).json()).toMatchObject({ code: 'approval_rule_missing' })
})
