import { errorCode } from '@bailiwick/errors'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { openRelay, openSecrets } from '@bailiwick/relay'
import { type UpstreamUnderTest, upstreamContract } from '@bailiwick/relay/contract'
import { describe, expect, it } from 'vitest'
import { ModelFixture, plainReply } from '../fixture/model-provider.fixture.ts'
import { HttpSender } from '../servers/http-sender.ts'
import { chat, entryOf, request } from './entry.fixture.ts'
import { modelsUpstream } from './models-upstream.ts'

const saying = (content: string, more: object = {}) => chat({ messages: [{ role: 'user', content }], ...more })

async function open(isPriced = true, beyond: string[] = []): Promise<UpstreamUnderTest> {
  const provider = await ModelFixture.start()
  const delta = `data: ${JSON.stringify({ choices: [{ delta: { content: 'x' } }] })}\n\n`
  provider.answer = (call, body) => {
    if (call.body.includes('flowing')) return { events: [delta], last: 'silence' }
    if (call.body.includes('silent')) return { last: 'silence' }
    if (call.body.includes('too much'))
      return {
        json: { choices: [], usage: { prompt_tokens: 1_000_000, completion_tokens: 600, total_tokens: 1_000_600 } },
      }
    if (call.body.includes('unknown key'))
      return { status: 401, json: { error: 'Incorrect API key: sk-XG6GW****wlmi' } }
    if (call.body.includes('broken')) return { last: 'break' }
    return plainReply(call.path, body)
  }
  const entry = entryOf({ url: provider.url, inject: { headers: { authorization: 'Bearer ${secret:env:KEY}' } } })
  const options = {
    inject: entry.inject.headers ?? {},
    secrets: openSecrets({ env: { KEY: provider.secret } }),
    isPrivate: true,
    headMs: 5000,
  }
  const senders: HttpSender[] = []
  const send = (path: string, ...sent: Parameters<HttpSender['send']>) => {
    const sender = new HttpSender({ url: `${provider.url}${path}`, ...options })
    senders.push(sender)
    return sender.send(...sent)
  }
  return {
    upstream: modelsUpstream({
      name: 'acme',
      entry,
      send,
      isPriced,
      hidesUsage: false,
      onUnsettled: () => undefined,
      onBeyond: () => beyond.push('beyond'),
    }),
    effect: (n) => saying(`effect ${n}`),
    flowing: () => saying('flowing', { stream: true }),
    silent: () => saying('silent'),
    broken: () => saying('broken'),
    refused: () => [
      chat({ n: 2 }),
      chat({ model: 'other' }),
      request('/v1/embeddings', {}),
      request('/v1/images/generations', {}),
      chat({ max_completion_tokens: undefined }),
    ],
    arrived: () => provider.calls.map(({ raw }) => raw),
    written: ({ body }) => Buffer.from(body).toString('latin1'),
    secret: provider.secret,
    vanish: () => provider.stop(),
    async [Symbol.asyncDispose]() {
      await Promise.all(senders.map((sender) => sender[Symbol.asyncDispose]()))
      await provider.stop().catch(() => undefined)
    },
  }
}

upstreamContract('models', () => open())

describe('what an answer cost', () => {
  const caller = { credential: 'a.b.c', proof: 'd.e.f', htu: 'https://api.example/call', callId: undefined }
  async function outcomeOf(isPriced = true, text?: string, beyond: string[] = []) {
    await using made = await open(isPriced, beyond)
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const relayed = await openRelay({ point, upstream: made.upstream })
      .run(text === undefined ? made.effect(1) : saying(text), caller)
      .catch((error: unknown) => ({ code: errorCode(error) }))
    let said = ''
    if ('executed' in relayed) for await (const chunk of relayed.executed.body) said += Buffer.from(chunk).toString()
    await expect.poll(() => pdp.outcomes.length).toBe(1)
    return { relayed, said, outcome: pdp.outcomes[0], arrived: made.arrived().length }
  }

  it('is in its outcome, to the millionth', async () => {
    const { outcome } = await outcomeOf()
    // 10 tokens of input at 1 USD a million, 5 of output at 10.
    expect(outcome).toMatchObject({ status: 'succeeded', cost: { amount: '0.00006', currency: 'USD' } })
  })

  it('is in its outcome where it is more than was reserved, for the audit to find (V9)', async () => {
    const beyond: string[] = []
    const { outcome } = await outcomeOf(true, 'too much', beyond)
    expect(outcome).toMatchObject({ status: 'succeeded', cost: { amount: '1.006', currency: 'USD' } })
    expect(beyond.length).toBeGreaterThan(0)
  })

  it('is nothing where the provider does not take the key, of which the client hears nothing (V17)', async () => {
    const { relayed, said, outcome } = await outcomeOf(true, 'unknown key')
    expect(relayed).toMatchObject({ executed: { status: 502 } })
    expect(JSON.parse(said)).toMatchObject({ code: 'upstream_failed' })
    expect(said).not.toContain('sk-')
    expect(outcome).toMatchObject({ status: 'failed', cost: { amount: '0' } })
  })

  it('is never owed under a permission that does not count it: nothing is sent (V9)', async () => {
    const { relayed, outcome, arrived } = await outcomeOf(false)
    expect([relayed, arrived]).toEqual([{ code: 'call_not_begun' }, 0])
    expect(outcome).toMatchObject({ status: 'not_executed' })
  })
})
