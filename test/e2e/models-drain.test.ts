import { chatEvents } from '@bailiwick/gateway/model-fixture'
import { expect, it } from 'vitest'
import { ModelsWorld } from './models-world.ts'

const chat = '/acme/v1/chat/completions'
const story = { model: 'small', stream: true, max_tokens: 50, messages: [{ role: 'user', content: 'Hi' }] }
const [first = '', ...rest] = chatEvents(['one', 'two'], { prompt_tokens: 10, completion_tokens: 5 })

/** An answer of which the first word has arrived, and the rest comes after `more`. */
async function flowing(world: ModelsWorld, grantId: string, more: Promise<void>) {
  async function* events() {
    yield first
    await more
    yield* rest
  }
  world.provider.answer = () => ({ events: events() })
  const response = await world.ask({ grantId }, chat, story)
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader?.read())?.value).toContain('one')
  return async (): Promise<string> => {
    let text = ''
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true }
      if (done) return text
      text += value
    }
  }
}

/** Resolves once no new connection is taken. */
const closed = (world: ModelsWorld) =>
  expect
    .poll(() =>
      fetch(`${world.urls[0]}/healthz`).then(
        ({ status }) => status,
        () => 'closed',
      ),
    )
    .toBe('closed')

it('a gateway that stops lets an answer flow to its end, and settles what it cost (V9)', async () => {
  await using world = await ModelsWorld.open({ env: { BAILIWICK_DRAIN: '120s' } })
  const { grantId } = await world.granted()
  const more = Promise.withResolvers<void>()
  const remainder = await flowing(world, grantId, more.promise)
  const stopped = world.gateways[0]?.[Symbol.asyncDispose]()
  await closed(world)
  more.resolve()
  expect(await remainder()).toContain('two')
  await stopped
  expect(await world.spent(grantId, 1)).toBe('0.00051')
  await expect.poll(() => world.findings(), { interval: 500 }).toEqual([])
})

it('a gateway that stops cuts an answer at its bound, and its reservation is spent (V9)', async () => {
  await using world = await ModelsWorld.open({ env: { BAILIWICK_DRAIN: '50ms' } })
  const { grantId } = await world.granted()
  const remainder = await flowing(world, grantId, new Promise(() => undefined))
  const stopped = world.gateways[0]?.[Symbol.asyncDispose]()
  await expect(remainder()).rejects.toThrow()
  await stopped
  expect(Number(await world.spent(grantId, 1))).toBeGreaterThan(0.005)
  const [outcome] = (await world.story(grantId)).filter(({ type }) => type === 'outcome.reported')
  expect(outcome).toMatchObject({ data: { status: 'unknown', released: { cost: {} } } })
  await expect.poll(() => world.findings(), { interval: 500 }).toEqual([])
})
