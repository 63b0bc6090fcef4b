import type { Action } from '@bailiwick/credentials'
import { cutReasonOf, type Effect } from '@bailiwick/pep'
import { aPoint, FakePdp } from '@bailiwick/pep/fake-pdp'
import { describe, expect, it } from 'vitest'
import { openRelay, type RelayOptions } from './relay.ts'
import type { Executed, RelayRequest, Upstream } from './upstream.ts'

const request: RelayRequest = { method: 'POST', target: '/a', headers: [], body: Buffer.from('{}') }
const caller = { credential: 'a.b.c', proof: 'd.e.f', callId: undefined, htu: 'https://api.example/a' }
const action: Action = { name: 'tools/call', properties: {}, resource: { type: 'tool', id: 'a/b' } }
const never = () => new Promise<never>(() => undefined)

/** A relay before an adapter that keeps none of its promises, and how often that was executed. */
async function before(broken: Partial<Upstream>, options: Partial<RelayOptions> = {}) {
  const pdp = await FakePdp.start()
  const point = await aPoint(pdp)
  let executed = 0
  const upstream: Upstream = {
    toAction: () => action,
    execute: never,
    [Symbol.asyncDispose]: async () => undefined,
    ...broken,
  }
  const counted: Upstream = {
    ...upstream,
    execute: (permitted, sent) => {
      executed++
      return upstream.execute(permitted, sent)
    },
  }
  const relay = openRelay({ point, upstream: counted, ...options })
  return {
    ...{ pdp, point, executed: () => executed },
    run: (gone?: AbortSignal) => relay.run(request, caller, gone),
    async [Symbol.asyncDispose]() {
      await point[Symbol.asyncDispose]()
      await pdp[Symbol.asyncDispose]()
    },
  }
}
const revoked: FakePdp['openCalls'] = ([decision_id]) => ({
  body: { over: [{ decision_id, reason: 'grant_revoked' }], unknown: [] },
})
const answering = (body: AsyncIterable<Uint8Array>): Partial<Upstream> => ({
  execute: async () => ({ status: 200, headers: ['content-type', 'text/plain'], body }),
})

describe('an adapter', () => {
  it('that never answers and heeds no signal cannot hold up the outcome (V7)', async () => {
    await using w = await before({})
    w.pdp.openCalls = revoked
    await expect(w.run()).rejects.toThrow('stream_cut: grant_revoked')
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
  })

  it('whose answer never goes on and cannot be given up cannot either (V7)', async () => {
    const body = { [Symbol.asyncIterator]: () => ({ next: never, return: never }) }
    await using w = await before(answering(body))
    w.pdp.openCalls = revoked
    const relayed = await w.run()
    const { executed } = relayed as { executed: Executed }
    await expect(executed.body[Symbol.asyncIterator]().next()).rejects.toThrow('stream_cut: grant_revoked')
    await expect
      .poll(() => w.pdp.outcomes)
      .toMatchObject([{ status: 'unknown', cut: 'grant_revoked', egress_bytes: 0 }])
  })

  it('whose answer comes after the cut shows nothing of it, and gives it up (V7)', async () => {
    const late = Promise.withResolvers<Executed>()
    const givenUp = Promise.withResolvers<void>()
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false as const, value: Buffer.from('late') }),
        return: async () => {
          givenUp.resolve()
          return { done: true as const, value: undefined }
        },
      }),
    }
    await using w = await before({ execute: () => late.promise })
    w.pdp.openCalls = revoked
    await expect(w.run()).rejects.toThrow('stream_cut')
    late.resolve({ status: 200, headers: [], body })
    await givenUp.promise
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
  })

  it('that gives another action for the copy executes nothing (V1)', async () => {
    let reads = 0
    await using w = await before({ toAction: () => ({ ...action, properties: { reads: reads++ } }) })
    expect(await w.run()).toMatchObject({ allowed: false, reason: 'permit_action_mismatch' })
    expect(w.executed()).toBe(0)
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'not_executed' }])
  })

  it('that finds no action in the copy executes nothing (V1, V13)', async () => {
    let reads = 0
    const toAction = () => (reads++ < 2 ? action : ({ refused: 'json_malformed', detail: 'now' } as const))
    await using w = await before({ toAction })
    expect(await w.run()).toMatchObject({ allowed: false, reason: 'permit_action_mismatch' })
    expect(w.executed()).toBe(0)
  })

  it('that throws an error of its own says nothing to the client, and the outcome is failed', async () => {
    await using w = await before({
      execute: async () => {
        throw new Error('sk-0123456789')
      },
    })
    const error: unknown = await w.run().catch((thrown: unknown) => thrown)
    expect(String(error)).toBe('ServiceError: internal')
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'failed' }])
  })

  it('that says that the effect failed is believed, although the status is good', async () => {
    const body = (async function* () {
      yield Buffer.from('{"error":{}}')
    })()
    await using w = await before({ execute: async () => ({ status: 200, headers: [], body, failed: () => true }) })
    const { executed } = (await w.run()) as { executed: Executed }
    for await (const _ of executed.body);
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'failed', http_status: 200, egress_bytes: 12 }])
  })

  it('whose answer is not in what it sent is not known to have done anything', async () => {
    const body = (async function* () {
      yield Buffer.from('later')
    })()
    await using w = await before({
      execute: async () => ({ status: 200, headers: [], body, failed: () => undefined }),
    })
    const { executed } = (await w.run()) as { executed: Executed }
    for await (const _ of executed.body);
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', http_status: 200, egress_bytes: 5 }])
  })

  it('that answers without end is cut off at the limit', async () => {
    const body = (async function* () {
      for (;;) yield Buffer.alloc(400)
    })()
    await using w = await before(answering(body), { mostAnswerBytes: 1000 })
    const { executed } = (await w.run()) as { executed: Executed }
    let length = 0
    const reading = (async () => {
      for await (const chunk of executed.body) length += chunk.length
    })()
    await expect(reading).rejects.toThrow('upstream_too_large')
    expect(length).toBe(800)
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', egress_bytes: 800 }])
  })

  it('is not asked for anything of a client that went before the decision came', async () => {
    const gone = new AbortController()
    await using w = await before({})
    w.pdp.answer = (asked) => {
      gone.abort()
      return w.pdp.allow(asked)
    }
    await expect(w.run(gone.signal)).rejects.toThrow('call_not_begun')
    expect(w.executed()).toBe(0)
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'not_executed' }])
  })
})

describe('an effect that goes on after its answer', () => {
  /** An upstream that answers at once with five bytes, and whose effect ends when the test says so, or with its call. */
  const goingOn = () => {
    const ends = Promise.withResolvers<Effect>()
    let seen: number | undefined
    const upstream: Partial<Upstream> = {
      async execute({ signal }) {
        const cut = () => ends.resolve({ status: 'unknown', cut: cutReasonOf(signal.reason) ?? 'none' })
        signal.addEventListener('abort', cut, { once: true })
        const body = (async function* () {
          yield Buffer.from('begun')
        })()
        const goesOn = (ofAnswer: Effect) => {
          seen = ofAnswer.egress_bytes
          return ends.promise
        }
        return { status: 200, headers: ['content-type', 'text/plain'], body, goesOn }
      },
    }
    return { upstream, ends, seen: () => seen }
  }
  const read = async (relayed: unknown) => {
    for await (const _ of (relayed as { executed: Executed }).executed.body);
  }

  it('is reported once it is over, whether its client is still there or not', async () => {
    const { upstream, ends, seen } = goingOn()
    const gone = new AbortController()
    await using w = await before(upstream)
    const relayed = await w.run(gone.signal)
    await read(relayed)
    await (relayed as { over: Promise<unknown> }).over
    gone.abort()
    expect([seen(), w.pdp.outcomes]).toEqual([5, []])
    ends.resolve({ status: 'failed', egress_bytes: 7 })
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'failed', http_status: 200, egress_bytes: 12 }])
  })

  it('ends with its grant (V7)', async () => {
    const { upstream } = goingOn()
    await using w = await before(upstream)
    await read(await w.run())
    w.pdp.openCalls = revoked
    await expect
      .poll(() => w.pdp.outcomes)
      .toMatchObject([{ status: 'unknown', cut: 'grant_revoked', egress_bytes: 5 }])
  })

  it('is not waited for if its answer was cut (V7)', async () => {
    const { upstream, seen } = goingOn()
    await using w = await before(upstream)
    const { executed } = (await w.run()) as { executed: Executed }
    w.pdp.openCalls = revoked
    await expect.poll(() => w.pdp.outcomes).toMatchObject([{ status: 'unknown', cut: 'grant_revoked' }])
    await expect(executed.body[Symbol.asyncIterator]().next()).rejects.toThrow('stream_cut')
    expect(seen()).toBeUndefined()
  })
})
