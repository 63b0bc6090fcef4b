import { formatMicros, parseMicros } from '@bailiwick/authority'
import { plainReply } from '@bailiwick/gateway/model-fixture'
import { expect, it } from 'vitest'
import { ModelsWorld, modelsAuthority } from './models-world.ts'

const callers = Number(process.env.BAILIWICK_CALLERS ?? 40)
const [gateways, agents] = [4, 5]
/** In millionths of a USD. It is gone before half of the callers had an answer. */
const budget = 15_000n * BigInt(callers)

it('callers of five sub-agents at four gateways never spend more than there is (V9)', {
  timeout: Math.max(300_000, callers * 1000),
}, async () => {
  await using world = await ModelsWorld.open({ gateways })
  const { grantId } = await world.granted(modelsAuthority(formatMicros(budget)))
  // Each call reserves 0.04 USD and a little, and in the end costs 0.02 and a little, or, one in four, all of it.
  let answers = 0
  world.provider.answer = ({ path }, body) => {
    if (++answers % 4 === 0) return { ...plainReply(path, body), json: { choices: [] } }
    const usage = { prompt_tokens: 10, completion_tokens: Math.min(200, Number(body.max_completion_tokens)) }
    return { json: { choices: [], usage } }
  }
  const hands = await Promise.all(
    Array.from({ length: agents }, async (_, n) => {
      const { agent, id, key } = world.subAgent(n)
      const authority = { ...modelsAuthority(formatMicros(budget)), max_depth: 1 }
      const part = { of: { grantId }, to: id, key: key.kid, authority, expiresAt: Date.now() + 1800_000 }
      return { agent, grant: { delegation: (await world.agent().delegate(part)).delegation } }
    }),
  )
  const ask = async (n: number): Promise<string> => {
    const { agent, grant } = hands[n % agents] as (typeof hands)[number]
    const body = { model: 'small', max_tokens: 400, messages: [{ role: 'user', content: `caller ${n}` }] }
    for (let tries = 0; ; tries++) {
      const response = await world.ask(grant, '/acme/v1/chat/completions', body, { agent, gateway: n % gateways })
      const text = await response.text()
      if (response.ok) return 'answered'
      const { code } = JSON.parse(text)
      if (code !== 'budget_reserved' || tries === 100) return code
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const ends = await Promise.all(Array.from({ length: callers }, (_, n) => ask(n)))
  const calls = world.provider.calls.length
  expect(ends.filter((end) => end === 'answered')).toHaveLength(calls)
  expect(new Set(ends.filter((end) => end !== 'answered'))).toEqual(new Set(['budget_exhausted']))
  const spent = parseMicros(await world.spent(grantId, calls)) ?? 0n
  expect(spent).toBeLessThanOrEqual(budget)
  // What is left is not enough for one more call of sixteen tokens: less than one reservation.
  expect(budget - spent).toBeLessThan(45_000n)
  await expect.poll(() => world.findings(), { interval: 1000 }).toEqual([])
  console.log(`models-race: ${callers} callers, ${calls} calls, ${formatMicros(spent)} of ${formatMicros(budget)} USD`)
})
