import { ServiceError } from '@bailiwick/errors'
import { describe, expect, it, vi } from 'vitest'
import { aPoint, FakePdp } from '../pdp.fixture.ts'
import { guarded } from './guarded.ts'
import { type ActingAgent, type ToolGuardOptions, toolGuard } from './tool-guard.ts'

const address = 'http://localhost:8430'

/** It shows a credential, and repeats a call when a nonce is demanded or the answer was lost, as the real one does. */
const agent: ActingAgent = {
  async fetch(url, { method }, { via }) {
    const headers = { authorization: 'DPoP a.b.c', dpop: 'd.e.f', 'bailiwick-call-id': 'call_0123456789abcdef' }
    const first = await via(url, { method, headers }).catch(() => via(url, { method, headers }))
    if (!first.headers.get('www-authenticate')?.includes('use_dpop_nonce')) return first
    return via(url, { method, headers: { ...headers, dpop: `d.e.${first.headers.get('dpop-nonce')}` } })
  },
}

async function opened(more: Partial<ToolGuardOptions> = {}) {
  const pdp = await FakePdp.start()
  const point = await aPoint(pdp, { inProcess: true })
  const guard = toolGuard({ agent, grant: { grantId: 'grt_1' }, point, server: 'invoices', address, ...more })
  return {
    pdp,
    point,
    guard,
    async [Symbol.asyncDispose]() {
      await point[Symbol.asyncDispose]()
      await pdp[Symbol.asyncDispose]()
    },
  }
}

const deny = (reason: string, more: object = {}) => ({ body: { decision: false, context: { reason, ...more } } })

describe('a tool in the agent’s own process', () => {
  it('runs once with what was decided, and its outcome says where it was decided', async () => {
    await using world = await opened()
    const effect = vi.fn(async ({ invoice }: Record<string, unknown>) => `${invoice}: 120.00`)
    const found = await world.guard.run('read', { invoice: 'INV-1' }, effect)
    expect(found).toEqual({ allowed: true, result: 'INV-1: 120.00' })
    expect(effect).toHaveBeenCalledOnce()
    expect(world.pdp.evaluations).toMatchObject([
      {
        action: { name: 'tools/call', properties: { invoice: 'INV-1' } },
        resource: { type: 'tool', id: 'invoices/read' },
        context: { bailiwick: { credential: 'a.b.c', htm: 'POST', htu: `${address}/` } },
      },
    ])
    await world.point.delivered()
    expect(world.pdp.outcomes).toMatchObject([{ status: 'succeeded', enforced_by: 'in_process' }])
  })

  it('gets arguments of its own, which other code cannot reach', async () => {
    await using world = await opened()
    const given: { lines: number[] } = { lines: [1] }
    world.pdp.answer = (evaluation) => {
      given.lines.push(2)
      return world.pdp.allow(evaluation)
    }
    const found = await world.guard.run('post', given, async (properties) => {
      const got = JSON.stringify(properties)
      Object.assign(properties, { lines: [3] })
      return got
    })
    const mine: { lines: number[] } = { lines: [1] }
    world.pdp.answer = (evaluation) => world.pdp.allow(evaluation)
    const kept = await world.guard.run('post', mine, async (properties) => {
      mine.lines.push(2)
      return properties
    })
    expect(kept).toEqual({ allowed: true, result: { lines: [1] } })
    // The point reads the action once more after the permit, and refuses a call that changed meanwhile.
    expect(found).toMatchObject({ allowed: false, code: 'permit_action_mismatch' })
    expect(
      await world.guard.run('post', { lines: [1] }, (properties) => Object.assign(properties, { more: 1 })),
    ).toEqual({
      allowed: true,
      result: { lines: [1], more: 1 },
    })
  })

  it('does not run after a denial, and the model reads what it can do', async () => {
    await using world = await opened()
    world.pdp.answer = () => deny('argument_out_of_bounds')
    const effect = vi.fn()
    const found = await world.guard.run('adjust', { amount: 501 }, effect)
    expect(found).toMatchObject({ allowed: false, code: 'argument_out_of_bounds' })
    expect('words' in found && found.words).toMatch(
      /^DENIED \(argument_out_of_bounds\): this call was not executed\. .+/,
    )
    expect(effect).not.toHaveBeenCalled()
  })

  it('runs once when the decision point first demands a nonce', async () => {
    await using world = await opened()
    world.pdp.answer = (evaluation) =>
      evaluation.context.bailiwick.proof === 'd.e.nonce-1'
        ? world.pdp.allow(evaluation)
        : deny('proof_nonce_required', { dpop_nonce: 'nonce-1' })
    const effect = vi.fn(async () => 1)
    expect(await world.guard.run('read', {}, effect)).toEqual({ allowed: true, result: 1 })
    expect(effect).toHaveBeenCalledOnce()
  })

  it.each<[string, string, Partial<ToolGuardOptions>]>([
    ['the decision point is away', 'pdp_unavailable', {}],
    [
      'the issuer is away',
      'service_unreachable',
      { agent: { fetch: () => Promise.reject(new ServiceError('service_unreachable')) } },
    ],
    ['the agent fails', 'internal', { agent: { fetch: () => Promise.reject(new Error('?')) } }],
    ['the agent does not ask', 'internal', { agent: { fetch: async () => new Response() } }],
  ])('does not run while there is no decision: %s', async (_, code, more) => {
    await using world = await opened(more)
    world.pdp.answer = () => ({ status: 500 })
    const effect = vi.fn()
    expect(await world.guard.run('read', {}, effect)).toMatchObject({ allowed: false, code })
    expect(effect).not.toHaveBeenCalled()
  })

  it('does not run with arguments that are no JSON', async () => {
    await using world = await opened()
    const effect = vi.fn()
    for (const odd of [{ at: new Date() }, { n: 1n }, { n: Number.NaN }])
      expect(await world.guard.run('read', odd, effect)).toMatchObject({ allowed: false, code: 'request_malformed' })
    expect(effect).not.toHaveBeenCalled()
  })

  it.each<[string, () => unknown]>([
    ['throws', () => Promise.reject(new Error('the ledger is closed'))],
    [
      'throws at once',
      () => {
        throw new Error('the ledger is closed')
      },
    ],
    [
      'throws what an agent would repeat',
      () => Promise.reject(new ServiceError('pdp_unavailable', 'the ledger is closed')),
    ],
  ])('runs once, passes on the error and is reported as failed when it %s', async (_, act) => {
    await using world = await opened()
    const effect = vi.fn(act)
    await expect(world.guard.run('read', {}, effect)).rejects.toThrow('the ledger is closed')
    expect(effect).toHaveBeenCalledOnce()
    await world.point.delivered()
    expect(world.pdp.outcomes).toMatchObject([{ status: 'failed', enforced_by: 'in_process' }])
  })

  it('is no success when it gives something that works only later', async () => {
    await using world = await opened()
    const later = async function* () {
      yield 1
    }
    await expect(world.guard.run('read', {}, () => later())).rejects.toThrow(TypeError)
    await expect(world.guard.run('read', {}, () => new ReadableStream())).rejects.toThrow(TypeError)
    await expect(world.guard.run('read', {}, () => [{ pages: later() }])).rejects.toThrow(TypeError)
    await expect(world.guard.run('read', {}, () => new Response('x'))).rejects.toThrow(TypeError)
    await expect(world.guard.run('read', {}, () => ({ later: Promise.resolve(1) }))).rejects.toThrow(TypeError)
    await world.point.delivered()
    expect(world.pdp.outcomes.map(({ status }) => status)).toEqual(Array(5).fill('failed'))
  })

  it('may have a member with the name of a method of generators, and a circle', async () => {
    await using world = await opened()
    const page: Record<string, unknown> = { items: [1], next: '/page/2', self: undefined }
    expect(await world.guard.run('read', {}, () => page)).toEqual({ allowed: true, result: page })
    page.self = page
    expect(await world.guard.run('read', {}, () => page)).toEqual({ allowed: true, result: page })
    await world.point.delivered()
    expect(world.pdp.outcomes.map(({ status }) => status)).toEqual(['succeeded', 'succeeded'])
  })

  it('gives its result once, also if the agent fails or asks again afterwards', async () => {
    const odd: ActingAgent = {
      async fetch(url, init, call) {
        await agent.fetch(url, init, call)
        await agent.fetch(url, init, call)
        throw new Error('the nonce cannot be kept')
      },
    }
    await using world = await opened({ agent: odd })
    const effect = vi.fn(async () => 'paid')
    expect(await world.guard.run('pay', {}, effect)).toEqual({ allowed: true, result: 'paid' })
    expect(effect).toHaveBeenCalledOnce()
  })

  it('learns that its call must end, and is then no success', async () => {
    await using world = await opened()
    const ended = world.guard.run('read', {}, async (_, signal) => {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      void world.point[Symbol.asyncDispose]()
      await aborted
      return 'too late'
    })
    await expect(ended).rejects.toMatchObject({ code: 'stream_cut' })
  })

  it('is hidden in part where the decision demands it, in a text too', async () => {
    await using world = await opened()
    const properties = { vendor: 'bailiwick', action: 'redact', fields: ['iban'] }
    const obligations = [{ id: 'hide', type: 'custom' as const, properties }]
    world.pdp.answer = (evaluation) => world.pdp.allow(evaluation, { obligations })
    const result = '{"total":"120.00","iban":"DE02"}'
    expect(await world.guard.run('read', {}, () => result)).toEqual({
      allowed: true,
      result: '{"total":"120.00","iban":"[redacted]"}',
    })
    await expect(world.guard.run('read', {}, () => 'the "iban" is DE02')).rejects.toMatchObject({
      code: 'answer_withheld',
    })
    expect(await world.guard.run('read', {}, () => 'paid')).toEqual({ allowed: true, result: 'paid' })
  })

  it('needs a point that says where it stands', async () => {
    await using pdp = await FakePdp.start()
    await using point = await aPoint(pdp)
    const options = { agent, grant: { grantId: 'grt_1' }, point, server: 'invoices', address }
    expect(() => toolGuard(options)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  })
})

describe('the execute of a tool', () => {
  it('gets its input and its context, whose signal ends with the call', async () => {
    await using world = await opened()
    const seen: unknown[] = []
    const execute = guarded(world.guard, 'read', async (input: { invoice: string }, context: Context) => {
      seen.push(input, context.runId, context.abortSignal?.aborted)
      return 'INV-1: 120.00'
    })
    expect(await execute({ invoice: 'INV-1' }, { runId: 'run-1' })).toBe('INV-1: 120.00')
    const left = new AbortController()
    await execute({ invoice: 'INV-2' }, { runId: 'run-2', abortSignal: left.signal })
    expect(seen).toEqual([{ invoice: 'INV-1' }, 'run-1', false, { invoice: 'INV-2' }, 'run-2', false])
  })

  it('does not begin if the framework gave the call up while it was decided, and hears it afterwards', async () => {
    await using world = await opened()
    const left = new AbortController()
    world.pdp.answer = (evaluation) => {
      left.abort()
      return world.pdp.allow(evaluation)
    }
    const execute = vi.fn(async (_: object, context: Context) => context.abortSignal?.aborted)
    const call = guarded(world.guard, 'pay', execute)
    await expect(call({}, { runId: 'run-1', abortSignal: left.signal })).rejects.toMatchObject({
      code: 'call_not_begun',
    })
    expect(execute).not.toHaveBeenCalled()
    await world.point.delivered()
    expect(world.pdp.outcomes).toMatchObject([{ status: 'not_executed' }])

    world.pdp.answer = (evaluation) => world.pdp.allow(evaluation)
    const later = new AbortController()
    const waits = guarded(world.guard, 'pay', async (_: object, { abortSignal }: Context) => {
      later.abort(new Error('the person has left'))
      abortSignal?.throwIfAborted()
    })
    await expect(waits({}, { runId: 'run-2', abortSignal: later.signal })).rejects.toThrow('the person has left')
  })

  it('gets a context of its class', async () => {
    await using world = await opened()
    class Memory {
      words = 'INV-1'
      get remembered() {
        return this.words
      }
    }
    const call = guarded(world.guard, 'read', async (_: object, context: Memory) => context.remembered)
    expect(await call({}, new Memory())).toBe('INV-1')
  })

  it('rejects where the call is denied, with what the model is to read, and does not run', async () => {
    await using world = await opened()
    world.pdp.answer = () => deny('action_not_granted')
    const execute = vi.fn(async () => 'done')
    const call = guarded(world.guard, 'delete', execute)
    await expect(call({}, {})).rejects.toThrow('DENIED (action_not_granted): this call was not executed.')
    await expect(call(undefined, undefined)).rejects.toMatchObject({ name: 'ToolDenied', code: 'action_not_granted' })
    await expect(call([1], {})).rejects.toMatchObject({ code: 'request_malformed' })
    expect(execute).not.toHaveBeenCalled()
  })
})

interface Context {
  runId: string
  abortSignal?: AbortSignal
}
