import { setTimeout as pause } from 'node:timers/promises'
import type { Agent } from '@bailiwick/agent'
import { formatMicros, parseMicros } from '@bailiwick/authority'
import { chatEvents, ModelFixture, messageEvents } from '@bailiwick/gateway/model-fixture'
import { paths } from '@bailiwick/installation'
import { sampleAgent } from '@bailiwick/standalone/sample-agent'
import { enrolApprover, type RunningSystem } from '@bailiwick/testkit'
import { readLog } from '../audit.ts'
import { approvedChange, narrowedAndApproved, paragraph } from './approved.ts'
import { ModelsPlace } from './models-place.ts'
import { must } from './must.ts'
import { isPassing, patiently, repeating } from './patiently.ts'
import type { Say } from './story.ts'

const person = 'Olivia'
const helpers = ['anna', 'ben', 'cleo', 'dan', 'eve']
const limit = 400
const chat = { model: 'small', stream: true, max_tokens: limit, messages: [{ role: 'user', content: 'Answer this.' }] }
const story = { model: 'small', stream: true, max_tokens: 2000, messages: [{ role: 'user', content: 'Tell a story.' }] }

const authorityOf = (task: string, provider: string, dollars: string, more: object = {}) => ({
  ...{ type: 'bailiwick_task', task },
  permissions: [
    {
      actions: ['model/invoke'],
      resource: { type: 'model', id: `${provider}/small` },
      cost: { amount: '/cost/amount', currency: '/cost/currency' },
    },
  ],
  budget: { calls: 1000, cost: { USD: dollars } },
  ...more,
})

type Grant = NonNullable<Parameters<Agent['fetch']>[2]['grant']>
interface Spent {
  agent: string
  task: string
  approvers: string[]
  calls: number
  cost: { USD?: string }
}

/**
 * How the money of one approval bounds what an agent and its sub-agents spend on models. The provider follows a script. Each step reports
 * what it saw, one fact a sentence.
 */
export async function tellModels(system: RunningSystem, step: Say): Promise<void> {
  await using opened = new AsyncDisposableStack()
  const approver = await patiently(() => enrolApprover(system))
  const provider = opened.use(await ModelFixture.start())
  const place = opened.use(await ModelsPlace.open(system, provider))
  const leader = sampleAgent(system, 'reconciler')
  const hands: { name: string; agent: Agent; grant: Grant }[] = []

  const ask = (agent: Agent, grant: Grant, path: string, body: object): Promise<Response> => {
    const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    return agent.fetch(`${place.url}/models/${path}`, init, { grant, patienceMs: 0 })
  }
  const allowed = async (authority: object, purpose: string, dollars: string) => {
    const asking = leader.signRequest({ authority, mode: 'window', expiresInSeconds: 3600, purpose })
    await patiently(() => leader.request(asking))
    return narrowedAndApproved(approver, { cost: { USD: dollars } })
  }
  const reported = async (): Promise<Spent[]> => {
    const { code, out, err } = await place.bailiwick('report', '--json')
    must(code === 0, `report ended with ${code}: ${out}${err}`)
    return JSON.parse(out).spent
  }

  await step('A provider of models is put behind the gateway', async () => {
    await place.drafted(helpers)
    await approvedChange(approver, place.bailiwick('registry', 'apply', 'registry.yaml', '--wait'))
    return paragraph(
      'The provider follows a script. It speaks the API of OpenAI, named acme, and the API of Anthropic, named claudish.',
      'The file gateway.yaml holds its prices: 1 USD for a million tokens of input, 100 USD for a million tokens of output.',
      '$ npx bailiwick gateway pin acme --config gateway.yaml',
      '$ npx bailiwick keys point gateway --resource model:acme/ …',
      '$ npx bailiwick registry apply registry.yaml --wait',
      `${person} signed the prices, the gateway, and five more agents with a passkey.`,
    )
  })

  await step('Only the gateway holds the key of the provider', async () => {
    opened.use(await place.serve())
    const path = 'v1/chat/completions'
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(chat) }
    const direct = await fetch(`${provider.url}/${path}`, init)
    must(direct.status === 401, `the provider answered ${direct.status}`)
    const { status } = await fetch(`${place.url}/models/acme/${path}`, init)
    must(status === 401, `a call without a credential got ${status}`)
    provider.calls.length = 0
    return paragraph(
      '$ npx bailiwick serve gateway --config gateway.yaml',
      'A call that went to the provider without a key got 401. No agent has that key, so no agent can lose it.',
      'A call that went to the gateway without a credential got 401 too.',
    )
  })

  await step('An agent asks for two dollars, and a person allows one', async () => {
    const bounds = { max_depth: 1, max_children: helpers.length }
    const asked = authorityOf('answer-tickets', 'acme', '2', bounds)
    const { grantId } = await allowed(asked, 'Answer the tickets of this week.', '1')
    const part = authorityOf('answer-tickets', 'acme', '1', { max_depth: 0, max_children: 0 })
    for (const name of helpers) {
      const { agent, id, key } = place.subAgent(name)
      const given = { of: { grantId }, to: id, key, authority: part, expiresAt: system.clock.now() + 1_800_000 }
      const { delegation } = await patiently(() => leader.delegate(given))
      hands.push({ name, agent, grant: { delegation } })
    }
    return paragraph(
      'The agent asked to call the model acme/small for the task answer-tickets, for 2 USD.',
      `${person} lowered that to 1 USD, and signed exactly that with a passkey.`,
      `The agent passed the task on to five sub-agents: ${listOf(helpers)}.`,
      'Each of them may spend the whole dollar. All of them together may spend it once.',
    )
  })

  await step('Five sub-agents race for the last dollar', async () => {
    let answers = 0
    provider.answer = (_, body) => {
      const used = Math.min(200, Number(body.max_completion_tokens))
      const usage = { prompt_tokens: 10, completion_tokens: used }
      const words = Array.from({ length: 20 }, () => 'Dear customer, thank you. ')
      return { events: chatEvents(words, ++answers % 4 === 0 ? undefined : usage) }
    }
    const waits = { count: 0 }
    const race = async ({ name, agent, grant }: (typeof hands)[number]) => {
      for (let answered = 0; ; ) {
        const last = await repeating(
          (said) => !said.ok && isPassing(said.text) && ++waits.count > 0,
          async () => {
            const response = await ask(agent, grant, 'acme/v1/chat/completions', chat)
            return { ok: response.ok, text: await response.text() }
          },
        )
        if (!last.ok) return { name, answered, code: (JSON.parse(last.text) as { code?: string }).code }
        must(last.text.includes('Dear customer'), `the answer was ${last.text}`)
        answered++
      }
    }
    const ends = await Promise.all(hands.map(race))
    const others = ends.filter(({ code }) => code !== 'budget_exhausted')
    must(others.length === 0, `they ended with ${ends.map(({ code }) => code).join(', ')}`)
    const calls = ends.reduce((sum, { answered }) => sum + answered, 0)
    must(calls === provider.calls.length, `${calls} answers, and the provider had ${provider.calls.length} calls`)
    await settled(system, calls)
    const spent = totalOf(await reported(), 'answer-tickets')
    must(spent <= million, `they spent ${formatMicros(spent)} USD`)
    must(million - spent < most, `${formatMicros(million - spent)} USD are left, and no one could spend them`)
    const limits = provider.calls.map(({ body }) => Number(JSON.parse(body).max_completion_tokens))
    const clamped = limits.filter((each) => each < limit)
    return paragraph(
      'All five called the model at once, again and again, until they were denied.',
      `${listOf(ends.map(({ name, answered }) => `${name} got ${answered} answers`))}.`,
      `Each call first reserved the most that it could cost: ${limit} tokens of output, about 4 cents. Each used 200 tokens at most.`,
      'The gateway gave the rest back. The provider left out the usage of every fourth answer: then nothing was given back.',
      ...(clamped.length === 0
        ? []
        : [
            `When little was left, the gateway lowered the limit of ${clamped.length === 1 ? 'one call' : `${clamped.length} calls`}, down to ${Math.min(...clamped)} tokens.`,
          ]),
      'In the end all five were denied (budget_exhausted).',
      ...(waits.count === 0
        ? []
        : [
            `Before that, ${waits.count} calls had to wait: other calls held the rest of the dollar (budget_reserved).`,
          ]),
      `The provider had ${calls} calls. Together they cost ${formatMicros(spent)} USD.`,
      `The ${formatMicros(million - spent)} USD that are left do not pay for one more call.`,
    )
  })

  await step('The person withdraws a task while an answer streams', async () => {
    const { requestId, grantId } = await allowed(
      authorityOf('tell-a-story', 'claudish', '1'),
      'Tell a long story.',
      '0.5',
    )
    provider.answer = () => ({ events: endless() })
    const response = await repeating(
      ({ ok }) => !ok,
      () => ask(leader, { grantId }, 'claudish/v1/messages', story),
    )
    must(response.ok, `the call got ${response.status}: ${response.ok ? '' : await response.text()}`)
    const stream = wordsOf(response)
    await stream.heard(3)
    await patiently(() => approver.withdraw(requestId, 'That is enough.'))
    const acknowledged = performance.now()
    await stream.over
    const took = Math.round(performance.now() - acknowledged)
    must(!stream.isWhole, 'the answer was whole')
    const before = provider.calls.length
    const next = await repeating(
      ({ text }) => isPassing(text),
      async () => ({ text: await (await ask(leader, { grantId }, 'claudish/v1/messages', story)).text() }),
    )
    must(next.text.includes('grant_revoked'), `the next call got ${next.text}`)
    must(provider.calls.length === before, 'the next call reached the provider')
    return paragraph(
      'The agent asked the other API for a long story, and words arrived one by one.',
      `${person} withdrew the task in the middle. The stream was cut ${took} ms after the withdrawal was acknowledged, after ${stream.words} words.`,
      'The provider never said what it cost, so the whole reservation is spent.',
      'The next call was denied (grant_revoked), and did not reach the provider.',
    )
  })

  await step('The report says who spent what, and under whose approval', async () => {
    await settled(system, provider.calls.length)
    const { code, out, err } = await place.bailiwick('report')
    must(code === 0, `report ended with ${code}: ${out}${err}`)
    const lines = out.split('\n')
    const told = lines.slice(lines.findIndex((line) => line.includes('Money spent'))).filter((line) => line !== '')
    const spent = await reported()
    must(spent.length === helpers.length + 1, `the report was ${told.join('\n')}`)
    const calls = spent.reduce((sum, each) => sum + each.calls, 0)
    must(calls === provider.calls.length, `it counts ${calls} calls, and the provider had ${provider.calls.length}`)
    must(
      spent.every(({ approvers }) => approvers.join() === 'owner'),
      `they were approved by ${JSON.stringify(spent)}`,
    )
    return [
      paragraph('$ npx bailiwick report', `It counts from the log alone. The id of ${person} is "owner":`),
      ...told.map((line) => `     ${line}`),
    ].join('\n')
  })

  await step('An auditor checks every amount again', async () => {
    const { code, out, err } = await place.bailiwick('audit')
    must(code === 0, `audit ended with ${code}: ${out}${err}`)
    return paragraph(
      '$ npx bailiwick audit',
      'The audit read the whole log. It computed each amount that was given back from what the gateway signed, and found nothing wrong.',
    )
  })
}

const million = 1_000_000n
/** The most that one call of the race reserves. */
const most = 45_000n

const totalOf = (spent: readonly Spent[], task: string): bigint =>
  spent.filter((each) => each.task === task).reduce((sum, { cost }) => sum + (parseMicros(cost.USD ?? '0') ?? 0n), 0n)

/** Resolves once the log has the outcomes of this many calls. */
async function settled({ data, trust }: RunningSystem, calls: number): Promise<void> {
  const count = async () => {
    const { entries } = await readLog(paths(data).log, trust.log.vkey)
    const types = entries.map((bytes) => (JSON.parse(Buffer.from(bytes).toString()) as { type: string }).type)
    return types.filter((type) => type === 'outcome.reported').length
  }
  const found = await repeating((outcomes) => outcomes < calls, count)
  must(found >= calls, `the log has the outcomes of ${found} of ${calls} calls`)
}

/** A message of Anthropic's API that never ends by itself. */
async function* endless(): AsyncGenerator<string> {
  const usage = { input: { input_tokens: 10, output_tokens: 1 }, output: { output_tokens: 1 } }
  yield* messageEvents([], usage).slice(0, 2)
  for (let n = 1; ; n++) {
    await pause(50)
    yield messageEvents([`word ${n} `], usage)[2] ?? ''
  }
}

/** Reads an answer of Anthropic's API until it ends or breaks off. */
function wordsOf({ body }: Response) {
  const heard = { words: 0, isWhole: false }
  const enough = new Map<number, () => void>()
  const over = (async () => {
    for await (const chunk of body ?? []) {
      const text = Buffer.from(chunk).toString()
      heard.words += text.split('text_delta').length - 1
      heard.isWhole ||= text.includes('message_stop')
      for (const [count, resolve] of enough) if (heard.words >= count) resolve()
    }
  })().catch(() => undefined)
  return {
    get words() {
      return heard.words
    },
    get isWhole() {
      return heard.isWhole
    },
    over,
    heard: (count: number): Promise<void> =>
      Promise.race([
        new Promise<void>((resolve) => void enough.set(count, resolve)),
        over.then(() => must(heard.words >= count, `the stream ended after ${heard.words} words`)),
      ]),
  }
}

const listOf = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
