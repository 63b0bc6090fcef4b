import { generateKey, sha256, verifyingKey, verifyNotification } from '@bailiwick/credentials'
import { metrics, type Post, type Posted } from '@bailiwick/host'
import { RateLimiter, systemClock, testClock } from '@bailiwick/kit'
import { expect, it } from 'vitest'
import { agentOf, aWorld, type World } from '../approval.fixture.ts'
import { aPerson } from '../browser.fixture.ts'
import type { Approval } from '../context.ts'
import { OwnRequests } from '../own-requests.ts'
import { Transient } from '../transient.ts'
import { Callbacks } from './callbacks.ts'

const endpoint = 'https://hooks.example/cb/done?x=1'
const delivered: Posted = { outcome: 'delivered', status: 204 }

/** A world whose callbacks arrive here. Each gets the next of these answers. */
async function telling(...answers: (Posted | Promise<Posted>)[]) {
  const posts: (Post & { body: string })[] = []
  const world = await aWorld({
    clock: testClock(0),
    post: async (post) => {
      posts.push({ ...post, body: String(post.body) })
      return answers.shift() ?? delivered
    },
  })
  const agent = agentOf(world)
  const asked = async (callback: object = { endpoint }) => {
    const answer = await agent.send(agent.sign({ callback: endpoint }), { callback })
    expect(answer.statusCode, answer.body).toBe(202)
    return answer.json().task.id as string
  }
  return { world, agent, posts, asked }
}

async function notificationKey(world: World) {
  const answer = await world.http.inject({ method: 'GET', url: '/.well-known/bailiwick-notification-keys' })
  const key = verifyingKey('notification', answer.json().keys[0])
  if (!key) throw new Error('no key')
  return key
}

it('tells of the end, signed for this body and this URL, with the state that was given and no result', async () => {
  const { world, agent, posts, asked } = await telling()
  await using _ = world
  const id = await asked({ endpoint, state: 'thread-7' })
  await agent.cancel(id)
  await expect.poll(() => posts).toHaveLength(1)
  const [{ url = '', body = '', headers } = { headers: {} as Record<string, string> }] = posts
  expect(JSON.parse(body)).toEqual({
    state: 'thread-7',
    task: { id, status: 'cancelled', status_endpoint: `http://localhost:8421/access/v1/requests/${id}` },
  })
  const notification = headers['bailiwick-signature'] ?? ''
  const options = { notification, key: await notificationKey(world), installation: world.trust.installation }
  expect(verifyNotification({ ...options, url: endpoint, bodySha256: sha256(body) })).toMatchObject({ ok: true })
  expect(url).toBe(endpoint)
})

it('tells of an approval once there is a grant, and of its withdrawal', async () => {
  const { world, posts, asked } = await telling()
  await using _ = world
  const olga = aPerson(world)
  await olga.enrol()
  const id = await asked()
  expect((await olga.approve(id)).status).toBe(200)
  await expect.poll(() => posts.map(({ body }) => JSON.parse(body).task.status)).toEqual(['approved'])
  expect((await olga.post(`/requests/${id}/withdraw`)).status).toBe(200)
  await expect.poll(() => posts.map(({ body }) => JSON.parse(body).task.status)).toEqual(['approved', 'cancelled'])
})

it('tells again what did not arrive, under the same delivery id', async () => {
  const { world, agent, posts, asked } = await telling({ outcome: 'failed', why: 'unreachable' })
  await using _ = world
  await agent.cancel(await asked())
  await expect.poll(() => posts).toHaveLength(2)
  const ids = posts.map(({ headers }) => claimsOf(headers['bailiwick-signature']).jti)
  expect(new Set(ids).size).toBe(1)
})

it('tells once more after a start what ended shortly before, under the same delivery id and without the state', async () => {
  const { world, agent, posts, asked } = await telling()
  await using _ = world
  const id = await asked({ endpoint, state: 'thread-7' })
  await agent.cancel(id)
  await expect.poll(() => posts).toHaveLength(1)
  const { projection } = world.issuer
  await projection.until(() => projection.ledger.requests.requests.get(id)?.state === 'cancelled' || undefined, 5000)
  // The next process has the log, but nothing that the previous one kept in memory.
  const approval = {
    ...{ projection, trust: world.trust, clock: systemClock, publicUrl: 'http://localhost:8421' },
    ...{
      own: new OwnRequests(projection),
      asks: new RateLimiter({ perSecond: 1, burst: 1, maxKeys: 1, clock: systemClock }),
      callbackWishes: new Transient({ lifeMs: 1000, max: 1, clock: systemClock }),
    },
  } as unknown as Approval
  const again: Post[] = []
  const post = async (sent: Post) => {
    again.push(sent)
    return delivered
  }
  const key = generateKey('notification')
  await using _next = new Callbacks(approval, {
    post,
    key,
    metrics: metrics({ service: 'next', processMetrics: false }),
  })
  await expect.poll(() => again).toHaveLength(1)
  const jti = (sent: Post | undefined) => claimsOf(sent?.headers['bailiwick-signature']).jti
  expect(jti(again[0])).toBe(jti(posts[0]))
  expect(JSON.parse(String(again[0]?.body))).toMatchObject({ task: { id, status: 'cancelled' } })
})

it('does not retry a forbidden callback, and sends no event that the agent did not ask for', async () => {
  const { world, agent, posts, asked } = await telling({ outcome: 'forbidden', why: 'address' })
  await using _ = world
  await agent.cancel(await asked({ endpoint, events: ['approved', 'denied'] }))
  await agent.cancel(await asked({ endpoint, events: ['cancelled'] }))
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(posts).toHaveLength(1)
  expect(await world.metrics.text()).toContain('callbacks_total{result="forbidden",service="test"} 1')
})

it('stops while a server has not answered, and does not count the callback as delivered (V18)', async () => {
  const { world, agent, posts, asked } = await telling(new Promise(() => undefined))
  await agent.cancel(await asked())
  await expect.poll(() => posts).toHaveLength(1)
  await world[Symbol.asyncDispose]()
  expect(await world.metrics.text()).not.toMatch(/callbacks_total\{.*\} [1-9]/)
})

it('takes no callback that was not signed, or for which the agent is not registered', async () => {
  const { world, agent } = await telling()
  await using _ = world
  const code = async (signed: string | undefined, named: string | undefined) => {
    const request = agent.sign(signed === undefined ? {} : { callback: signed })
    const answer = await agent.send(request, named === undefined ? {} : { callback: { endpoint: named } })
    return answer.json().code
  }
  expect(await code(undefined, endpoint)).toBe('submission_contradicted')
  expect(await code(endpoint, 'https://hooks.example/cb/other')).toBe('submission_contradicted')
  expect(await code('https://elsewhere.example/cb', undefined)).toBe('callback_forbidden')
})

function claimsOf(jws = ''): { jti: string } {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
}
